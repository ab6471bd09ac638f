//! How many users are where.

use std::collections::HashSet;

use crate::memory::{
    Result,
    model::{Owner, UserId},
    record::fit,
    service::MemoryService,
};

use super::{BACKEND_FIELD, Mode};

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

impl MemoryService {
    /// How many users are where. Lists all users of Zep, and of mem0 where some are its.
    ///
    /// # Errors
    /// Zep's or mem0's.
    pub async fn whereabouts(&self) -> Result<Whereabouts> {
        let mut found = Whereabouts::default();
        let mut in_zep: HashSet<String> = HashSet::new();
        let mut decided: HashSet<String> = HashSet::new();
        let mode = self.inner.beside.as_ref().map(|beside| &beside.mode);
        if !matches!(mode, Some(Mode::Only)) {
            let mut pages = self.zep().users();
            while let Some(page) = pages.next().await? {
                for user in page.items {
                    let Some(id) = user.user_id else { continue };
                    let fields = user.metadata.as_ref().map(fit::unpack_flat);
                    let is_marked = fields.is_some_and(|fields| {
                        fields.get(BACKEND_FIELD).and_then(|it| it.as_str()) == Some("zep")
                    });
                    if is_marked {
                        decided.insert(id.clone());
                    }
                    in_zep.insert(id);
                }
            }
        }
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
