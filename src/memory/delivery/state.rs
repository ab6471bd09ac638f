//! The state of delivery in this process.

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::breaker::Breaker;
use super::waiters::Waiters;

/// The state of delivery in this process.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    pub(super) waiters: Waiters,
    /// Something was put in, or is over.
    pub(super) put: Notify,
    /// mem0 is to be told something.
    pub(crate) copied: Notify,
    pub(crate) breaker: Breaker,
    /// Ends the delivery of what is left.
    pub(crate) end: CancellationToken,
}

impl Delivery {
    /// Lets what is left be looked at now.
    pub(crate) fn hurry(&self) {
        self.put.notify_one();
    }
}
