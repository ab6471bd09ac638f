//! What is written to Zep and is to be known by mem0, too: additions where mem0 is kept as a mirror, and
//! changes and deletions wherever it is read as well, since what was deleted must not come back from there.
//!
//! They wait in a queue of their own, an owner's in order. A failing mem0 fails no call.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    change::purge::EntityId,
    delivery::{
        fate::{Fate, pause},
        keeping_claim,
    },
    mem0::{Addition, Mem0, Named, Object},
    model::{Change, Owner, Scope},
    queue::{Job, Lane, NewJob, Queue},
    service::MemoryService,
    write::request::Request,
};
use crate::traces;

use super::{objects, purge, writing::of_record};

/// How often the queue is looked at for what other processes left. Ours.
const LOOK_AROUND: Duration = Duration::from_secs(60);
/// How many pages of an owner's memories are looked through for copies: all of them, within reason.
const LOOKED_THROUGH: u32 = 500;

/// What mem0 is to be told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum CopyWork {
    /// A record was stored.
    Added {
        of: Vec<(String, String)>,
        role: String,
        content: String,
        metadata: Object,
        created_at: Timestamp,
        record: String,
    },
    /// A record was changed, and has another id now.
    Changed {
        record: String,
        now: String,
        text: Option<String>,
        metadata: Option<Object>,
    },
    /// A record was deleted.
    Deleted { record: String },
    /// All memories that name these were deleted.
    Emptied { names: Vec<(String, String)> },
    /// An agent's own memories were deleted.
    OwnDeleted,
    /// A user was deleted.
    Gone { id: String },
}

impl CopyWork {
    /// What is told of a changed record.
    pub(crate) fn changed(record: &str, now: &str, change: &Change) -> Self {
        Self::Changed {
            record: record.to_owned(),
            now: now.to_owned(),
            text: change.text.clone(),
            metadata: change.metadata.clone(),
        }
    }

    fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("its keys are texts"))
    }
}

impl MemoryService {
    /// Notes what mem0 is to be told of an owner's memories, if it is told anything.
    pub(crate) async fn tell_mem0(&self, owner: &Owner, work: impl IntoIterator<Item = CopyWork>) {
        self.tell(owner, work, false).await;
    }

    /// The same; `in_doubt`: whether mem0 may have been told before.
    async fn tell(&self, owner: &Owner, work: impl IntoIterator<Item = CopyWork>, in_doubt: bool) {
        let Some(copies) = self.copies() else { return };
        for work in work {
            let job = NewJob {
                lane: Lane {
                    owner: owner.clone(),
                    session: None,
                },
                body: work.encode(),
                ids: Vec::new(),
                in_doubt,
            };
            if let Err(error) = copies.put(job, false).await {
                tracing::warn!("mem0 is not told of a change: {error}");
            }
        }
        self.inner.delivery.copied.notify_one();
    }

    /// Notes that mem0 is to have the records of a request, too, where it is a mirror. `in_doubt`: whether
    /// that may have been noted before.
    pub(crate) async fn mirror(
        &self,
        request: &Request,
        indexes: &[usize],
        in_doubt: bool,
    ) -> Result<()> {
        let is_mirror = self
            .inner
            .beside
            .as_ref()
            .is_some_and(|it| it.extras.mirror);
        if !is_mirror || self.copies().is_none() {
            return Ok(());
        }
        let new = &request.new;
        let of = objects::named(&new.scope).into_iter();
        let of: Vec<(String, String)> = of.map(|(field, id)| (field.to_owned(), id)).collect();
        let mut copies = Vec::new();
        for (index, record) in request.records()?.into_iter().enumerate() {
            if !indexes.contains(&index) {
                continue;
            }
            let mut metadata = record.metadata.clone();
            if let Some(kind) = &new.kind {
                metadata
                    .entry(objects::KIND.to_owned())
                    .or_insert_with(|| Value::from(kind.as_str()));
            }
            let turn = new.messages.get(index);
            copies.push(CopyWork::Added {
                of: of.clone(),
                role: turn.map_or_else(|| "user".to_owned(), |turn| turn.role.clone()),
                record: record.id().to_owned(),
                content: record.content,
                created_at: record.created_at,
                metadata,
            });
        }
        let in_doubt = in_doubt || request.is_keyed;
        self.tell(&request.place().owner(), copies, in_doubt).await;
        Ok(())
    }

    /// Notes that all memories of a scope were deleted.
    pub(crate) async fn tell_emptied(&self, owner: &Owner, scope: &Scope) {
        let work = match owner {
            Owner::User(_) => {
                let names = purge::names(owner, scope).into_iter();
                let names = names.map(|(field, id)| (field.to_owned(), id)).collect();
                CopyWork::Emptied { names }
            }
            Owner::Graph(_) => CopyWork::OwnDeleted,
        };
        self.tell_mem0(owner, [work]).await;
    }

    /// Notes that an entity was deleted: a user with everything, of an agent or app what is deleted in Zep.
    pub(crate) async fn tell_gone(&self, caller: &Caller, owner: &Owner, entity: &EntityId) {
        let default = Owner::User(self.default_user(caller).clone());
        let mut scope = Scope::default();
        match entity {
            EntityId::User(user) => {
                let id = user.to_string();
                return self.tell_mem0(owner, [CopyWork::Gone { id }]).await;
            }
            // Emptied already, as the default user's.
            EntityId::Run(_) => return,
            EntityId::Agent(agent) => scope.agent = Some(agent.clone()),
            EntityId::App(app) => scope.app = Some(app.clone()),
        }
        self.tell_mem0(owner, [CopyWork::OwnDeleted]).await;
        if caller.may(Right::Delete, &default).is_ok() {
            self.tell_emptied(&default, &scope).await;
        }
    }

    fn copies(&self) -> Option<&dyn Queue> {
        self.inner.beside.as_ref()?.extras.copies.as_deref()
    }

    /// Tells mem0 what it is to be told, for as long as it is polled.
    pub async fn deliver_copies(self) {
        let (Some(copies), Some(beside)) = (self.copies(), &self.inner.beside) else {
            return;
        };
        let delivery = &self.inner.delivery;
        loop {
            if delivery.end.is_cancelled() {
                return;
            }
            let claimed = copies.claim().await.unwrap_or_else(|error| {
                tracing::warn!("{error}");
                None
            });
            if let Some(job) = claimed {
                let told = carry_out(copies, beside.mem0.as_ref(), &job);
                let span = traces::delivery("copy", job.attempts);
                // Otherwise another process has it now.
                let _ = span.during(keeping_claim(copies, job.number, told)).await;
                continue;
            }
            let wait = match copies.until_next().await {
                Ok(Some(wait)) => wait.clamp(Duration::from_millis(20), LOOK_AROUND),
                Ok(None) | Err(_) => LOOK_AROUND,
            };
            tokio::select! {
                () = delivery.copied.notified() => {}
                () = tokio::time::sleep(wait) => {}
                () = delivery.end.cancelled() => return,
            }
        }
    }
}

async fn carry_out(copies: &dyn Queue, mem0: &dyn Mem0, job: &Job) {
    let noted = match serde_json::from_str(&job.body) {
        Err(_) => {
            let unreadable = "another version of this program queued it";
            copies.park(job.number, unreadable).await
        }
        Ok(work) => match told(mem0, job, work).await {
            Ok(()) => copies
                .delivered(job, Vec::new(), Vec::new())
                .await
                .map(drop),
            Err(error) => match Fate::of(&error, true) {
                Fate::Parked | Fate::Told => {
                    tracing::warn!("mem0 refused for good what it was to be told");
                    copies.park(job.number, &error.to_string()).await
                }
                Fate::Later { in_doubt, after } => {
                    let wait = after.unwrap_or_else(|| pause(job.attempts.saturating_sub(1)));
                    let in_doubt = in_doubt || job.in_doubt;
                    copies.later(job.number, wait, in_doubt).await
                }
            },
        },
    };
    if let Err(error) = noted {
        tracing::warn!("{error}");
    }
}

/// Tells mem0 what a job says.
async fn told(mem0: &dyn Mem0, job: &Job, work: CopyWork) -> Result<()> {
    let owner = &job.lane.owner;
    match work {
        CopyWork::Added {
            of,
            role,
            content,
            mut metadata,
            created_at,
            record,
        } => {
            // A process that ended may have told it.
            if (job.in_doubt || job.attempts > 1)
                && !of_record(mem0, owner, objects::COPY, &record, LOOKED_THROUGH)
                    .await?
                    .is_empty()
            {
                return Ok(());
            }
            metadata.insert(objects::COPY.to_owned(), record.into());
            mem0.add(&Addition {
                of: of.iter().filter_map(known_field).collect(),
                messages: vec![(role, content)],
                metadata,
                timestamp: Some(created_at.as_second()),
                infer: false,
            })
            .await?;
        }
        CopyWork::Changed {
            record,
            now,
            text,
            metadata,
        } => {
            for id in copies_of(mem0, owner, &record).await? {
                let there = match mem0.memory(&id).await {
                    Err(error) if error.is_not_found() => continue,
                    there => there?,
                };
                let mut fields = match (&metadata, there.get("metadata")) {
                    (Some(fields), _) => fields.clone(),
                    (None, Some(Value::Object(fields))) => fields.clone(),
                    (None, _) => Object::new(),
                };
                fields.insert(objects::COPY.to_owned(), now.clone().into());
                mem0.update(&id, text.as_deref(), Some(&fields)).await?;
            }
        }
        CopyWork::Deleted { record } => {
            for id in copies_of(mem0, owner, &record).await? {
                gone(mem0.delete(&id).await)?;
            }
        }
        CopyWork::Emptied { names } => {
            let names: Vec<_> = names.iter().filter_map(known_field).collect();
            // Without a name it would be everybody's.
            if !names.is_empty() {
                gone(mem0.delete_all(&names).await)?;
            }
        }
        CopyWork::OwnDeleted => purge::delete_own(mem0, owner).await?,
        CopyWork::Gone { id } => {
            let kind = "user";
            gone(mem0.delete_entity(&Named { kind, id }).await)?;
        }
    }
    Ok(())
}

/// mem0's memories of a record: the one that it was migrated from, and copies.
async fn copies_of(mem0: &dyn Mem0, owner: &Owner, record: &str) -> Result<BTreeSet<String>> {
    let copies = of_record(mem0, owner, objects::COPY, record, LOOKED_THROUGH).await?;
    let mut ids: BTreeSet<String> = copies.into_iter().map(|(id, _)| id).collect();
    if uuid::Uuid::try_parse(record).is_ok() {
        ids.insert(record.to_owned());
    }
    Ok(ids)
}

fn known_field((field, id): &(String, String)) -> Option<(&'static str, String)> {
    let fields = ["user_id", "agent_id", "app_id", "run_id"];
    let field = fields.into_iter().find(|known| known == field)?;
    Some((field, id.clone()))
}

/// What is not there is gone.
fn gone(deleted: crate::memory::mem0::Result<()>) -> Result<()> {
    match deleted {
        Err(error) if error.is_not_found() => Ok(()),
        deleted => deleted.map_err(Error::from),
    }
}
