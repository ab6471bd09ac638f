//! Progress notifications of a long call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use tokio::sync::mpsc;

use crate::migration::{Phase, Progress, Watch};

/// Sends the client progress notifications if it asked for them: at the start of each phase, at
/// intervals, and at the end.
pub(super) struct ProgressReporter {
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
    sender: mpsc::UnboundedSender<Progress>,
    receiver: mpsc::UnboundedReceiver<Progress>,
}

impl ProgressReporter {
    /// For the call of this context.
    pub(super) fn new(context: &RequestContext<RoleServer>) -> Self {
        // Few are queued: see `Throttled`.
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            peer: context.peer.clone(),
            token: context.meta.get_progress_token(),
            sender,
            receiver,
        }
    }

    /// Progress sink of the migrator.
    pub(super) fn watch(&self) -> Arc<dyn Watch> {
        Arc::new(Throttled {
            sender: self.sender.clone(),
            sent: Mutex::new(None),
        })
    }

    /// Runs the work and sends notifications meanwhile.
    pub(super) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let Self {
            peer,
            token,
            mut receiver,
            ..
        } = self;
        let Some(token) = token else {
            drop(receiver);
            return work.await;
        };
        let mut sent = 0.0;
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => {
                    while let Ok(progress) = receiver.try_recv() {
                        sent = notify(&peer, token.clone(), progress, sent).await;
                    }
                    return outcome;
                }
                Some(progress) = receiver.recv() => {
                    sent = notify(&peer, token.clone(), progress, sent).await;
                }
            }
        }
    }
}

/// The least time between two notifications of a phase.
const INTERVAL: Duration = Duration::from_millis(200);

/// Passes on the start and end of each phase, and what comes between at intervals.
struct Throttled {
    sender: mpsc::UnboundedSender<Progress>,
    /// The last phase passed on, and when.
    sent: Mutex<Option<(Phase, Instant)>>,
}

impl Watch for Throttled {
    fn at(&self, progress: Progress) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let due = sent.is_none_or(|(phase, at)| {
            phase != progress.phase
                || at.elapsed() >= INTERVAL
                || progress.total == Some(progress.done)
        });
        if due {
            *sent = Some((progress.phase, Instant::now()));
            // Without a progress token nobody receives.
            let _ = self.sender.send(progress);
        }
    }
}

/// Notifies the client if there is progress since the last notification; returns the percentage sent.
async fn notify(
    peer: &Peer<RoleServer>,
    token: ProgressToken,
    progress: Progress,
    sent: f64,
) -> f64 {
    let percent = percent(progress);
    // MCP: the value must increase with each notification.
    if percent <= sent {
        return sent;
    }
    let message = match (progress.phase, progress.total) {
        (phase @ (Phase::Writing | Phase::Validating), Some(total)) => {
            format!("{}: {} of {total} records", phase.as_str(), progress.done)
        }
        (phase, _) => phase.as_str().to_owned(),
    };
    let notification = ProgressNotificationParam::new(token, percent)
        .with_total(100.0)
        .with_message(message);
    // A client that is gone needs no progress.
    let _ = peer.notify_progress(notification).await;
    percent
}

/// Percentage of the whole; reading and planning count as a tenth.
fn percent(progress: Progress) -> f64 {
    let share = match progress.total {
        Some(total) if total > 0 => progress.done.min(total) as f64 / total as f64,
        _ => 0.0,
    };
    match progress.phase {
        Phase::Reading => 1.0 + share * 4.0,
        Phase::Planning => 5.0 + share * 5.0,
        Phase::Writing | Phase::Validating | Phase::Removing => 10.0 + share * 90.0,
    }
}
