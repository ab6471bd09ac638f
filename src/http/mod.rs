//! The server on a network: MCP over Streamable HTTP (`/mcp`) and over the older HTTP with SSE
//! (`/sse`, `/messages`), and health checks (`/health`, `/ready`).
//!
//! A request arrives at `connections`, passes the layers of `app`, and reaches the tools of
//! [`crate::mcp`] through `streamable` or `sse`, with its caller in its extensions. What a caller may
//! do with memories is decided in [`crate::memory::access`] alone.

pub mod access;
mod app;
pub mod audit;
mod body;
mod bounded_sessions;
mod calls;
mod connections;
mod drain;
mod early;
mod health;
mod host_check;
mod json_refusal;
mod limits;
mod listen;
mod mcp_sessions;
mod metrics;
mod operators;
mod replay;
mod rest;
mod shares;
mod sse;
mod streamable;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use rest::RestRoutes;
pub use tls::TlsError;

use self::access::{Access, AccessError, OpenToAll};
use self::app::{App, Transports};
use self::audit::HttpAudit;
use self::connections::{Connections, max_connections};
use self::drain::Drain;
use self::health::Health;
use self::host_check::Allowlist;
use self::mcp_sessions::McpSessions;
use self::metrics::Measured;
use self::replay::ReplayBuffer;
use self::shares::{Places, Shares, relieve};
use crate::config::{HostName, HttpConfig};
use crate::mcp::MemoryServer;
use crate::metrics::Metrics;

/// How often what is over is forgotten. Until a session with a revoked token is ended, an open stream
/// only delivers responses to calls that were accepted before. Ours.
const SWEEP: Duration = Duration::from_secs(10);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The host to listen on does not resolve.
    #[error("HOST cannot be used: `{host}` does not resolve: {cause}")]
    Host {
        /// The configured host.
        host: String,
        /// What went wrong.
        cause: io::Error,
    },
    /// Other machines could connect without a token.
    #[error(transparent)]
    OpenToAll(#[from] OpenToAll),
    /// Authentication cannot be set up.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The files for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What went wrong.
        cause: io::Error,
    },
}

impl HttpError {
    /// Whether a setting is wrong, rather than the environment.
    pub fn is_misuse(&self) -> bool {
        !matches!(self, Self::Bind { .. })
    }
}

/// What is served, and how.
#[derive(Debug)]
pub struct Serving {
    /// The settings.
    pub config: HttpConfig,
    /// The MCP server.
    pub server: MemoryServer,
    /// Whether MCP is served.
    pub serves_mcp: bool,
    /// What else is served.
    pub rest: RestRoutes,
}

/// When to stop.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Accept no more connections, and finish calls in flight.
    pub asked: CancellationToken,
    /// Do not wait for calls in flight.
    pub hurry: CancellationToken,
}

/// Serves until it is asked to stop, then finishes calls in flight. Calls `ready` with its addresses
/// once it accepts connections.
///
/// # Errors
/// [`HttpError`], before anything is served.
pub async fn serve(
    serving: Serving,
    stop: Stop,
    ready: impl FnOnce(&[SocketAddr]),
) -> Result<(), HttpError> {
    let Serving {
        config,
        server,
        serves_mcp,
        rest,
    } = serving;
    let addresses = listen::resolve(&config.host, config.port)
        .await
        .map_err(|cause| HttpError::Host {
            host: config.host.clone(),
            cause,
        })?;
    let is_remote = addresses
        .iter()
        .any(|address| !address.ip().to_canonical().is_loopback());
    let binding = addresses.clone();
    // Reads the files of tokens and of TLS.
    let read = tokio::task::spawn_blocking(move || {
        let access = Access::new(config.access)?;
        for address in &binding {
            access.check_binding(address)?;
        }
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        Ok::<_, HttpError>((Arc::new(access), tls))
    });
    let (access, tls) = read
        .await
        // It is not cancelled: only a panic ends it early.
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    let listeners =
        listen::bind(&addresses).map_err(|(address, cause)| HttpError::Bind { address, cause })?;
    let bound: Vec<_> = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect();

    let mut names = config.allowed_hosts;
    names.extend(config.host.parse::<HostName>());
    let memories = server.memories().clone();
    let mut bounds = config.bounds;
    bounds.connections = max_connections(bounds.connections);
    let sessions = McpSessions::new(&bounds);
    let places = Places::new(bounds.connections, &bounds);
    let shares = Shares::new(bounds, Arc::clone(&places));
    let replay = ReplayBuffer::new();
    let end = CancellationToken::new();
    let is_served = rest.is_served;
    let audit = HttpAudit::new(server.trail().clone());
    let trail = server.trail().clone();
    let metrics = Arc::new(Metrics::new(memories.backend()));
    let server = server.on_a_network().measuring(Arc::clone(&metrics));
    let measured = Arc::new(Measured {
        metrics,
        server: server.clone(),
        access: Arc::clone(&access),
        shares: Arc::clone(&shares),
        sessions: Arc::clone(&sessions),
    });
    let app = App {
        rest,
        serves_mcp,
        transports: Transports {
            server,
            sessions: Arc::clone(&sessions),
            replay: Arc::clone(&replay),
            shares: Arc::clone(&shares),
            end: end.clone(),
        },
        access: Arc::clone(&access),
        audit: Arc::clone(&audit),
        measured,
        is_encrypted: tls.is_some(),
        allowlist: Arc::new(Allowlist::new(names, is_remote, config.allowed_origins)),
        health: Health::new(
            memories.clone(),
            Arc::clone(&access),
            Arc::clone(&shares),
            Arc::clone(&sessions),
            is_served,
            trail,
        ),
    };
    let connections = Connections::new(app.router(), tls, bounds.connections, places);
    connections.listen(listeners);
    ready(&bound);
    tokio::select! {
        () = stop.asked.cancelled() => {}
        () = sweep(&sessions, &access, &shares, &replay, &audit) => {}
        () = relieve(&shares, &replay) => {}
    }
    let drain = Drain {
        connections,
        sessions,
        end,
        grace: config.grace,
    };
    drain.run(stop.hurry).await;
    memories.settle().await;
    audit.finish();
    Ok(())
}

/// Regularly forgets what is over: sessions, responses that nobody came back for, and the counts of
/// tokens that take nothing. Never returns.
async fn sweep(
    sessions: &McpSessions,
    access: &Access,
    shares: &Shares,
    replay: &ReplayBuffer,
    audit: &HttpAudit,
) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        sessions.sweep(access).await;
        replay.sweep();
        shares.sweep();
        audit.sweep();
    }
}
