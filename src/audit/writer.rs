//! The thread that writes the trail, and what waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::append::{Appender, Dated};
use super::entry::{Entry, TrailNote};
use super::error;
use super::folder::Folder;
use super::trail::State;

/// The most memory of entries that wait, in bytes. Ours: tens of thousands of entries, which only come
/// together while the trail cannot be written.
const MAX_WAITING_BYTES: usize = 8 << 20;
/// The most that is written at once, in bytes.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How often a trail that cannot be written is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often entries are made to survive a power cut.
const SYNC: Duration = Duration::from_secs(1);
/// How often it is logged that the trail cannot be written.
const LOGGED: Duration = Duration::from_secs(60);

/// Writes entries in the order in which they come.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    threads: Mutex<Option<[JoinHandle<()>; 2]>>,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something waits, or it ends.
    wake: Condvar,
    /// Something is to be synchronised, or it ends.
    written: Condvar,
    appender: Mutex<Appender>,
    folder: Folder,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<(Dated, Option<oneshot::Sender<()>>)>,
    bytes: usize,
    /// Who waits for an attempt.
    probes: Vec<oneshot::Sender<()>>,
    /// Entries that there was no room for.
    dropped: u64,
    /// Whether an attempt was made, and the last one succeeded.
    is_ready: bool,
    failing: Option<Failing>,
    /// The file that holds entries that are not synchronised yet.
    unsynced: Option<u64>,
    ending: bool,
}

#[derive(Debug)]
struct Failing {
    problem: String,
    tried: Instant,
    logged: Instant,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    pub(super) fn new(folder: Folder, max_bytes: u64, keep: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                waiting: Mutex::default(),
                wake: Condvar::new(),
                written: Condvar::new(),
                appender: Mutex::new(Appender::new(folder.clone(), max_bytes, keep)),
                folder,
            }),
            threads: Mutex::new(None),
        }
    }

    /// Whether the last attempt succeeded.
    pub(super) fn is_ready(&self) -> bool {
        self.shared.waiting().is_ready
    }

    pub(super) fn state(&self) -> State {
        let waiting = self.shared.waiting();
        match &waiting.failing {
            Some(failing) => State::Failing {
                problem: failing.problem.clone(),
                waiting: waiting.entries.len(),
            },
            None => State::Well,
        }
    }

    /// Tries to write, unless that was done a moment ago.
    pub(super) async fn probe(&self) {
        let (done, tried) = oneshot::channel();
        {
            let mut waiting = self.shared.waiting();
            let recently = waiting
                .failing
                .as_ref()
                .is_some_and(|failing| failing.tried.elapsed() < RETRY);
            if recently {
                return;
            }
            waiting.probes.push(done);
        }
        self.start();
        self.shared.wake.notify_one();
        let _ = tried.await;
    }

    /// Hands over an entry; whether it is worth to wait for it.
    pub(super) fn push(&self, entry: Dated, done: Option<oneshot::Sender<()>>) -> bool {
        let is_well = {
            let mut waiting = self.shared.waiting();
            let bytes = waiting.bytes + entry.json.len();
            if bytes > MAX_WAITING_BYTES || waiting.ending {
                waiting.dropped += 1;
                return false;
            }
            waiting.bytes = bytes;
            waiting.entries.push_back((entry, done));
            waiting.failing.is_none()
        };
        self.start();
        self.shared.wake.notify_one();
        is_well
    }

    /// An entry is not written in time: the disk hangs.
    pub(super) fn is_stuck(&self) {
        let mut waiting = self.shared.waiting();
        waiting.fail("the disk does not answer; check it".to_owned());
    }

    /// Starts the threads, if they do not run yet.
    fn start(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.is_some() || self.shared.waiting().ending {
            return;
        }
        let (write, sync) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let spawned = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || write.write())
            .and_then(|writing| {
                let syncing = std::thread::Builder::new()
                    .name("audit-sync".into())
                    .spawn(move || sync.sync())?;
                Ok([writing, syncing])
            });
        match spawned {
            Ok(spawned) => *threads = Some(spawned),
            Err(failed) => {
                let mut waiting = self.shared.waiting();
                waiting.fail(format!("no thread can be started ({failed})"));
                waiting.probes.clear();
            }
        }
    }

    /// Writes what waits, and ends the threads.
    pub(super) fn close(&self) {
        self.shared.waiting().ending = true;
        self.shared.wake.notify_one();
        self.shared.written.notify_one();
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        for thread in threads.into_iter().flatten() {
            let _ = thread.join();
        }
        let waiting = self.shared.waiting();
        if let Some(file) = waiting.unsynced {
            let _ = self.shared.folder.sync(file);
        }
        let lost = waiting.entries.len() as u64 + waiting.dropped;
        if lost > 0 {
            tracing::error!(
                lost,
                "entries of the audit trail could not be written and are lost"
            );
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Waiting {
    fn fail(&mut self, problem: String) {
        let now = Instant::now();
        self.is_ready = false;
        let logged = self.failing.as_ref().map(|failing| failing.logged);
        let logs = logged.is_none_or(|at| at.elapsed() >= LOGGED);
        if logs {
            tracing::warn!(
                problem,
                waiting = self.entries.len(),
                "the audit trail cannot be written"
            );
        }
        self.failing = Some(Failing {
            problem,
            tried: now,
            logged: logged.filter(|_| !logs).unwrap_or(now),
        });
    }

    /// The entries to write at once.
    fn batch(&self) -> Vec<Dated> {
        let mut bytes = 0;
        let fitting = self
            .entries
            .iter()
            .map(|(entry, _)| entry)
            .take_while(|entry| {
                let fits = bytes == 0 || bytes + entry.json.len() <= MAX_BATCH_BYTES;
                bytes += entry.json.len();
                fits
            });
        fitting.cloned().collect()
    }
}

impl Shared {
    /// Writes what comes until the end.
    fn write(&self) {
        let mut appender = self.appender.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (mut batch, dropped) = {
                let mut waiting = self.waiting();
                loop {
                    let has_work = !waiting.entries.is_empty() || !waiting.probes.is_empty();
                    let is_due = waiting
                        .failing
                        .as_ref()
                        .is_none_or(|failing| failing.tried.elapsed() >= RETRY);
                    if waiting.ending || (has_work && is_due) || !waiting.probes.is_empty() {
                        break;
                    }
                    let failing = waiting.failing.is_some() && has_work;
                    waiting = match failing {
                        true => {
                            let waited = self.wake.wait_timeout(waiting, RETRY / 4);
                            waited.unwrap_or_else(PoisonError::into_inner).0
                        }
                        false => {
                            let woken = self.wake.wait(waiting);
                            woken.unwrap_or_else(PoisonError::into_inner)
                        }
                    };
                }
                if waiting.ending && waiting.entries.is_empty() {
                    waiting.probes.clear();
                    return;
                }
                (waiting.batch(), waiting.dropped)
            };
            let count = batch.len();
            if dropped > 0 {
                let note = TrailNote::EntriesDropped { count: dropped };
                batch.push(Dated::now(&Entry::of_trail(note)));
            }
            let done = match batch.is_empty() {
                true => appender.probe(),
                false => appender.append(&batch),
            };
            let mut waiting = self.waiting();
            match done {
                Ok(()) => {
                    if waiting.failing.take().is_some() {
                        tracing::info!("the audit trail can be written again");
                    }
                    waiting.is_ready = true;
                    waiting.dropped -= dropped;
                    for (entry, done) in waiting.entries.drain(..count).collect::<Vec<_>>() {
                        waiting.bytes -= entry.json.len();
                        if let Some(done) = done {
                            let _ = done.send(());
                        }
                    }
                    if count > 0 {
                        let before = std::mem::replace(&mut waiting.unsynced, appender.file());
                        // Once the other thread knows of any, it waits for the time alone.
                        if before.is_none() {
                            self.written.notify_one();
                        }
                    }
                }
                Err(failed) => {
                    waiting.fail(error::problem(&failed));
                    // Nobody waits for a disk.
                    for (_, done) in &mut waiting.entries {
                        *done = None;
                    }
                    if waiting.ending {
                        return;
                    }
                }
            }
            waiting.probes.clear();
        }
    }

    /// Makes what was written survive a power cut, once a second. On a thread of its own, since a disk
    /// may take long for it.
    fn sync(&self) {
        let mut waiting = self.waiting();
        loop {
            match (waiting.ending, waiting.unsynced) {
                // What is left is synchronised after the last entry.
                (true, _) => return,
                (false, None) => {
                    let woken = self.written.wait(waiting);
                    waiting = woken.unwrap_or_else(PoisonError::into_inner);
                }
                (false, Some(_)) => {
                    let waited = self
                        .written
                        .wait_timeout_while(waiting, SYNC, |it| !it.ending);
                    waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
                    if waiting.ending {
                        return;
                    }
                    let Some(file) = waiting.unsynced.take() else {
                        continue;
                    };
                    drop(waiting);
                    if let Err(failed) = self.folder.sync(file) {
                        tracing::warn!(%failed, "the audit trail may not survive a power cut");
                    }
                    waiting = self.waiting();
                }
            }
        }
    }
}
