//! What agents and operators can rely on when the server serves on a network: the built binary,
//! spoken to over TCP as any client would.

mod client;
mod server;

mod bounds;
mod calls;
mod ending;
mod entering;
mod health;
mod restarting;
mod resuming;
mod tls;
mod versions;
