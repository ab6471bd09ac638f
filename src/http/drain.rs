//! Graceful shutdown: calls in flight are finished first.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use super::mcp_sessions::McpSessions;

/// How long clients have to read responses that are already written.
const SENT_WITHIN: Duration = Duration::from_secs(2);

/// What a shutdown ends.
pub(super) struct Drain {
    pub(super) connections: Arc<Connections>,
    pub(super) sessions: Arc<McpSessions>,
    /// Ends streams.
    pub(super) end: CancellationToken,
    /// How long calls may continue.
    pub(super) grace: Duration,
}

impl Drain {
    /// Accepts no more connections, waits for calls in flight for at most `grace` or until `hurry`,
    /// then ends streams and connections. Idle streams are not waited for.
    pub(super) async fn run(self, hurry: CancellationToken) {
        self.connections.close();
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
        self.connections.ended(SENT_WITHIN).await;
    }
}
