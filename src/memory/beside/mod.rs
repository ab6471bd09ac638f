//! mem0 beside Zep, or in its place: on which side an owner is, and what is done on mem0's.
//!
//! - `sides`: the owners whose side is decided, and those that are being moved.
//! - `objects`: mem0's memories as ours. `reading`, `writing`, `purge`: what the service does in mem0.
//! - `whereabouts`: how many users are where.
//! - `hold`: the writes of owners that are being moved wait. `copies`: what is written to Zep and is to be
//!   known by mem0, too.

mod copies;
mod hold;
mod objects;
mod purge;
pub(crate) mod reading;
pub mod sides;
mod whereabouts;
mod writing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cache::Cache;
use crate::memory::{
    Error, Result,
    error::if_found,
    mem0::{self, Mem0, PAGE_ITEMS},
    model::Owner,
    queue::Queue,
    read::waits::Waits,
    record::fit,
    service::MemoryService,
};
pub(crate) use copies::CopyWork;
pub use hold::Hold;
pub(crate) use objects::{COPY, RECORD};
use sides::{Side, Sides};
pub use whereabouts::Whereabouts;

/// How many owners are remembered to be mem0's.
const KEPT_SIDES: u64 = 10_000;
/// How long an owner counts as mem0's without being looked up again: another machine may move it. Ours.
const SIDE_KEPT_FOR: Duration = Duration::from_secs(60);
/// How many pages of an agent's memories are looked through for its own. Ours.
const AGENT_PAGES: u32 = 5;

/// In the fields of a user of Zep: where the memories are. Users who are moved get it.
pub(crate) const BACKEND_FIELD: &str = "memory_backend";

/// How mem0 is used.
#[derive(Debug, Clone)]
pub enum Mode {
    /// In Zep's place: everything is mem0's.
    Only,
    /// Users are moved one after the other: each is Zep's or mem0's.
    Phased(Arc<dyn Sides>),
    /// Everything is Zep's.
    Kept,
}

/// What else mem0 is asked for or told.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Reads of owners who are not in Zep, and all reads while Zep does not answer, come from mem0.
    pub fallback: bool,
    /// What is added to Zep is added to mem0, too.
    pub mirror: bool,
    /// What mem0 is still to be told.
    pub copies: Option<Arc<dyn Queue>>,
}

/// A mem0 beside the service's Zep.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) mem0: Arc<dyn Mem0>,
    pub(crate) mode: Mode,
    pub(crate) extras: Extras,
    /// Owners who are mem0's, and owners who are known to be in Zep, with when that was found.
    sides: Cache<Owner, (Side, Instant)>,
}

impl Beside {
    pub(crate) fn new(mem0: Arc<dyn Mem0>, mode: Mode, extras: Extras) -> Self {
        Self {
            mem0,
            mode,
            extras,
            sides: Cache::new(KEPT_SIDES),
        }
    }

    /// Whether anything is read from mem0.
    fn is_read(&self) -> bool {
        !matches!(self.mode, Mode::Kept) || self.extras.fallback
    }

    /// Whether mem0 has memories of this owner.
    async fn has_memories(&self, owner: &Owner) -> mem0::Result<bool> {
        let filters = objects::filters(owner, None);
        let pages = match owner {
            Owner::User(_) => 1,
            // Memories that an agent has of users are the users'.
            Owner::Graph(_) => AGENT_PAGES,
        };
        let size = match owner {
            Owner::User(_) => 1,
            Owner::Graph(_) => PAGE_ITEMS,
        };
        for page in 1..=pages {
            let listed = self.mem0.memories(&filters, page, size).await?;
            let mut items = listed.items.iter();
            if items.any(|object| objects::owner_of(object).as_ref() == Some(owner)) {
                return Ok(true);
            }
            if !listed.has_next {
                break;
            }
        }
        Ok(false)
    }
}

impl MemoryService {
    /// The same with a mem0 beside its Zep, or in its place.
    #[must_use]
    pub fn beside(mut self, mem0: Arc<dyn Mem0>, mode: Mode, extras: Extras) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.beside = Some(Beside::new(mem0, mode, extras));
        }
        self
    }

    /// The mem0 that has everything in Zep's place.
    pub(crate) fn only_mem0(&self) -> Option<&Arc<dyn Mem0>> {
        let beside = self.inner.beside.as_ref()?;
        matches!(beside.mode, Mode::Only).then_some(&beside.mem0)
    }

    /// On which side this owner is written. An owner who is new to both is Zep's from now on.
    ///
    /// # Errors
    /// As [`MemoryService::side_of`].
    pub(crate) async fn side_to_write_on(&self, owner: &Owner) -> Result<Side> {
        match (self.side_of(owner).await?, self.sides()) {
            (Side::Zep, Some(sides)) => Ok(sides.decide(owner).await?),
            (side, _) => Ok(side),
        }
    }

    /// On which side this owner is. Decides nothing.
    ///
    /// # Errors
    /// If that is not known and Zep or mem0 does not tell.
    pub(crate) async fn side_of(&self, owner: &Owner) -> Result<Side> {
        let Some(beside) = &self.inner.beside else {
            return Ok(Side::Zep);
        };
        let sides = match &beside.mode {
            Mode::Only => return Ok(Side::Mem0),
            Mode::Kept => return Ok(Side::Zep),
            Mode::Phased(sides) => sides,
        };
        // Each time: another process may move the owner.
        if let Some(side) = sides.of(owner).await? {
            return Ok(side);
        }
        let known = beside.sides.get(owner);
        if let Some((side, _)) = known.filter(|(_, found)| found.elapsed() < SIDE_KEPT_FOR) {
            return Ok(side);
        }
        let side = match (self.asked(self.is_marked(owner)).await?, known) {
            (Some(true), _) => Side::Zep,
            (Some(false), _) => match beside.has_memories(owner).await? {
                true => Side::Mem0,
                false => Side::Zep,
            },
            // While Zep does not answer, what was known last holds.
            (None, Some((side, _))) => return Ok(side),
            (None, None) => return Err(Error::Undecided),
        };
        beside.sides.insert(owner.clone(), (side, Instant::now()));
        Ok(side)
    }

    /// Whether Zep itself says that the owner is its.
    async fn is_marked(&self, owner: &Owner) -> Result<bool> {
        let Owner::User(user) = owner else {
            return Ok(false);
        };
        let user = if_found(self.zep().user(user).await)?;
        let metadata = user.and_then(|user| user.metadata).unwrap_or_default();
        let fields = fit::unpack_flat(&metadata);
        Ok(fields.get(BACKEND_FIELD) == Some(&Value::from(hold::ZEP)))
    }

    /// The mem0 that this owner's memories are read from; `None` if it is Zep.
    ///
    /// # Errors
    /// As [`MemoryService::side_of`].
    pub(crate) async fn mem0_of(&self, owner: &Owner) -> Result<Option<Arc<dyn Mem0>>> {
        let Some(beside) = &self.inner.beside else {
            return Ok(None);
        };
        let is_mem0s = match (&beside.mode, beside.extras.fallback) {
            (Mode::Kept, false) => false,
            (Mode::Kept, true) => self.is_not_in_zep(beside, owner).await?,
            (Mode::Only | Mode::Phased(_), _) => self.side_of(owner).await? != Side::Zep,
        };
        Ok(is_mem0s.then(|| beside.mem0.clone()))
    }

    /// Whether Zep does not have this owner at all. If it does not answer, it may.
    async fn is_not_in_zep(&self, beside: &Beside, owner: &Owner) -> Result<bool> {
        let known = beside.sides.get(owner);
        if known.is_some_and(|(side, found)| side == Side::Zep && found.elapsed() < SIDE_KEPT_FOR) {
            return Ok(false);
        }
        let found = self.asked(async {
            Ok(match owner {
                Owner::User(user) => if_found(self.zep().user(user).await)?.is_some(),
                Owner::Graph(graph) => if_found(self.zep().graph(graph).await)?.is_some(),
            })
        });
        match found.await? {
            Some(true) => {
                let found = (Side::Zep, Instant::now());
                beside.sides.insert(owner.clone(), found);
                Ok(false)
            }
            Some(false) => Ok(!self.has_deletions_left(beside, owner).await?),
            None => Ok(false),
        }
    }

    /// The mem0 that may answer while Zep does not; `None` if it may know less than what waits.
    pub(crate) async fn fallback(&self, owner: &Owner, waits: &Waits) -> Option<Arc<dyn Mem0>> {
        let beside = self.inner.beside.as_ref()?;
        // What was deleted must not come back from there, whether Zep or mem0 is to be told of it.
        if !beside.extras.fallback || waits.has_changes() {
            return None;
        }
        match self.has_deletions_left(beside, owner).await {
            Ok(false) => Some(beside.mem0.clone()),
            Ok(true) | Err(_) => None,
        }
    }

    /// Whether mem0 was not told yet of everything that was changed or deleted of this owner.
    async fn has_deletions_left(&self, beside: &Beside, owner: &Owner) -> Result<bool> {
        match &beside.extras.copies {
            Some(copies) => Ok(copies.after(Some(owner), 0).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Refuses what only Zep can do where mem0 has everything.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn needs_zep(&self) -> Result<()> {
        match self.only_mem0() {
            None => Ok(()),
            Some(_) => Err(Error::invalid(
                "MEMORY_BACKEND",
                "is `mem0`, so there is no Zep to move memories to; set ZEP_API_KEY and \
                 MEMORY_BACKEND=phased (or zep)",
            )),
        }
    }
}
