//! Takes what is deleted out of the queue before Zep is asked: nothing that waits brings it back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Purged;
use crate::memory::{
    Result,
    model::{Owner, Scope},
    queue::{CLAIM, Cancelled, Job},
    service::MemoryService,
    write::work::Work,
};

/// How often it is looked whether what is being sent is sent. Ours.
const LOOK: Duration = Duration::from_millis(50);

impl MemoryService {
    /// Forgets what waits for Zep in this scope, and waits for what is just being sent, so that it is
    /// deleted there. What is put in meanwhile stays. Called before the owner is held alone, which
    /// deliveries share. Counts what did not reach Zep.
    pub(super) async fn clear_queue(&self, owner: &Owner, scope: &Scope) -> Result<Purged> {
        let mut done = Purged::default();
        let Some(queue) = self.inner.queue.clone() else {
            return Ok(done);
        };
        let mut being_sent = BTreeSet::new();
        let mut last = 0;
        while let Some(job) = queue.after(Some(owner), last).await? {
            last = job.number;
            let Some(records) = self.waiting_in(&job, scope) else {
                continue;
            };
            match queue.cancel(job.number).await? {
                Cancelled::Done => {
                    let count = match job.lane.session {
                        Some(_) => &mut done.messages,
                        None => &mut done.texts,
                    };
                    *count += records.len() as u64;
                    // What an earlier attempt may have sent does not stay if it arrives.
                    if job.in_doubt {
                        self.note_deleted(&job.lane, records).await;
                    }
                }
                Cancelled::Claimed => {
                    being_sent.insert(job.number);
                }
                Cancelled::NotThere => {}
            }
        }
        let begun = Instant::now();
        for number in being_sent {
            // A claim that is not kept expires.
            while queue.cancel(number).await? == Cancelled::Claimed {
                if begun.elapsed() > CLAIM {
                    queue.remove(number).await?;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(done)
    }

    /// The records of a job that are in this scope; `None` if it is not in it.
    fn waiting_in(&self, job: &Job, scope: &Scope) -> Option<Vec<String>> {
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
}
