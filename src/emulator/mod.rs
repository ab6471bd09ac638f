//! The embedded Zep behind Zep's own HTTP API of generation 3 (`/api/v2`): the same paths, names,
//! status codes, error bodies, headers and limits, so that Zep's own clients work against it.
//!
//! What Zep does with data is decided in [`crate::local`]; this only speaks HTTP.
//!
//! - `server`: listens, and puts the middleware around the routes.
//! - `middleware`: panics, log, `rate_limit`, API key.
//! - `faults`: faults on demand ([`Plan`]), and `/_emulator`, which changes them.
//! - `routes`: `/api/v2`, one file per kind of thing.
//! - `wire`, `error`: requests, answers and errors in Zep's form.

mod error;
mod faults;
mod middleware;
mod rate_limit;
mod routes;
mod server;
mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use secrecy::SecretString;

pub use error::EmulatorError;
pub use faults::{
    Failing, Fault, OneShot, Plan, PlanError, Rate, RateLimitDrop, Restarts, Status, Timed,
};
pub use server::serve;

use crate::local::Behavior;

/// The default port.
pub const DEFAULT_PORT: u16 = 8000;

/// How to run the emulator.
#[derive(Debug)]
pub struct Options {
    /// The address to listen on; by default only this machine can connect.
    pub host: IpAddr,
    /// The port; 0 lets the system choose a free one.
    pub port: u16,
    /// The data file; `None` for a temporary one, deleted at the end.
    pub data: Option<PathBuf>,
    /// The only accepted API key; `None` accepts any that is not empty.
    pub api_key: Option<SecretString>,
    /// The faults.
    pub faults: Plan,
    /// How the store behaves where Zep's behaviour is not documented.
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
