//! The door on a network: MCP over Streamable HTTP (`/mcp`) and over the older HTTP with SSE
//! (`/sse`, `/messages`), and whether all is well (`/health`, `/ready`).
//!
//! A call comes in at `listen`, passes the layers of `app`, and reaches the tools of [`crate::mcp`]
//! through `streamable` or `sse`, with whoever asks in its extensions. Nothing here decides what
//! somebody may do with memories: that is [`crate::memory::access`]'s.

pub mod access;
mod app;
mod bounds;
mod calls;
mod drain;
mod health;
mod hosts;
mod listen;
mod resuming;
mod sessions;
mod sse;
mod streamable;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use hosts::{HostName, WebOrigin};
pub use tls::TlsError;

use self::access::{Access, AccessError, OpenToAll};
use crate::config::HttpConfig;
use crate::mcp::MemoryServer;
use crate::zep::Zep;

/// Streamable HTTP.
const MCP: &str = "/mcp";
/// The stream of the older transport.
const SSE: &str = "/sse";
/// Where its clients post to.
const MESSAGES: &str = "/messages";

/// How often a silent stream says that it is alive: more often than proxies give up (60 s) and
/// clients do.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The name to listen on means nothing here.
    #[error("HOST cannot be used: `{host}` does not resolve: {cause}")]
    Host {
        /// The name.
        host: String,
        /// What went wrong.
        cause: io::Error,
    },
    /// Others than this machine could come in without a token.
    #[error(transparent)]
    OpenToAll(#[from] OpenToAll),
    /// Who is let in cannot be known.
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
    /// Whether a setting is wrong, rather than the world.
    pub fn is_misuse(&self) -> bool {
        !matches!(self, Self::Bind { .. })
    }
}

/// What is served, and how.
#[derive(Debug)]
pub struct Serving {
    /// The settings.
    pub config: HttpConfig,
    /// What answers.
    pub server: MemoryServer,
    /// The backend, to tell whether it answers.
    pub zep: Arc<dyn Zep>,
}

/// When to stop.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Take nobody in any more, and finish what is in flight.
    pub asked: CancellationToken,
    /// Do not wait for that.
    pub hurry: CancellationToken,
}

/// Serves until it is asked to stop, then finishes what is in flight. `ready` is told the addresses
/// once connections are taken in.
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
        zep,
    } = serving;
    let addresses = listen::resolve(&config.host, config.port)
        .await
        .map_err(|cause| HttpError::Host {
            host: config.host.clone(),
            cause,
        })?;
    let access = Arc::new(Access::new(config.access)?);
    for address in &addresses {
        access.check_binding(address)?;
    }
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let listeners = listen::bind(&addresses)
        .await
        .map_err(|(address, cause)| HttpError::Bind { address, cause })?;
    let bound: Vec<_> = listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect();

    let mut names = config.allowed_hosts;
    names.extend(config.host.parse::<HostName>());
    let beyond = addresses
        .iter()
        .any(|address| !address.ip().to_canonical().is_loopback());
    let memories = server.memories().clone();
    let sessions = sessions::Sessions::new(config.max_sessions);
    let end = CancellationToken::new();
    let app = app::router(app::Parts {
        doors: app::Doors {
            server: server.on_a_network(),
            sessions: Arc::clone(&sessions),
            end: end.clone(),
        },
        access: Arc::clone(&access),
        hosts: Arc::new(hosts::Hosts::new(names, beyond, config.allowed_origins)),
        health: health::Health::new(zep),
    });
    let door = listen::Door::new(app, tls);
    door.listen(listeners);
    ready(&bound);
    tokio::select! {
        () = stop.asked.cancelled() => {}
        () = sessions.sweep(&access) => {}
    }
    let drain = drain::Drain {
        door,
        sessions,
        end,
        grace: config.grace,
    };
    drain.run(stop.hurry).await;
    memories.settle().await;
    Ok(())
}
