//! The user of a migration that a call begins.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::MoveError;
use crate::memory::model::{SessionId, UserId};
use crate::migration::{Request, Selection};
use crate::sources::SourceUser;

/// The user, as the old system describes them.
#[derive(Debug, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MigratedUser, example = json!({"id": "ann", "name": "Ann Example", "role": "user"}))]
pub(crate) struct UserArg {
    /// Their id in the old system; kept.
    #[schema(min_length = 1, max_length = 500)]
    pub(super) id: String,
    // Their whole name.
    name: Option<String>,
    // Their address.
    email: Option<String>,
    /// user, therapist, admin or support, in the old system.
    role: Option<String>,
    /// What they prefer, any JSON; kept in the user's metadata. Listed in the docs only.
    #[schemars(skip)]
    preferences: Option<Value>,
    /// Further fields of theirs. Listed in the docs only.
    #[schemars(skip)]
    metadata: Option<Map<String, Value>>,
}

impl UserArg {
    pub(super) fn checked_id(&self) -> Result<UserId, MoveError> {
        UserId::new(&self.id)
            .map_err(|error| MoveError::Argument(format!("`user.id`: {}", error.problem)))
    }

    /// The migration request for this user.
    pub(super) fn request(self, sessions: &[String]) -> Result<Request, MoveError> {
        let id = self.checked_id()?;
        let sessions = sessions
            .iter()
            .map(|session| SessionId::new(session))
            .collect::<Result<_, _>>()
            .map_err(crate::memory::Error::from)?;
        let mut metadata = self.metadata.unwrap_or_default();
        if let Some(preferences) = self.preferences {
            metadata.insert("preferences".into(), preferences);
        }
        Ok(Request {
            profile: Some(SourceUser {
                id: id.to_string(),
                name: self.name,
                email: self.email,
                role: self.role,
                metadata,
                migration_source: None,
            }),
            selection: Selection {
                sessions,
                ..Selection::of_user(id)
            },
            ..Request::default()
        })
    }
}
