//! Moving owners from mem0 to Zep without losing what is written meanwhile.
//!
//! While an owner is held, writes wait in the queue, and reads come from mem0 with what waits. The owner is
//! read only when no write to mem0 is under way any more, neither here nor in mem0's own processing.
//! Afterwards what waits goes to Zep, or, if the owner was not moved, to mem0.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    error::if_found,
    mem0::Mem0,
    model::{Owner, UserId},
    record::fit,
    service::{MEM0, MemoryService},
};

use crate::zep::UserFields;

use super::sides::{RENEW_HOLD, Side, Sides};
use super::{BACKEND_FIELD, Mode};

/// The value of the mark of those who are Zep's.
pub(super) const ZEP: &str = "zep";

/// How long it is waited for writes to mem0 that are under way. Ours: a write takes seconds, and the claim
/// of a process that died a minute.
const SETTLED_WITHIN: Duration = Duration::from_secs(150);
/// Up to so many owners are looked up one by one. Ours: a page of Zep's list has more.
const ASKED_SINGLY: usize = 20;
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);
/// How often mem0 is asked whether it is done.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);

/// Owners whose writes wait. Given back when it is dropped, too, unless the process ends before.
#[derive(Debug)]
pub struct Hold {
    service: MemoryService,
    sides: Arc<dyn Sides>,
    token: String,
    /// Those that are held.
    owners: Vec<Owner>,
    /// Ends the renewal.
    _renewal: DropGuard,
}

impl MemoryService {
    /// Whether users are moved one after the other, so that they must be held meanwhile.
    pub fn moves_in_phases(&self) -> bool {
        self.sides().is_some()
    }

    /// Those of these owners that are mem0's. The others were moved, or never were mem0's; a mark of them that
    /// an earlier move could not leave is made up for.
    ///
    /// # Errors
    /// If Zep or mem0 does not tell.
    pub async fn in_mem0(&self, owners: Vec<Owner>) -> Result<Vec<Owner>> {
        if owners.len() <= ASKED_SINGLY {
            let mut left = Vec::new();
            for owner in owners {
                match self.side_of(&owner).await? {
                    Side::Zep => self.mark(&owner, ZEP).await?,
                    Side::Mem0 | Side::Moving => left.push(owner),
                }
            }
            return Ok(left);
        }
        // Of many, Zep's list takes fewer requests, and what mem0 lists it has.
        let Some(sides) = self.sides() else {
            return Ok(Vec::new());
        };
        let mut decided: HashSet<Owner> = sides.in_zep().await?.into_iter().collect();
        let marked = self.users_of_zep().await?.marked.into_iter();
        let marked: HashSet<Owner> = marked
            .filter_map(|user| UserId::new(&user).ok().map(Owner::User))
            .collect();
        for owner in owners.iter().filter(|owner| decided.contains(owner)) {
            if !marked.contains(owner) {
                self.mark(owner, ZEP).await?;
            }
        }
        decided.extend(marked);
        Ok(owners
            .into_iter()
            .filter(|owner| !decided.contains(owner))
            .collect())
    }

    /// The users and agents that mem0 lists.
    ///
    /// # Errors
    /// mem0's.
    pub async fn listed_by_mem0(&self) -> Result<Vec<Owner>> {
        match &self.inner.beside {
            Some(beside) => beside.owners().await,
            None => Ok(Vec::new()),
        }
    }

    /// Lets the writes of these owners wait, and returns when none is under way any more. `None` if
    /// users are not moved one after the other.
    ///
    /// # Errors
    /// [`Error::Moving`] if one of them is being moved already, or writes do not end.
    pub async fn hold(&self, caller: &Caller, owners: Vec<Owner>) -> Result<Option<Hold>> {
        let Some(beside) = &self.inner.beside else {
            return Ok(None);
        };
        let Mode::Phased(sides) = &beside.mode else {
            return Ok(None);
        };
        for owner in &owners {
            caller.may(Right::Migrate, owner)?;
        }
        let token = uuid::Uuid::now_v7().to_string();
        let held = sides.hold(&owners, &token).await?;
        let stop = CancellationToken::new();
        let hold = Hold {
            service: self.clone(),
            sides: sides.clone(),
            token: token.clone(),
            owners,
            _renewal: stop.clone().drop_guard(),
        };
        tokio::spawn(renew(sides.clone(), token, stop));
        if held < hold.owners.len() as u64 {
            return Err(Error::Moving);
        }
        hold.wait_until_settled(beside.mem0.as_ref()).await?;
        Ok(Some(hold))
    }
}

impl MemoryService {
    /// Marks a user of Zep as mem0's again.
    ///
    /// # Errors
    /// Zep's.
    pub async fn unmark(&self, owner: &Owner) -> Result<()> {
        self.mark(owner, MEM0).await
    }

    /// Keeps in the fields of a user of Zep where the memories are. An agent's graph has no fields.
    async fn mark(&self, owner: &Owner, backend: &str) -> Result<()> {
        let Owner::User(user) = owner else {
            return Ok(());
        };
        // Somebody without memories may not be there.
        let Some(there) = if_found(self.zep().user(user).await)? else {
            return Ok(());
        };
        let mut flat = there.metadata.unwrap_or_default();
        let mut more = fit::unpack_flat(&flat);
        let old = more.insert(BACKEND_FIELD.to_owned(), backend.into());
        if old.is_some_and(|old| old == backend) {
            return Ok(());
        }
        // Fields under their own names stay there: other programs read them.
        flat.shift_remove(fit::EXTRA_KEY);
        if let Some(mark) = flat.get_mut(BACKEND_FIELD) {
            *mark = backend.into();
        }
        more.retain(|key, _| !flat.contains_key(key));
        // The whole set: whether Zep merges or replaces is not documented.
        let fields = UserFields {
            metadata: Some(fit::pack_flat(flat, &more)),
            ..UserFields::default()
        };
        self.zep().update_user(user, &fields).await?;
        Ok(())
    }
}

/// Renews a hold until it is over.
async fn renew(sides: Arc<dyn Sides>, token: String, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(RENEW_HOLD))
        .await
        .is_some()
    {
        if let Err(error) = sides.renew(&token).await {
            tracing::warn!("{error}");
        }
    }
    // What was moved is not held any more.
    if let Err(error) = sides.release(&token).await {
        tracing::warn!("{error}");
    }
}

impl Hold {
    /// The owners that are held.
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    async fn wait_until_settled(&self, mem0: &dyn Mem0) -> Result<()> {
        let begun = Instant::now();
        for owner in &self.owners {
            while self.sides.is_writing(owner).await? {
                if begun.elapsed() > SETTLED_WITHIN {
                    return Err(Error::Moving);
                }
                tokio::time::sleep(LOOK).await;
            }
            for event in self.sides.events(owner).await? {
                while is_processed(mem0, &event).await? == Some(false) {
                    if begun.elapsed() > SETTLED_WITHIN {
                        return Err(Error::Moving);
                    }
                    tokio::time::sleep(ASK_EVERY).await;
                }
            }
        }
        Ok(())
    }

    /// These of the owners are Zep's from now on; the others are given back. Which could not be moved,
    /// since they were not held without a gap.
    ///
    /// # Errors
    /// The queue's: then none is moved.
    pub async fn moved(self, owners: &[Owner]) -> Result<Vec<Owner>> {
        let moved: HashSet<&Owner> = owners.iter().collect();
        let moved: Vec<Owner> = self
            .owners
            .iter()
            .filter(|owner| moved.contains(owner))
            .cloned()
            .collect();
        let lost = self.sides.moved(&moved, &self.token).await?;
        for owner in moved.iter().filter(|owner| !lost.contains(owner)) {
            // For other machines. Here it is decided already.
            if let Err(error) = self.service.mark(owner, ZEP).await {
                tracing::warn!("other machines do not know yet that a user was moved: {error}");
            }
        }
        self.give_back().await?;
        Ok(lost)
    }

    /// Gives back those that were not moved.
    ///
    /// # Errors
    /// The queue's: then they are free a minute later.
    pub async fn give_back(self) -> Result<()> {
        self.sides.release(&self.token).await?;
        self.service.inner.delivery.hurry();
        Ok(())
    }
}

/// Whether mem0 is done with what it was told to process; `None` if it does not know of it.
pub(super) async fn is_processed(mem0: &dyn Mem0, event: &str) -> Result<Option<bool>> {
    match mem0.event(event).await {
        Err(error) if error.is_not_found() => Ok(None),
        answer => {
            let answer = answer?;
            let status = answer.get("status").and_then(Value::as_str);
            Ok(Some(!matches!(status, Some("PENDING" | "RUNNING"))))
        }
    }
}
