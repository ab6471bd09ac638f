//! Answers of sessions at `/mcp`, kept for clients whose line broke: they come back with the id of the
//! last event they saw, and go on from there. rmcp forgets an answer once it is sent, whether
//! somebody was there to read it or not.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;

/// How long an answer is kept that may not have been read. Clients come back after some seconds.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// What all answers that are kept take together, in bytes as they are sent. Ours.
const KEPT_BYTES: u64 = 32 << 20;
/// An answer that took longer than this is kept although it was sent: a line that broke meanwhile
/// takes it without a word. Quicker ones are kept if it is known that nobody read them.
const LONG: Duration = Duration::from_secs(1);
/// The most events of one call that are kept: all but the last few are progress, and outdated.
const MOST_EVENTS: usize = 64;

/// What a call is known by: its session, and rmcp's number of its stream.
type Key = (SessionId, u64);

/// The answers of all sessions.
#[derive(Debug)]
pub(super) struct Answers {
    /// Those that are not finished.
    open: Mutex<HashMap<Key, Arc<Answer>>>,
    /// Those that are.
    finished: Cache<Key, Arc<Answer>>,
}

/// The events of one call so far.
#[derive(Debug)]
struct Answer {
    events: Mutex<Events>,
    /// Told of each change.
    changed: watch::Sender<()>,
    /// Cancelled once its client came back: then nobody reads the first stream any more.
    resumed: CancellationToken,
}

#[derive(Debug, Default)]
struct Events {
    kept: VecDeque<(u64, ServerSseMessage)>,
    are_all: bool,
}

impl Answer {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::default(),
            changed: watch::Sender::new(()),
            resumed: CancellationToken::new(),
        })
    }

    fn push(&self, index: u64, event: ServerSseMessage) {
        let mut events = lock(&self.events);
        if events.kept.len() >= MOST_EVENTS {
            events.kept.pop_front();
        }
        events.kept.push_back((index, event));
        drop(events);
        self.changed.send_replace(());
    }

    fn finish(&self) {
        lock(&self.events).are_all = true;
        self.changed.send_replace(());
    }

    /// How much it takes, in bytes as it is sent.
    fn size(&self) -> u64 {
        let events = lock(&self.events);
        let messages = events
            .kept
            .iter()
            .filter_map(|(_, event)| event.message.as_deref());
        let size: usize = messages
            .map(|message| serde_json::to_vec(message).map_or(0, |text| text.len()))
            .sum();
        size as u64
    }

    /// The events behind this one, those to come included.
    fn after(self: Arc<Self>, index: u64) -> impl Stream<Item = ServerSseMessage> + Send + 'static {
        let changed = self.changed.subscribe();
        stream::unfold(
            (self, changed, index),
            |(answer, mut changed, seen)| async move {
                loop {
                    {
                        let events = lock(&answer.events);
                        let next = events.kept.iter().find(|(index, _)| *index > seen);
                        if let Some((index, event)) = next {
                            let (index, event) = (*index, event.clone());
                            drop(events);
                            return Some((event, (answer, changed, index)));
                        }
                        if events.are_all {
                            return None;
                        }
                    }
                    changed.changed().await.ok()?;
                }
            },
        )
    }
}

/// What it guards is whole after each step, whatever happened to a thread that held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of an event and that of its stream (rmcp writes `<event>/<stream>`); `None` for events
/// that belong to no call.
fn numbers(event_id: &str) -> Option<(u64, u64)> {
    let (index, stream) = event_id.split_once('/')?;
    Some((index.parse().ok()?, stream.parse().ok()?))
}

impl Answers {
    /// None yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            finished: Cache::weighing(KEPT_BYTES, |answer: &Arc<Answer>| answer.size())
                .expiring(KEPT_FOR),
        })
    }

    /// The events of a call, which are listened to until the last of them even if nobody reads them
    /// any more.
    pub fn keeping(
        self: &Arc<Self>,
        session: SessionId,
        events: impl Stream<Item = ServerSseMessage> + Send + 'static,
    ) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(Arc::clone(self).listen(session, events, sender));
        of(receiver)
    }

    async fn listen(
        self: Arc<Self>,
        session: SessionId,
        events: impl Stream<Item = ServerSseMessage> + Send + 'static,
        sender: mpsc::Sender<ServerSseMessage>,
    ) {
        let begun = Instant::now();
        let mut events = std::pin::pin!(events);
        let mut kept: Option<(Key, Arc<Answer>)> = None;
        let mut reader = Some(sender);
        while let Some(event) = events.next().await {
            if let Some((index, stream)) = event.event_id.as_deref().and_then(numbers) {
                let (_, answer) = kept.get_or_insert_with(|| {
                    let key = (Arc::clone(&session), stream);
                    let answer = Answer::new();
                    lock(&self.open).insert(key.clone(), Arc::clone(&answer));
                    (key, answer)
                });
                answer.push(index, event.clone());
            }
            let Some(live) = &reader else { continue };
            let resumed = kept.as_ref().map(|(_, answer)| answer.resumed.clone());
            let is_read = tokio::select! {
                sent = live.send(event) => sent.is_ok(),
                () = resumed.unwrap_or_default().cancelled_owned() => false,
            };
            if !is_read {
                reader = None;
            }
        }
        let Some((key, answer)) = kept else { return };
        answer.finish();
        // There is a place in the channel again once the last event is taken out of it.
        let is_read = match &reader {
            Some(live) => tokio::select! {
                place = live.reserve() => place.is_ok(),
                () = answer.resumed.cancelled() => false,
            },
            None => false,
        };
        if !is_read || begun.elapsed() > LONG {
            self.finished.insert(key.clone(), answer);
        }
        lock(&self.open).remove(&key);
    }

    /// The events of a call behind this one; `None` if there is no such call (any more).
    pub fn resume(
        &self,
        session: &SessionId,
        last_event_id: &str,
    ) -> Option<impl Stream<Item = ServerSseMessage> + Send + Sync + use<>> {
        let (index, stream) = numbers(last_event_id)?;
        let key = (Arc::clone(session), stream);
        let open = lock(&self.open).get(&key).cloned();
        let answer = open.or_else(|| self.finished.get(&key))?;
        answer.resumed.cancel();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut events = std::pin::pin!(answer.after(index));
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
        Some(of(receiver))
    }
}

fn of(
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
    async fn whoever_comes_back_goes_on_where_they_were_and_misses_nothing() {
        let answers = Answers::new();
        let session: SessionId = "one".into();
        let (sender, events) = mpsc::channel(16);
        let mut first = Box::pin(answers.keeping(Arc::clone(&session), of(events)));
        for index in 0..2 {
            sender.send(event(index)).await.unwrap();
        }
        first.next().await.unwrap();
        drop(first);
        // While it goes on.
        let mut second = Box::pin(answers.resume(&session, "0/7").unwrap());
        assert_eq!(ids(&[second.next().await.unwrap()]), ["1/7"]);
        assert!(second.next().now_or_never().is_none(), "it goes on");
        drop(second);
        for index in 2..4 {
            sender.send(event(index)).await.unwrap();
        }
        drop(sender);
        // When it is over: as often as they like.
        for _ in 0..2 {
            let rest: Vec<_> = answers.resume(&session, "1/7").unwrap().collect().await;
            assert_eq!(ids(&rest), ["2/7", "3/7"]);
        }
        assert!(answers.resume(&session, "1/8").is_none());
        assert!(answers.resume(&session, "1").is_none());
        assert!(answers.resume(&"two".into(), "1/7").is_none());
    }

    #[tokio::test]
    async fn what_was_read_at_once_is_not_kept() {
        let answers = Answers::new();
        let session: SessionId = "one".into();
        let events = stream::iter((0..3).map(event));
        let read: Vec<_> = answers
            .keeping(Arc::clone(&session), events)
            .collect()
            .await;
        assert_eq!(ids(&read), ["0/7", "1/7", "2/7"]);
        while !lock(&answers.open).is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(answers.resume(&session, "0/7").is_none());
    }

    #[tokio::test]
    async fn a_reader_who_stopped_reading_holds_up_nothing_once_they_came_back() {
        let answers = Answers::new();
        let session: SessionId = "one".into();
        let events = stream::iter((0..200).map(event));
        // Held, and never read.
        let _stuck = answers.keeping(Arc::clone(&session), events);
        let resumed = loop {
            if let Some(resumed) = answers.resume(&session, "0/7") {
                break resumed;
            }
            tokio::task::yield_now().await;
        };
        let rest: Vec<_> = resumed.collect().await;
        assert_eq!(ids(&rest).last(), Some(&"199/7"));
        assert!(lock(&answers.open).len() <= 1);
    }
}
