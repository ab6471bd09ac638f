//! The Memory API: REST for applications that have no MCP, on the same service.
//!
//! Five dialects of it are spoken (`docs/memory-api.md`): each capability is one handler, each dialect a
//! path to it in `routes`, and `given` reads what any of them sends.
//!
//! - `users`, `sessions`, `messages`, `history`, `snapshots`, `memories`, `migrations`: the capabilities.
//! - `given`: arguments, from query and body. `words`: its lists of words. `call`: who calls, and answers.
//! - `error`: failures, in FastAPI's shapes; `compat`: as the original server gave them.
//! - `docs`: the OpenAPI document, and the pages that show it. `health`: whether it is alive.

mod call;
mod compat;
mod docs;
mod error;
mod given;
mod health;
mod history;
mod memories;
mod messages;
mod migrations;
mod paths;
mod routes;
mod sessions;
mod snapshots;
mod state;
mod users;
mod words;

pub use routes::{Routes, routes};
pub use state::Api;
