//! Keeps responses at `/mcp` for clients that lose their connection: a client reconnects with the id
//! of the last event it received and continues from there. rmcp forgets a response once it is sent,
//! even if the client did not receive it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use rmcp::model::ServerJsonRpcMessage;
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::access::Subject;
use super::shares::{Account, Held, lock};

/// How long a response is kept that may not have been received. Clients reconnect within seconds.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// The most that the kept responses of one token take together, in bytes as they are sent. Ours. They
/// also count as unread answers, which are bounded in all.
const KEPT_BYTES: usize = 16 << 20;
/// A response that took longer than this is kept even if it was sent: writing to a connection that
/// broke meanwhile fails only later. Quicker ones are kept only if sending them failed.
const LONG: Duration = Duration::from_secs(1);
/// The most events of one call that are kept: older ones are outdated progress.
const MAX_EVENTS: usize = 64;

/// Identifies a call: its session, and rmcp's number of its stream.
type Key = (SessionId, u64);

/// The kept responses of all sessions.
#[derive(Debug)]
pub(super) struct ReplayBuffer {
    unfinished: Mutex<HashMap<Key, Arc<Recording>>>,
    finished: Mutex<Finished>,
}

/// The recordings of calls that ended.
#[derive(Debug, Default)]
struct Finished {
    recordings: HashMap<Key, Arc<Recording>>,
    /// Those of each token, the oldest first: when they ended, and their bytes.
    order: HashMap<Subject, VecDeque<(Instant, Key, usize)>>,
}

impl Finished {
    fn insert(&mut self, subject: Subject, key: Key, recording: Arc<Recording>) {
        let size = recording.size();
        let order = self.order.entry(subject).or_default();
        order.push_back((Instant::now(), key.clone(), size));
        self.recordings.insert(key, recording);
        let mut kept: usize = order.iter().map(|(_, _, size)| size).sum();
        while kept > KEPT_BYTES
            && let Some((_, oldest, size)) = order.pop_front()
        {
            self.recordings.remove(&oldest);
            kept -= size;
        }
    }

    /// Removes those that are older; returns their bytes.
    fn remove_older(&mut self, age: Duration, of: impl Fn(&Subject) -> bool) -> usize {
        let Self { recordings, order } = self;
        let mut removed = 0;
        order.retain(|subject, order| {
            while of(subject)
                && let Some((at, oldest, size)) = order.front()
                && at.elapsed() >= age
            {
                recordings.remove(oldest);
                removed += size;
                order.pop_front();
            }
            !order.is_empty()
        });
        removed
    }
}

/// The events of one call so far.
#[derive(Debug)]
struct Recording {
    events: Mutex<Events>,
    /// Notified of each change.
    changed: watch::Sender<()>,
    /// Cancelled when the client reconnects: it no longer reads the first stream.
    resumed: CancellationToken,
}

#[derive(Debug, Default)]
struct Events {
    kept: VecDeque<Kept>,
    is_complete: bool,
}

/// An event, and the memory of its response.
#[derive(Debug)]
struct Kept {
    index: u64,
    event: ServerSseMessage,
    held: Option<Held>,
}

impl Recording {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::default(),
            changed: watch::Sender::new(()),
            resumed: CancellationToken::new(),
        })
    }

    fn push(&self, kept: Kept) {
        let mut events = lock(&self.events);
        if events.kept.len() >= MAX_EVENTS {
            events.kept.pop_front();
        }
        events.kept.push_back(kept);
        drop(events);
        self.changed.send_replace(());
    }

    fn finish(&self) {
        lock(&self.events).is_complete = true;
        self.changed.send_replace(());
    }

    /// Its size in bytes as it is sent, without progress.
    fn size(&self) -> usize {
        let events = lock(&self.events);
        let held = events.kept.iter().filter_map(|kept| kept.held.as_ref());
        held.map(Held::bytes).sum()
    }

    /// The events after this one, including future ones.
    fn after(self: Arc<Self>, index: u64) -> impl Stream<Item = ServerSseMessage> + Send + 'static {
        let changed = self.changed.subscribe();
        stream::unfold(
            (self, changed, index),
            |(recording, mut changed, seen)| async move {
                loop {
                    {
                        let events = lock(&recording.events);
                        let next = events.kept.iter().find(|kept| kept.index > seen);
                        if let Some(kept) = next {
                            let (index, event) = (kept.index, kept.event.clone());
                            drop(events);
                            return Some((event, (recording, changed, index)));
                        }
                        if events.is_complete {
                            return None;
                        }
                    }
                    changed.changed().await.ok()?;
                }
            },
        )
    }
}

/// The numbers of an event and of its stream (rmcp writes `<event>/<stream>`); `None` for events
/// that belong to no call.
fn numbers(event_id: &str) -> Option<(u64, u64)> {
    let (index, stream) = event_id.split_once('/')?;
    Some((index.parse().ok()?, stream.parse().ok()?))
}

impl ReplayBuffer {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            unfinished: Mutex::default(),
            finished: Mutex::default(),
        })
    }

    /// Forgets the responses of clients that did not reconnect in time.
    pub(super) fn sweep(&self) {
        lock(&self.finished).remove_older(KEPT_FOR, |_| true);
    }

    /// Forgets the kept responses of this token; returns their bytes.
    pub(super) fn forget(&self, subject: &Subject) -> usize {
        lock(&self.finished).remove_older(Duration::ZERO, |other| other == subject)
    }

    /// Passes on the events of a call of this account and records them, to the last one even if the
    /// client stops reading.
    pub(super) fn record(
        self: &Arc<Self>,
        session: SessionId,
        account: Account,
        events: impl Stream<Item = ServerSseMessage> + Send + 'static,
    ) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(Arc::clone(self).forward(session, account, events, sender));
        stream_of(receiver)
    }

    async fn forward(
        self: Arc<Self>,
        session: SessionId,
        account: Account,
        events: impl Stream<Item = ServerSseMessage> + Send + 'static,
        sender: mpsc::Sender<ServerSseMessage>,
    ) {
        let begun = Instant::now();
        let mut events = std::pin::pin!(events);
        let mut kept: Option<(Key, Arc<Recording>)> = None;
        let mut reader = Some(sender);
        while let Some(event) = events.next().await {
            if let Some((index, stream)) = event.event_id.as_deref().and_then(numbers) {
                let (_, recording) = kept.get_or_insert_with(|| {
                    let key = (Arc::clone(&session), stream);
                    let recording = Recording::new();
                    lock(&self.unfinished).insert(key.clone(), Arc::clone(&recording));
                    (key, recording)
                });
                let response = event.message.as_deref().filter(|message| {
                    matches!(
                        message,
                        ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_)
                    )
                });
                recording.push(Kept {
                    index,
                    event: event.clone(),
                    held: response.map(|response| account.hold_message(response)),
                });
            }
            let Some(live) = &reader else { continue };
            let resumed = kept
                .as_ref()
                .map(|(_, recording)| recording.resumed.clone());
            let is_read = tokio::select! {
                sent = live.send(event) => sent.is_ok(),
                () = resumed.unwrap_or_default().cancelled_owned() => false,
            };
            if !is_read {
                reader = None;
            }
        }
        let Some((key, recording)) = kept else { return };
        recording.finish();
        // The channel has room again once the last event is read from it.
        let is_read = match &reader {
            Some(live) => tokio::select! {
                place = live.reserve() => place.is_ok(),
                () = recording.resumed.cancelled() => false,
            },
            None => false,
        };
        if !is_read || begun.elapsed() > LONG {
            let subject = account.subject().clone();
            lock(&self.finished).insert(subject, key.clone(), recording);
        }
        lock(&self.unfinished).remove(&key);
    }

    /// The events of a call after this one; `None` if its response is not kept (any more).
    pub(super) fn resume(
        &self,
        session: &SessionId,
        last_event_id: &str,
    ) -> Option<impl Stream<Item = ServerSseMessage> + Send + Sync + use<>> {
        let (index, stream) = numbers(last_event_id)?;
        let key = (Arc::clone(session), stream);
        let unfinished = lock(&self.unfinished).get(&key).cloned();
        let recording =
            unfinished.or_else(|| lock(&self.finished).recordings.get(&key).cloned())?;
        recording.resumed.cancel();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut events = std::pin::pin!(recording.after(index));
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    () = sender.closed() => return,
                };
                let Some(event) = event else { return };
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        Some(stream_of(receiver))
    }
}

fn stream_of(
    mut receiver: mpsc::Receiver<ServerSseMessage>,
) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static {
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn event(index: u64) -> ServerSseMessage {
        let mut event = ServerSseMessage::default();
        event.event_id = Some(format!("{index}/7"));
        event
    }

    fn ids(events: &[ServerSseMessage]) -> Vec<&str> {
        events
            .iter()
            .map(|event| event.event_id.as_deref().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_client_that_reconnects_continues_where_it_was_and_misses_nothing() {
        let buffer = ReplayBuffer::new();
        let session: SessionId = "one".into();
        let (sender, events) = mpsc::channel(16);
        let mut first =
            Box::pin(buffer.record(Arc::clone(&session), Account::of("ann"), stream_of(events)));
        for index in 0..2 {
            sender.send(event(index)).await.unwrap();
        }
        first.next().await.unwrap();
        drop(first);
        // While the call continues.
        let mut second = Box::pin(buffer.resume(&session, "0/7").unwrap());
        assert_eq!(ids(&[second.next().await.unwrap()]), ["1/7"]);
        assert!(second.next().now_or_never().is_none(), "it continues");
        drop(second);
        for index in 2..4 {
            sender.send(event(index)).await.unwrap();
        }
        drop(sender);
        // After the call: any number of times.
        for _ in 0..2 {
            let rest: Vec<_> = buffer.resume(&session, "1/7").unwrap().collect().await;
            assert_eq!(ids(&rest), ["2/7", "3/7"]);
        }
        assert!(buffer.resume(&session, "1/8").is_none());
        assert!(buffer.resume(&session, "1").is_none());
        assert!(buffer.resume(&"two".into(), "1/7").is_none());
    }

    #[tokio::test]
    async fn a_response_that_was_read_at_once_is_not_kept() {
        let buffer = ReplayBuffer::new();
        let session: SessionId = "one".into();
        let events = stream::iter((0..3).map(event));
        let read: Vec<_> = buffer
            .record(Arc::clone(&session), Account::of("ann"), events)
            .collect()
            .await;
        assert_eq!(ids(&read), ["0/7", "1/7", "2/7"]);
        while !lock(&buffer.unfinished).is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(buffer.resume(&session, "0/7").is_none());
    }

    #[tokio::test]
    async fn a_reader_that_stopped_blocks_nothing_after_it_reconnects() {
        let buffer = ReplayBuffer::new();
        let session: SessionId = "one".into();
        let events = stream::iter((0..200).map(event));
        // Kept open, and never read.
        let _stuck = buffer.record(Arc::clone(&session), Account::of("ann"), events);
        let resumed = loop {
            if let Some(resumed) = buffer.resume(&session, "0/7") {
                break resumed;
            }
            tokio::task::yield_now().await;
        };
        let rest: Vec<_> = resumed.collect().await;
        assert_eq!(ids(&rest).last(), Some(&"199/7"));
        assert!(lock(&buffer.unfinished).len() <= 1);
    }
}
