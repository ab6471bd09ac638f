//! Calls that wait for a job of the queue. A call that leaves and a job that is done agree on which
//! came first: a call either gets the outcome, or has answered that its memories are queued.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot::{self, Receiver, Sender};

use crate::memory::{Result, mem0::Accepted, model::AddedMemory};

/// What is stored of a job.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    /// In Zep.
    pub(super) memories: Vec<AddedMemory>,
    /// What mem0 answered, if the owner is its.
    pub(super) in_mem0: Option<Accepted>,
}

/// What a waiting call is told.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// They are stored, or were refused.
    Settled(Result<Stored>),
    /// Zep failed; they stay in the queue.
    Later,
}

/// The waiting calls of this process, by the number of their job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiters(Arc<Mutex<HashMap<i64, Calls>>>);

/// The calls that wait for one job; several if a call is repeated.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: Vec<Sender<Told>>,
    /// Whether a call may have answered that the memories are queued.
    pub(super) promised: bool,
}

/// A call that waits. It leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    waiters: Waiters,
    number: i64,
    told: Receiver<Told>,
}

impl Waiters {
    /// Lets a call wait for this job. `promised`: whether another call may have answered that its
    /// memories are queued.
    pub(super) fn enter(&self, number: i64, promised: bool) -> Waiting {
        let (tell, told) = oneshot::channel();
        let mut all = self.all();
        let calls = all.entry(number).or_default();
        calls.waiting.push(tell);
        calls.promised |= promised;
        Waiting {
            waiters: self.clone(),
            number,
            told,
        }
    }

    /// Takes the calls that wait for a job, which then must be told. Without any, the memories were
    /// promised.
    pub(super) fn take(&self, number: i64) -> Calls {
        self.all().remove(&number).unwrap_or(Calls {
            waiting: Vec::new(),
            promised: true,
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<i64, Calls>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    pub(super) fn tell(self, told: &Told) {
        for call in self.waiting {
            let _ = call.send(told.clone());
        }
    }
}

impl Waiting {
    /// Waits until the job is done, at most so long; `None` if it is not, and the memories are promised.
    pub(super) async fn at_most(mut self, patience: Duration) -> Option<Told> {
        if let Ok(told) = tokio::time::timeout(patience, &mut self.told).await {
            return told.ok();
        }
        if self.leave() {
            return None;
        }
        // It is done at this very moment.
        (&mut self.told).await.ok()
    }

    /// Whether nobody had taken the call to tell it.
    fn leave(&mut self) -> bool {
        let mut all = self.waiters.all();
        let Some(calls) = all.get_mut(&self.number) else {
            return false;
        };
        self.told.close();
        let before = calls.waiting.len();
        calls.waiting.retain(|call| !call.is_closed());
        calls.promised = true;
        let left = calls.waiting.len() < before;
        if calls.waiting.is_empty() {
            all.remove(&self.number);
        }
        left
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.leave();
    }
}
