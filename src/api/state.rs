//! What is served.

use crate::audit::Trail;
use crate::moves::Moves;

/// The Memory API over a service.
#[derive(Debug)]
pub struct Api {
    /// The memories, and migrations into them.
    pub moves: Moves,
    /// The audit trail, for what outlives its call.
    pub trail: Trail,
    /// Whether failures are answered as the original server did: with 400 for everything.
    pub compat: bool,
}
