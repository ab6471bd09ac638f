//! How many users are where.

use std::collections::HashSet;

use crate::memory::{
    Result,
    model::{Owner, UserId},
    record::fit,
    service::MemoryService,
};

use super::BACKEND_FIELD;
use super::hold::ZEP;

/// How many users are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// In Zep, or in the embedded store.
    pub in_zep: u64,
    /// In mem0.
    pub in_mem0: u64,
    /// Of those in mem0, how many are being moved at this moment.
    pub moving: u64,
}

/// The users of Zep.
#[derive(Debug, Default)]
pub(super) struct UsersOfZep {
    pub(super) all: HashSet<String>,
    /// Those of whom it says itself that their memories are there.
    pub(super) marked: HashSet<String>,
}

impl MemoryService {
    /// Lists all users of Zep.
    pub(super) async fn users_of_zep(&self) -> Result<UsersOfZep> {
        let mut found = UsersOfZep::default();
        let mut pages = self.zep().users();
        while let Some(page) = pages.next().await? {
            for user in page.items {
                let Some(id) = user.user_id else { continue };
                let fields = user.metadata.as_ref().map(fit::unpack_flat);
                let backend = fields
                    .as_ref()
                    .and_then(|it| it.get(BACKEND_FIELD)?.as_str());
                if backend == Some(ZEP) {
                    found.marked.insert(id.clone());
                }
                found.all.insert(id);
            }
        }
        Ok(found)
    }

    /// How many users are where. Lists all users of Zep, and of mem0 where some are its.
    ///
    /// # Errors
    /// Zep's or mem0's.
    pub async fn whereabouts(&self) -> Result<Whereabouts> {
        let mut found = Whereabouts::default();
        let UsersOfZep {
            all: in_zep,
            marked: mut decided,
        } = match self.only_mem0() {
            Some(_) => UsersOfZep::default(),
            None => self.users_of_zep().await?,
        };
        if let Some(sides) = self.sides() {
            for owner in sides.in_zep().await? {
                if let Owner::User(user) = owner {
                    decided.insert(user.to_string());
                }
            }
            (_, found.moving) = sides.counts().await?;
        }
        let named = self.named_in_mem0().await?.into_iter();
        let users = named.filter(|named| named.kind == "user" && UserId::new(&named.id).is_ok());
        let in_mem0: HashSet<String> = users
            .map(|named| named.id)
            .filter(|id| !decided.contains(id))
            .collect();
        // Some of their memories may have been moved already.
        found.in_zep = in_zep.difference(&in_mem0).count() as u64;
        found.in_mem0 = in_mem0.len() as u64;
        Ok(found)
    }
}
