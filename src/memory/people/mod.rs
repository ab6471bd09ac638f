//! Owners, entities and user profiles.

pub(crate) mod entities;
pub(crate) mod owners;
pub mod profile;
