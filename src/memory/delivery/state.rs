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
    pub(crate) breaker: Breaker,
    /// Ends the delivery of what is left.
    pub(crate) end: CancellationToken,
}
