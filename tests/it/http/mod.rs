//! What agents and operators can rely on when the server serves on a network: the built binary,
//! spoken to over TCP as any client would.

pub mod client;
pub mod server;

mod admission;
mod calls;
mod health;
mod limits;
mod restarting;
mod resuming;
mod shutdown;
pub mod tls;
mod versions;
