//! The ids that the embedded Zep makes.
//!
//! An episode and its fact are one row, and so are their ids one: those of episodes (and of all
//! else) are UUIDv7 with the last bit clear, that of an episode's fact is the same with it set.

use uuid::Uuid as Raw;

use crate::zep::Uuid;

/// A new id, with the last bit clear.
pub(super) fn fresh() -> Raw {
    Raw::from_u128(Raw::now_v7().as_u128() & !1)
}

/// The fact of an episode.
pub(super) fn fact_of(episode: Raw) -> Raw {
    Raw::from_u128(episode.as_u128() | 1)
}

/// The episode of a fact, if the id is a fact's.
pub(super) fn episode_of(fact: Raw) -> Option<Raw> {
    let bits = fact.as_u128();
    (bits & 1 == 1).then(|| Raw::from_u128(bits & !1))
}

/// What an id says, if it is one.
pub(super) fn parse(id: &Uuid) -> Option<Raw> {
    Raw::try_parse(id.as_str()).ok()
}

/// An id as the port has it.
pub(super) fn shown(id: Raw) -> Uuid {
    Uuid(id.to_string())
}
