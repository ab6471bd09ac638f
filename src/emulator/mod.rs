//! The embedded Zep behind Zep's own HTTP API of generation 3 (`/api/v2`): the same paths, names,
//! status codes, error bodies, headers and limits, so that Zep's own clients can be pointed at it.
//!
//! A call passes the layers from the outside in: panics are caught, the call is logged and counted
//! against the rate limit, its key is checked, it goes wrong if it is to ([`Plan`]), and its route
//! answers it from [`crate::local`]. Nothing here decides what Zep would do with data: that is the
//! store's; this only speaks HTTP. Beside Zep's paths, `/_emulator` changes what goes wrong.

mod error;
mod faults;
mod layers;
mod routes;
mod signals;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use error::ApiError;
pub use error::EmulatorError;
use faults::{Door, Faults, Landing, Lines, Peer};
pub use faults::{
    Failing, Fault, OneShot, Plan, PlanError, Rate, RateLimitDrop, Restarts, Status, Timed,
};
use layers::RateLimit;
pub use signals::stop_on_signals;

use crate::local::{Behavior, LocalZep};
use crate::zep::Accounts;

/// The port that the emulator listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 8000;

/// The largest body that is read, in bytes: 350 batch items of 10,000 characters fill 3.5 MB, and
/// up to four times that outside ASCII.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// How long calls may go on after the emulator was told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How to run the emulator.
#[derive(Debug)]
pub struct Options {
    /// Where to listen: this machine only, unless told otherwise.
    pub host: IpAddr,
    /// The port; 0 lets the system choose a free one.
    pub port: u16,
    /// The file that keeps the data; `None` for one that is gone at the end.
    pub data: Option<PathBuf>,
    /// The only key that is accepted; `None` for any that is not empty.
    pub api_key: Option<SecretString>,
    /// What goes wrong.
    pub faults: Plan,
    /// How the store behaves where Zep's behaviour is not known.
    pub behavior: Behavior,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: DEFAULT_PORT,
            data: None,
            api_key: None,
            faults: Plan::default(),
            behavior: Behavior::default(),
        }
    }
}

/// What every call of a running emulator shares.
#[derive(Debug)]
struct Emulator {
    zep: Arc<LocalZep>,
    api_key: Option<SecretString>,
    rate: RateLimit,
    faults: Faults,
    lines: Arc<Lines>,
}

/// Listens and answers until `shutdown`, then ends the calls in work and returns. `ready` is told
/// the address once calls are accepted.
///
/// # Errors
/// [`EmulatorError`] if the data file or the address cannot be used, or listening fails.
pub async fn serve(
    options: Options,
    shutdown: CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), EmulatorError> {
    // Held until the end: its files go when it is dropped, after the store.
    let mut temporary = None;
    let path = match &options.data {
        Some(path) => path.clone(),
        None => {
            let directory = tempfile::tempdir().map_err(EmulatorError::Temporary)?;
            temporary.insert(directory).path().join("zep.db")
        }
    };
    let zep = Arc::new(LocalZep::open(&path, options.behavior)?);
    // The store opens its file on first use; a file that cannot be used ends the start, not a call.
    zep.project().await?;

    let address = SocketAddr::new(options.host, options.port);
    let door = Door::open(address)
        .await
        .map_err(|cause| EmulatorError::Bind { address, cause })?;
    let bound = door.address();
    let (faults, landing) = Faults::new(options.faults);
    let emulator = Arc::new(Emulator {
        zep,
        api_key: options.api_key,
        rate: RateLimit::default(),
        faults,
        lines: door.lines(),
    });
    tracing::info!(
        seed = emulator.faults.seed(),
        "faults are drawn from this seed"
    );
    ready(bound);
    tokio::select! {
        ended = answer(door, emulator, landing, shutdown.clone()) => ended,
        () = overdue(shutdown) => Ok(()),
    }
}

/// Answers until `shutdown`, and then ends all that was begun.
async fn answer(
    door: Door,
    emulator: Arc<Emulator>,
    landing: Landing,
    shutdown: CancellationToken,
) -> Result<(), EmulatorError> {
    let app = router(Arc::clone(&emulator)).into_make_service_with_connect_info::<Peer>();
    let served = async {
        axum::serve(door, app)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
    };
    let all_sent = CancellationToken::new();
    // Whoever stops is not kept waiting by writes that are still in the air: they land at once.
    let landed = landing.run(all_sent.clone());
    let ended = async {
        let ended = tokio::select! {
            ended = served => ended,
            () = emulator.faults.keep_restarting(Arc::clone(&emulator.lines)) => Ok(()),
        };
        emulator.faults.finish_calls().await;
        all_sent.cancel();
        ended
    };
    let (ended, ()) = tokio::join!(ended, landed);
    ended.map_err(EmulatorError::Serve)
}

/// Waits until calls in work have had their time after a stop.
async fn overdue(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(STOP_WITHIN).await;
}

/// The whole API with its layers, and beside them, without layers, what tests steer it by.
fn router(emulator: Arc<Emulator>) -> Router {
    Router::new()
        .nest("/api/v2", routes::v3())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // The last one added is the first one passed. A call that goes wrong on demand has shown
        // its key and was counted like any other.
        .layer(from_fn_with_state(Arc::clone(&emulator), faults::misbehave))
        .layer(from_fn_with_state(
            Arc::clone(&emulator),
            layers::authenticate,
        ))
        .layer(from_fn_with_state(
            Arc::clone(&emulator),
            layers::limit_rate,
        ))
        .layer(from_fn_with_state(Arc::clone(&emulator), layers::log))
        .nest("/_emulator", faults::control::routes())
        .layer(from_fn(layers::catch_panics))
        .with_state(emulator)
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
