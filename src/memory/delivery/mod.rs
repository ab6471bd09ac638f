//! Carries out the jobs of the queue: those of this process's calls at once, those that are left later,
//! also another process's.
//!
//! - `add`: calls that add memories. `changes`: calls that change or delete one. `waiters`: how long they
//!   wait, and what they are told.
//! - `carry_out`: what a job does. `fate`: what becomes of one that failed.
//! - `state`: what a process knows of it. `breaker`: whether Zep answers.

mod add;
pub(crate) mod breaker;
mod carry_out;
pub(crate) mod changes;
pub(crate) mod fate;
pub(crate) mod state;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use fate::{Fate, pause};
use waiters::{Stored, Told, Waiting};

use crate::memory::{
    Result,
    model::Uuid,
    queue::{Counts, Delivered, Job, Lane, NewJob, Put, Queue, RENEW},
    service::MemoryService,
    write::work::Work,
};
use crate::traces;

/// How many jobs that are left are carried out at a time. Ours: the rate limit is for calls, too.
const SIDE_BY_SIDE: usize = 8;
/// How often the queue is looked at for what other processes left. Ours.
const LOOK_AROUND: Duration = Duration::from_secs(60);

impl MemoryService {
    /// Puts a job in, and begins to carry it out if it is its lane's turn. What is begun is finished, even
    /// if the call is dropped.
    async fn put(
        &self,
        queue: Arc<dyn Queue>,
        job: NewJob,
        work: Work,
        claim: bool,
    ) -> Result<Waiting> {
        let service = self.clone();
        let put = async move {
            let delivery = &service.inner.delivery;
            match queue.put(job, claim).await? {
                Put::Claimed(job) => {
                    let waiting = delivery.waiters.enter(job.number, false);
                    let delivering = service.clone();
                    let delivered = async move { delivering.deliver(&*queue, job, work).await };
                    drop(service.inner.writes.spawn(traces::carried(delivered)));
                    Ok(waiting)
                }
                Put::Waits(number) => {
                    let waiting = delivery.waiters.enter(number, false);
                    delivery.put.notify_one();
                    Ok(waiting)
                }
            }
        };
        self.complete(put).await
    }

    /// Puts a job in and waits for it as long as a call does. Whether it is done by now.
    ///
    /// # Errors
    /// If it was refused.
    pub(crate) async fn put_and_wait(
        &self,
        lane: Lane,
        ids: Vec<Uuid>,
        work: Work,
    ) -> Result<bool> {
        let Some(queue) = self.inner.queue.clone() else {
            unreachable!("users are not moved without a queue")
        };
        let patience = queue.patience();
        let job = NewJob {
            lane,
            body: work.encode(),
            ids,
            in_doubt: false,
        };
        let waiting = self.put(queue.clone(), job, work, true).await?;
        match waiting.at_most(patience).await {
            Some(Told::Settled(outcome)) => outcome.map(|_| true),
            Some(Told::Later) | None => {
                queue.harden().await?;
                Ok(false)
            }
        }
    }

    /// How much waits; `None` without a queue.
    pub async fn queued(&self) -> Option<crate::memory::queue::Result<Counts>> {
        let queue = self.inner.queue.clone()?;
        Some(queue.counts().await)
    }

    /// Why Zep does not answer, if it does not.
    pub fn why_away(&self) -> Option<String> {
        let breaker = &self.inner.delivery.breaker;
        breaker.is_suspect().then(|| breaker.away().reason)?
    }

    /// Carries out what is left in the queue, for as long as it is polled.
    pub async fn deliver_queued(self) {
        let Some(queue) = self.inner.queue.clone() else {
            return;
        };
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        loop {
            let place = places.clone().acquire_owned();
            let place = tokio::select! {
                place = place => place.ok(),
                () = self.inner.delivery.end.cancelled() => None,
            };
            let Some(place) = place else { return };
            if self.inner.delivery.end.is_cancelled() {
                return;
            }
            let claimed = queue.claim().await.unwrap_or_else(|error| {
                tracing::warn!("{error}");
                None
            });
            if let Some(job) = claimed {
                let (service, queue) = (self.clone(), queue.clone());
                let delivered = async move {
                    let span = traces::delivery("write", job.attempts);
                    span.during(service.deliver_left(&*queue, job)).await;
                    service.inner.delivery.put.notify_one();
                    drop(place);
                };
                drop(self.inner.writes.spawn(delivered));
                self.pause_while_zep_is_down().await;
                continue;
            }
            let wait = match queue.until_next().await {
                Ok(Some(wait)) => wait.clamp(Duration::from_millis(20), LOOK_AROUND),
                Ok(None) | Err(_) => LOOK_AROUND,
            };
            tokio::select! {
                () = self.inner.delivery.put.notified() => {}
                () = tokio::time::sleep(wait) => {}
                () = self.inner.delivery.end.cancelled() => return,
            }
        }
    }

    /// While Zep fails, one job at a time is tried.
    async fn pause_while_zep_is_down(&self) {
        if let Some(surplus) = self.inner.delivery.breaker.surplus() {
            tokio::time::sleep(pause(surplus)).await;
        }
    }

    /// Carries out a job that was not begun by the call that put it in.
    async fn deliver_left(&self, queue: &dyn Queue, job: Job) {
        match Work::decode(&job.body) {
            Ok(work) => self.deliver(queue, job, work).await,
            Err(unreadable) => note(queue.park(job.number, &unreadable.to_string()).await),
        }
    }

    /// Carries out a claimed job, and tells the calls that wait for it.
    async fn deliver(&self, queue: &dyn Queue, job: Job, work: Work) {
        let carried_out = self.carry_out(queue, &job, work);
        let Some(outcome) = keeping_claim(queue, job.number, carried_out).await else {
            // Another process has it now. What this one sent is found by its ids.
            return;
        };
        let delivery = &self.inner.delivery;
        let calls = delivery.waiters.take(job.number);
        let mut is_last = false;
        let told = match outcome {
            // It was deleted.
            Ok(None) => Told::Later,
            Ok(Some(done)) => {
                if done.in_mem0.is_none() {
                    delivery.breaker.answered();
                }
                // Ids that nobody was told are not kept.
                let kept = done.memories.iter().filter(|_| calls.promised);
                let ids = kept.map(|(index, memory)| (*index, memory.id.clone()));
                match queue.delivered(&job, ids.collect(), done.follow).await {
                    // It was changed meanwhile: the change follows.
                    Ok(Delivered::Stays) => {
                        note(queue.later(job.number, Duration::ZERO, true).await);
                    }
                    Ok(Delivered::Last) => is_last = true,
                    Ok(Delivered::Followed) | Err(_) => {}
                }
                let memories = done.memories.into_iter().map(|(_, memory)| memory);
                Told::Settled(Ok(Stored {
                    memories: memories.collect(),
                    in_mem0: done.in_mem0,
                }))
            }
            Err(error) => match Fate::of(&error, calls.promised) {
                Fate::Told => {
                    note(
                        queue
                            .delivered(&job, Vec::new(), Vec::new())
                            .await
                            .map(drop),
                    );
                    Told::Settled(Err(error))
                }
                Fate::Parked => {
                    tracing::warn!(code = error.code(), "a queued write was refused for good");
                    note(queue.park(job.number, &error.to_string()).await);
                    Told::Settled(Err(error))
                }
                Fate::Later { in_doubt, after } => {
                    if error.cause().is_some() {
                        delivery.breaker.failed(Some(&error));
                    }
                    let wait = after.unwrap_or_else(|| pause(job.attempts.saturating_sub(1)));
                    let in_doubt = in_doubt || job.in_doubt;
                    note(queue.later(job.number, wait, in_doubt).await);
                    Told::Later
                }
            },
        };
        if !is_last {
            delivery.put.notify_one();
        }
        calls.tell(&told);
    }
}

/// Waits for a write, and keeps its claim meanwhile; `None` if another process took it.
pub(crate) async fn keeping_claim<T>(
    queue: &dyn Queue,
    number: i64,
    write: impl Future<Output = T>,
) -> Option<T> {
    let mut write = std::pin::pin!(write);
    loop {
        if let Ok(done) = tokio::time::timeout(RENEW, &mut write).await {
            return Some(done);
        }
        // A file that cannot be read now says nothing about the claim.
        if let Ok(false) = queue.renew(number).await {
            return None;
        }
    }
}

fn note(done: crate::memory::queue::Result<()>) {
    if let Err(error) = done {
        tracing::warn!("{error}");
    }
}
