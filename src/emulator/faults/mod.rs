//! Faults on demand: the emulator is slow, refuses, loses answers, writes late, sends garbage and
//! restarts, as planned and repeatably.
//!
//! - `plan`: which faults, at which rates; `parameters`: the plan's validated values.
//! - `state`: the plan in force and the counts; decides the faults of each call.
//! - `middleware`: applies them to a call; `responses`: damaged answers.
//! - `late_writes`: calls that are carried out after their connection was closed.
//! - `listener`, `connections`: closed and bound again on a restart.
//! - `control`: `/_emulator`, which changes the plan while the emulator runs.

mod connections;
mod control;
mod late_writes;
mod listener;
mod middleware;
mod parameters;
mod plan;
mod responses;
mod state;

pub(super) use connections::Peer;
pub(super) use control::routes as control_routes;
pub(super) use late_writes::LateWriter;
pub(super) use listener::RestartingListener;
pub(super) use middleware::inject;
pub use parameters::{Failing, PlanError, Rate, RateLimitDrop, Restarts, Status, Timed};
pub use plan::{Fault, OneShot, Plan};
pub(super) use state::{Faults, Limit};
