//! Listens, and puts the middleware around the routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::error::{ApiError, EmulatorError};
use super::faults::{Faults, LateWriter, Peer, RestartingListener, control_routes, inject};
use super::middleware::{authenticate, catch_panics, limit_rate, log};
use super::rate_limit::RateLimit;
use super::wire::MAX_BODY_BYTES;
use super::{Options, routes};
use crate::local::LocalZep;
use crate::zep::Accounts;

/// How long running calls may take after a stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown`, then ends the running calls. Calls `ready` with the address once
/// connections are accepted.
///
/// # Errors
/// [`EmulatorError`] if the data file or the address cannot be used, or listening fails.
pub async fn serve(
    options: Options,
    shutdown: CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), EmulatorError> {
    // Held until the end: dropping it deletes the files.
    let mut temporary = None;
    let path = match &options.data {
        Some(path) => path.clone(),
        None => {
            let directory = tokio::task::spawn_blocking(tempfile::tempdir)
                .await
                .unwrap_or_else(|panic| Err(panic.into()))
                .map_err(EmulatorError::Temporary)?;
            temporary.insert(directory).path().join("zep.db")
        }
    };
    let zep = Arc::new(LocalZep::open(&path, options.behavior)?);
    // Opens the file now: a file that cannot be used must fail the start, not the first call.
    zep.project().await?;

    let address = SocketAddr::new(options.host, options.port);
    let listener = RestartingListener::bind(address)
        .await
        .map_err(|cause| EmulatorError::Bind { address, cause })?;
    let bound = listener.address();
    let (faults, late_writer) = Faults::new(options.faults, listener.connections());
    let faults = Arc::new(faults);
    let app = router(zep, Arc::clone(&faults), options.api_key);
    tracing::info!(seed = faults.seed(), "faults are drawn from this seed");
    ready(bound);
    let ended = tokio::select! {
        ended = answer(listener, app, faults, late_writer, shutdown.clone()) => ended,
        () = overdue(shutdown) => Ok(()),
    };
    // The store is dropped by now; a failure to delete its files is no error of the emulator.
    let _ = tokio::task::spawn_blocking(move || drop(temporary)).await;
    ended
}

/// Answers until `shutdown`, then finishes running calls and late writes.
async fn answer(
    listener: RestartingListener,
    app: Router,
    faults: Arc<Faults>,
    late_writer: LateWriter,
    shutdown: CancellationToken,
) -> Result<(), EmulatorError> {
    let app = app.into_make_service_with_connect_info::<Peer>();
    let served = async {
        axum::serve(listener, app)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
    };
    let all_sent = CancellationToken::new();
    // A stop does not wait for the time of late writes: they are carried out at once.
    let written = late_writer.run(all_sent.clone());
    let ended = async {
        let ended = tokio::select! {
            ended = served => ended,
            () = faults.keep_restarting() => Ok(()),
        };
        faults.finish_calls().await;
        all_sent.cancel();
        ended
    };
    let (ended, ()) = tokio::join!(ended, written);
    ended.map_err(EmulatorError::Serve)
}

/// Waits for `shutdown`, and then for the time that running calls may take.
async fn overdue(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(STOP_WITHIN).await;
}

/// The API with its middleware, and `/_emulator` without it.
fn router(zep: Arc<LocalZep>, faults: Arc<Faults>, api_key: Option<SecretString>) -> Router {
    let rate = Arc::new(RateLimit::default());
    let control = control_routes(Arc::clone(&faults), Arc::clone(&zep));
    Router::new()
        .nest("/api/v2", routes::v3())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // The layer added last runs first: faults hit authenticated and counted calls only.
        .layer(from_fn_with_state(Arc::clone(&faults), inject))
        .layer(from_fn_with_state(api_key, authenticate))
        .layer(from_fn_with_state((Arc::clone(&faults), rate), limit_rate))
        .layer(from_fn_with_state(faults, log))
        .with_state(zep)
        .nest("/_emulator", control)
        .layer(from_fn(catch_panics))
}

async fn no_route() -> ApiError {
    ApiError::not_found("route not found")
}

async fn no_method(method: Method) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("method {method} not allowed"),
    )
}
