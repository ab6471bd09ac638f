//! Takes what is deleted out of the queue: nothing that waits brings it back.

use std::time::{Duration, Instant};

use super::Purged;
use crate::memory::{
    Result,
    model::{Owner, Scope},
    queue::{CLAIM, Cancelled, Job, Lane},
    service::MemoryService,
    write::work::Work,
};

/// How often it is looked whether what is being sent is sent. Ours.
const LOOK: Duration = Duration::from_millis(50);

/// A job that waited when a deletion began. What is put in later stays.
pub(crate) struct Waiting {
    number: i64,
    lane: Lane,
    in_doubt: bool,
    /// The ids of its records.
    records: Vec<String>,
}

impl MemoryService {
    /// What waits in this scope.
    pub(crate) async fn waiting_in(&self, owner: &Owner, scope: &Scope) -> Result<Vec<Waiting>> {
        let mut waiting = Vec::new();
        let Some(queue) = &self.inner.queue else {
            return Ok(waiting);
        };
        let mut last = 0;
        while let Some(job) = queue.after(Some(owner), last).await? {
            last = job.number;
            if let Some(records) = records_in(&job, scope) {
                waiting.push(Waiting {
                    number: job.number,
                    lane: job.lane,
                    in_doubt: job.in_doubt,
                    records,
                });
            }
        }
        Ok(waiting)
    }

    /// Forgets these jobs, and counts what did not reach Zep. The owner is held alone, so that this
    /// process sends nothing of them; what another one is sending is waited for, so that it is deleted in
    /// Zep. Whether there was such.
    pub(crate) async fn forget_waiting(
        &self,
        waiting: Vec<Waiting>,
        done: &mut Purged,
    ) -> Result<bool> {
        let Some(queue) = &self.inner.queue else {
            return Ok(false);
        };
        let mut was_sent = false;
        let begun = Instant::now();
        for job in waiting {
            let forgotten = loop {
                match queue.cancel(job.number).await? {
                    Cancelled::Done => break true,
                    Cancelled::NotThere => break false,
                    // This process waits for the owner with it; a claim that nobody keeps expires.
                    Cancelled::Claimed
                        if queue.holds(job.number).await? || begun.elapsed() > CLAIM =>
                    {
                        queue.remove(job.number).await?;
                        break true;
                    }
                    Cancelled::Claimed => tokio::time::sleep(LOOK).await,
                }
            };
            was_sent |= !forgotten;
            if forgotten {
                let count = match job.lane.session {
                    Some(_) => &mut done.messages,
                    None => &mut done.texts,
                };
                *count += job.records.len() as u64;
                // What an earlier attempt may have sent does not stay if it arrives.
                if job.in_doubt {
                    self.note_deleted(&job.lane, job.records).await;
                }
            }
        }
        Ok(was_sent)
    }
}

/// The records of a job that are in this scope; `None` if it is not in it.
fn records_in(job: &Job, scope: &Scope) -> Option<Vec<String>> {
    if scope.session.is_some() && scope.session != job.lane.session {
        return None;
    }
    let request = match Work::decode(&job.body) {
        Ok(Work::Add(request)) => request,
        // A change of what is deleted fails, and of what is not, stays. What nobody can read is its
        // owner's still.
        _ => return (scope.agent.is_none() && scope.app.is_none()).then(Vec::new),
    };
    let of = &request.new.scope;
    // An agent's own graph needs no mark of the agent.
    let is_agents = matches!(job.lane.owner, Owner::Graph(_));
    let agent = scope.agent.is_none() || is_agents || scope.agent == of.agent;
    let app = scope.app.is_none() || scope.app == of.app;
    let records = || request.records().unwrap_or_default();
    (agent && app).then(|| {
        records()
            .iter()
            .map(|record| record.id().to_owned())
            .collect()
    })
}
