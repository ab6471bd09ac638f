//! What the page shows.

use tokio::sync::Semaphore;

use super::session::Sessions;
use crate::audit::Trail;
use crate::moves::Moves;

/// How many readings of the whole trail or ledger go on at a time. Ours: each takes a thread and a
/// processor.
const READINGS: usize = 2;
/// How many streams of progress may be open. Ours: a few operators with a few pages each.
const STREAMS: usize = 20;

/// The operators' page over a service.
#[derive(Debug)]
pub struct Ui {
    /// The memories, and migrations into them.
    pub(super) moves: Moves,
    /// The audit trail: what is done here is noted in it, and it is shown.
    pub(super) trail: Trail,
    /// Who is signed in.
    pub(super) sessions: Sessions,
    pub(super) readings: Semaphore,
    pub(super) streams: std::sync::Arc<Semaphore>,
}

impl Ui {
    /// Nobody is signed in yet.
    pub fn new(moves: Moves, trail: Trail) -> Self {
        Self {
            moves,
            trail,
            sessions: Sessions::default(),
            readings: Semaphore::new(READINGS),
            streams: std::sync::Arc::new(Semaphore::new(STREAMS)),
        }
    }
}
