//! How often a call may be sent, and how an owner is named in it.

use serde::de::DeserializeOwned;

use super::ZepCloud;
use crate::zep::error::Result;
use crate::zep::ids::Owner;
use crate::zep::transport::Request;

impl ZepCloud {
    pub(super) async fn ask<T: DeserializeOwned + Send>(&self, request: Request) -> Result<T> {
        let deadline = self.transport.deadline();
        Ok(self.transport.ask(&request, deadline).await?.value)
    }

    /// Deletes. What is not there after a try without an answer was deleted by that try.
    pub(super) async fn delete(&self, segments: &[&str]) -> Result<()> {
        let request = Request::delete(segments);
        match self
            .transport
            .tell(&request, self.transport.deadline())
            .await
        {
            Err(failure) if failure.after_doubt && failure.error.is_not_found() => Ok(()),
            done => Ok(done?),
        }
    }

    /// Does what cannot be done twice: the second time is a conflict that changes nothing, so the
    /// request is repeatable. A conflict after a try without an answer may be that try's own doing:
    /// then what is there is the answer, if `as_done` accepts it.
    pub(super) async fn once<T: DeserializeOwned + Send, E: DeserializeOwned + Send>(
        &self,
        request: Request,
        existing: Request,
        as_done: impl FnOnce(E) -> Option<T>,
    ) -> Result<T> {
        let request = request.repeatable();
        let deadline = self.transport.deadline();
        let failure = match self.transport.ask(&request, deadline).await {
            Ok(done) => return Ok(done.value),
            Err(failure) => failure,
        };
        if failure.after_doubt && failure.error.is_conflict() {
            let there = self.transport.ask(&existing, deadline).await?;
            if let Some(done) = as_done(there.value) {
                return Ok(done);
            }
        }
        Err(failure.error)
    }
}

/// The field that names an owner in a body, and the owner's id.
pub(super) fn owner_field(owner: &Owner) -> (&'static str, &str) {
    match owner {
        Owner::User(user) => ("user_id", user.as_str()),
        Owner::Graph(graph) => ("graph_id", graph.as_str()),
    }
}

/// The path of an owner's episodes or facts.
pub(super) fn owned_by<'a>(kind: &'a str, owner: &'a Owner) -> [&'a str; 4] {
    let (field, id) = owner_field(owner);
    ["graph", kind, field.trim_end_matches("_id"), id]
}
