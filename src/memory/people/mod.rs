//! Owners, their creation, entities and user profiles.

pub(crate) mod creation;
pub(crate) mod entities;
pub(crate) mod owners;
pub mod person;
pub mod profile;
pub(crate) mod standing;
