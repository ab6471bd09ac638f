//! The port: what a backend can do, in parts that a caller or a test double can take singly.

mod accounts;
mod batches;
mod graphs;
mod pages;
mod resends;
mod threads;

use std::time::Duration;

pub use accounts::Accounts;
pub use batches::Batches;
pub use graphs::Graphs;
pub use pages::{Page, Pages, TimeOrder};
pub use resends::{Resends, SentAgain, SentTo};
pub use threads::{ThreadPages, Threads};

use super::transport::TransportStats;

/// A backend that keeps users, threads, messages, episodes and facts as Zep does.
///
/// Every call may be dropped at any time, which ends its waits. A dropped write is in doubt, like
/// one without an answer.
pub trait Zep: Accounts + Threads + Graphs + Batches {
    /// The backend's name in answers: `zep` or `local`.
    fn backend(&self) -> &'static str;

    /// By how many seconds this machine's clock was ahead of the backend's at its last answer; `None`
    /// before the first answer, or if the backend has no clock of its own.
    fn clock_ahead_secs(&self) -> Option<i64> {
        None
    }

    /// How long one request may take, with its retries; `None` where nothing can keep one waiting.
    fn call_limit(&self) -> Option<Duration> {
        None
    }

    /// How long after it was sent a write may still be carried out although nobody waits for its
    /// answer any more; `None` where that cannot happen.
    fn late_limit(&self) -> Option<Duration> {
        None
    }

    /// Where it notes what may arrive twice; `None` where nothing can.
    fn resends(&self) -> Option<&dyn Resends> {
        None
    }

    /// The requests sent so far; `None` where nothing is sent anywhere.
    fn stats(&self) -> Option<TransportStats> {
        None
    }
}
