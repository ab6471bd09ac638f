//! The adapter to Zep Cloud's API of generation 3, `/api/v2`.
//!
//! Reads are retried by the transport, and so are writes that are harmless twice; the reason stands
//! at the call. Adding messages and episodes is not harmless twice: a lost answer is settled by
//! record id (`settle`), for which such a call may take its time-out a second time.

mod accounts;
mod answers;
mod batches;
mod calls;
mod graphs;
mod lists;
mod metadata;
mod pages;
mod paging;
mod settle;
mod threads;
mod window;
mod writes;

use std::sync::Arc;
use std::time::Duration;

pub use pages::{BatchItemPage, BatchPage, GraphPage, ThreadPage, UserPage};

use crate::zep::port::{Resends, Zep};
use crate::zep::transport::{Connection, Transport, TransportStats};

/// A write is late for at least this long, however short the time-out is. Ours: Zep does not know it.
const LATE_AT_LEAST: Duration = Duration::from_secs(5);

/// Zep Cloud, generation 3.
#[derive(Debug)]
pub struct ZepCloud {
    transport: Transport,
    paging: paging::Paging,
    resends: Option<Arc<dyn Resends>>,
}

impl ZepCloud {
    /// Does no work: the first call connects.
    pub fn new(connection: Connection) -> Self {
        Self {
            transport: Transport::new(connection, "/api/v2"),
            paging: paging::Paging::default(),
            resends: None,
        }
    }

    /// The same, which tells what it sends again.
    #[must_use]
    pub fn telling(mut self, resends: Arc<dyn Resends>) -> Self {
        self.resends = Some(resends);
        self
    }
}

impl Zep for ZepCloud {
    fn backend(&self) -> &'static str {
        "zep"
    }

    fn clock_ahead_secs(&self) -> Option<i64> {
        self.transport.clock_ahead_secs()
    }

    fn call_limit(&self) -> Option<Duration> {
        Some(self.transport.timeout())
    }

    /// Ours: what a gateway still retries after our time-out is at most as old again.
    fn late_limit(&self) -> Option<Duration> {
        Some(self.transport.timeout().max(LATE_AT_LEAST))
    }

    fn resends(&self) -> Option<&dyn Resends> {
        self.resends.as_deref()
    }

    fn stats(&self) -> Option<TransportStats> {
        Some(self.transport.stats())
    }
}
