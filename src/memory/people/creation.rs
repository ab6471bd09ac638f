//! Creates owners on first use.

use crate::memory::model::{GraphId, Owner, UserId};
use crate::zep::{self, Accounts, Graphs, NewUser, UserFields, Zep};

/// Creates an owner; an existing one stays as it is.
pub(crate) async fn create_owner(zep: &dyn Zep, owner: &Owner) -> zep::Result<()> {
    match owner {
        Owner::User(user) => create_user(zep, user).await,
        Owner::Graph(graph) => match create_graph(zep, graph).await {
            Err(error) if error.is_conflict() => Ok(()),
            outcome => outcome,
        },
    }
}

/// Creates an agent's graph. [`zep::Error::Conflict`] if it exists.
pub(crate) async fn create_graph(zep: &dyn Graphs, graph: &GraphId) -> zep::Result<()> {
    let description = "What an agent remembers for itself";
    let created = zep.create_graph(graph, graph.as_str(), description).await;
    created.map(drop)
}

/// Creates a user of whom only the id is known; an existing one stays as they are.
pub(crate) async fn create_user(accounts: &dyn Accounts, user: &UserId) -> zep::Result<()> {
    let new = NewUser {
        user_id: user.clone(),
        fields: UserFields::default(),
    };
    match accounts.add_user(&new).await {
        Err(error) if error.is_conflict() => Ok(()),
        outcome => outcome.map(drop),
    }
}
