//! The UUIDs that the embedded Zep makes.
//!
//! An episode and its fact share one row and one id, but for the last bit: it is clear in the ids
//! of episodes (and of everything else), which are UUIDv7, and set in the id of an episode's fact.

use uuid::Uuid as Raw;

use crate::zep::Uuid;

/// A new id, with the last bit clear.
pub(crate) fn fresh() -> Raw {
    Raw::from_u128(Raw::now_v7().as_u128() & !1)
}

/// The id of an episode's fact.
pub(crate) fn fact_of(episode: Raw) -> Raw {
    Raw::from_u128(episode.as_u128() | 1)
}

/// The id of a fact's episode; `None` if the id is not a fact's.
pub(crate) fn episode_of(fact: Raw) -> Option<Raw> {
    let bits = fact.as_u128();
    (bits & 1 == 1).then(|| Raw::from_u128(bits & !1))
}

/// `None` for text that is not a UUID.
pub(crate) fn parse(id: &Uuid) -> Option<Raw> {
    Raw::try_parse(id.as_str()).ok()
}

/// The id in the port's type.
pub(crate) fn to_zep(id: Raw) -> Uuid {
    Uuid(id.to_string())
}
