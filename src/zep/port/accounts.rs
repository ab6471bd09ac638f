//! The project, its users, and the threads of a user.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Pages;
use crate::zep::error::Result;
use crate::zep::ids::UserId;
use crate::zep::types::{NewUser, Project, Thread, User, UserFields};

/// The project, its users, and the threads of a user.
#[async_trait]
pub trait Accounts: Send + Sync + Debug {
    /// The project that the key belongs to. The cheapest proof that a key works.
    async fn project(&self) -> Result<Project>;

    /// Creates a user. [`Error::Conflict`](crate::zep::Error::Conflict) if the user exists.
    async fn add_user(&self, user: &NewUser) -> Result<User>;
    /// A user.
    async fn user(&self, user: &UserId) -> Result<User>;
    /// Changes the given fields of a user.
    async fn update_user(&self, user: &UserId, fields: &UserFields) -> Result<User>;
    /// All users, oldest first.
    fn users(&self) -> Pages<'_, User>;
    /// Deletes a user with all their threads, episodes and facts.
    async fn delete_user(&self, user: &UserId) -> Result<()>;
    /// The threads of a user, in no particular order.
    async fn user_threads(&self, user: &UserId) -> Result<Vec<Thread>>;
}
