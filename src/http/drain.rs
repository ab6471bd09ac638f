//! Ending without dropping what is being done.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::listen::Door;
use super::sessions::Sessions;

/// How long what is written already may take to be read by the other end.
const SENT_WITHIN: Duration = Duration::from_secs(2);

/// What is to be ended.
pub(super) struct Drain {
    /// Where connections come in.
    pub door: Arc<Door>,
    /// Whose calls are waited for.
    pub sessions: Arc<Sessions>,
    /// Ends streams.
    pub end: CancellationToken,
    /// How long calls may go on.
    pub grace: Duration,
}

impl Drain {
    /// Takes nobody in any more, lets calls in flight be answered for as long as they may take, or
    /// until `hurry`, then ends streams and connections. A stream that is only open keeps nobody
    /// waiting.
    pub async fn run(self, hurry: CancellationToken) {
        self.door.close();
        let calls = &self.sessions.calls;
        calls.close();
        tracing::info!(
            calls = calls.len(),
            sessions = self.sessions.count(),
            "stopping: calls in flight are finished"
        );
        let finished = tokio::select! {
            finished = tokio::time::timeout(self.grace, calls.wait()) => finished.is_ok(),
            () = hurry.cancelled() => false,
        };
        if !finished {
            tracing::warn!(calls = calls.len(), "calls were not finished in time");
        }
        self.sessions.end_all();
        self.end.cancel();
        self.door.empty(SENT_WITHIN).await;
    }
}
