//! On which side an owner is, durable and shared by the processes of a machine.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::memory::{model::Owner, queue::Result};

/// Where an owner's memories are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In Zep.
    Zep,
    /// In mem0.
    Mem0,
    /// In mem0, and being moved to Zep: writes wait.
    Moving,
}

/// How long a hold lasts that is not renewed. Ours: if the process that moves an owner died, the writes that
/// wait go to mem0.
pub const HOLD: Duration = Duration::from_secs(60);
/// How often a hold is renewed.
pub const RENEW_HOLD: Duration = Duration::from_secs(10);

/// The owners whose side is decided.
#[async_trait]
pub trait Sides: Send + Sync + Debug {
    /// [`Side::Zep`] or [`Side::Moving`]; `None` if nothing was decided.
    async fn of(&self, owner: &Owner) -> Result<Option<Side>>;
    /// Decides that an owner of whom nothing is decided is Zep's. What holds now.
    async fn decide(&self, owner: &Owner) -> Result<Side>;
    /// Holds these owners with this token, except those that are Zep's or held already. How many it holds.
    async fn hold(&self, owners: &[Owner], token: &str) -> Result<u64>;
    /// Renews everything that is held with this token and was held without a gap. How many that is.
    async fn renew(&self, token: &str) -> Result<u64>;
    /// Decides that these owners are Zep's, those that are held with this token still. Which were not.
    async fn moved(&self, owners: &[Owner], token: &str) -> Result<Vec<Owner>>;
    /// Gives back what is held with this token.
    async fn release(&self, token: &str) -> Result<()>;
    /// Forgets what was decided of an owner, whose memories are mem0's again.
    async fn forget(&self, owner: &Owner) -> Result<()>;
    /// Whether a process carries out a write of this owner at this moment.
    async fn is_writing(&self, owner: &Owner) -> Result<bool>;
    /// Notes what mem0 was told to process of this owner: it must be over before the owner is moved.
    async fn sent(&self, owner: &Owner, event: &str) -> Result<()>;
    /// What mem0 was told to process of this owner lately.
    async fn events(&self, owner: &Owner) -> Result<Vec<String>>;
    /// How many owners are Zep's, and how many are being moved.
    async fn counts(&self) -> Result<(u64, u64)>;
    /// All owners that were decided to be Zep's.
    async fn in_zep(&self) -> Result<Vec<Owner>>;
}
