//! When a call may start, where clients share what the server can take.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

/// Too many calls wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the call was not started: this token's other calls and their unread answers take all memory \
     that one token may have; read the answers, or make fewer calls at once"
)]
pub(crate) struct TooBusy;

/// A call that may run, until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Turn(CancellationToken);

impl Turn {
    /// Cancelled when the call is over.
    pub(crate) fn over(&self) -> CancellationToken {
        self.0.clone()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Gives calls their turns.
#[async_trait]
pub(crate) trait Turns: fmt::Debug + Send + Sync {
    /// Waits until a call may start.
    async fn turn(&self) -> Result<Turn, TooBusy>;
}

/// Gives a request's call its turn. On a network, in the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct CallTurn(pub(crate) Arc<dyn Turns>);
