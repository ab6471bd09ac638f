//! Deletes all memories of a scope, and entities, in mem0.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    change::purge::{EntityId, Purged},
    mem0::{Mem0, Named},
    model::{Owner, Scope},
    service::MemoryService,
};

use super::hold::{ASK_EVERY, is_processed};
use super::objects;
use super::reading::list;
use super::sides::Side;

/// How long a deletion waits for mem0's processing. Ours: an agent waits for it.
const PROCESSED_WITHIN: Duration = Duration::from_secs(20);

/// What a deletion of a scope names in mem0.
pub(super) fn names(owner: &Owner, scope: &Scope) -> Vec<(&'static str, String)> {
    let mut names = vec![objects::field_of(owner)];
    for (field, id) in objects::named(scope) {
        if names.iter().all(|(named, _)| *named != field) {
            names.push((field, id));
        }
    }
    names
}

/// An entity in mem0's words.
pub(super) fn named(entity: &EntityId) -> Named {
    let (kind, id) = match entity {
        EntityId::User(user) => ("user", user.to_string()),
        EntityId::Agent(agent) => ("agent", agent.to_string()),
        EntityId::App(app) => ("app", app.to_string()),
        EntityId::Run(session) => ("run", session.to_string()),
    };
    Named { kind, id }
}

impl MemoryService {
    /// Deletes all memories of a scope of an owner who is mem0's; `None` if the owner is Zep's.
    ///
    /// # Errors
    /// [`Error::Moving`] while the owner is moved, or mem0's.
    pub(crate) async fn delete_all_in_mem0(
        &self,
        owner: &Owner,
        scope: &Scope,
    ) -> Result<Option<Purged>> {
        let Some(mem0) = self.to_delete_in(owner).await? else {
            return Ok(None);
        };
        let mut done = Purged::in_mem0();
        let waiting = self.waiting_in(owner, scope).await?;
        let _alone = self.alone_with(owner).await?;
        self.forget_waiting(waiting, &mut done).await?;
        self.await_events(mem0.as_ref(), owner).await?;
        match owner {
            Owner::User(_) => mem0.delete_all(&names(owner, scope)).await?,
            Owner::Graph(_) => delete_own(mem0.as_ref(), owner).await?,
        }
        Ok(Some(done))
    }

    /// Deletes an entity that is mem0's, as mem0-mcp-server did; `None` if it is Zep's. Where users are moved
    /// one after the other, other users' memories that name an agent or app remain, as in Zep.
    ///
    /// # Errors
    /// As [`MemoryService::delete_all_in_mem0`].
    pub(crate) async fn delete_entity_in_mem0(
        &self,
        caller: &Caller,
        owner: &Owner,
        entity: &EntityId,
    ) -> Result<Option<Purged>> {
        let is_only = self.only_mem0().is_some();
        if let (EntityId::Run(session), false) = (entity, is_only) {
            let scope = Scope {
                session: Some(session.clone()),
                ..Scope::default()
            };
            return self.delete_all_in_mem0(owner, &scope).await;
        }
        let Some(mem0) = self.to_delete_in(owner).await? else {
            return Ok(None);
        };
        let mut done = Purged::in_mem0();
        let waiting = self.waiting_in(owner, &Scope::default()).await?;
        let alone = self.alone_with(owner).await?;
        self.forget_waiting(waiting, &mut done).await?;
        self.await_events(mem0.as_ref(), owner).await?;
        if is_only || matches!(entity, EntityId::User(_)) {
            let entity = named(entity);
            match mem0.delete_entity(&entity).await {
                Err(error) if error.is_not_found() => {
                    return Err(Error::NoEntity {
                        what: format!("{} `{}`", entity.kind, entity.id),
                    });
                }
                deleted => deleted?,
            }
            done.entity = true;
            return Ok(Some(done));
        }
        delete_own(mem0.as_ref(), owner).await?;
        drop(alone);
        let scope = match entity {
            EntityId::Agent(agent) => Scope {
                agent: Some(agent.clone()),
                user: Some(self.default_user(caller).clone()),
                ..Scope::default()
            },
            EntityId::App(app) => Scope {
                app: Some(app.clone()),
                ..Scope::default()
            },
            EntityId::User(_) | EntityId::Run(_) => return Ok(Some(done)),
        };
        // The default user may be Zep's by now.
        let user = self.owner(caller, Right::Delete, &scope);
        if let Ok(user) = user
            && self.delete_all_in_mem0(&user, &scope).await?.is_none()
        {
            Box::pin(self.delete_all(caller, &scope)).await?;
        }
        Ok(Some(done))
    }

    /// Waits until mem0 has processed what this program told it of an owner: what it makes of it later would
    /// stay. Not for long: a mem0 that is stuck must not keep anybody from deleting.
    async fn await_events(&self, mem0: &dyn Mem0, owner: &Owner) -> Result<()> {
        let Some(sides) = self.sides() else {
            return Ok(());
        };
        let begun = Instant::now();
        for event in sides.events(owner).await? {
            while begun.elapsed() < PROCESSED_WITHIN
                && is_processed(mem0, &event).await? == Some(false)
            {
                tokio::time::sleep(ASK_EVERY).await;
            }
        }
        Ok(())
    }

    /// The mem0 to delete in; `None` if the owner is Zep's.
    async fn to_delete_in(&self, owner: &Owner) -> Result<Option<Arc<dyn Mem0>>> {
        match self.side_of(owner).await? {
            Side::Zep => Ok(None),
            Side::Moving => Err(Error::Moving),
            Side::Mem0 => Ok(self.inner.beside.as_ref().map(|it| it.mem0.clone())),
        }
    }
}

/// Deletes an agent's own memories: those of users that name it are the users'.
pub(super) async fn delete_own(mem0: &dyn Mem0, owner: &Owner) -> Result<()> {
    for memory in list(mem0, owner, None).await?.memories {
        match mem0.delete(memory.id.as_str()).await {
            Err(error) if error.is_not_found() => {}
            deleted => deleted?,
        }
    }
    Ok(())
}
