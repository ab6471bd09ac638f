//! Migrating what a program hands over itself.

use serde_json::{Value, json};

use super::Migrator;
use crate::memory::model::{SessionId, UserId};
use crate::migration::{Error, Report, Request, Selection};
use crate::sources::{Export, Nothing, SNAPSHOTS, SourceUser};

impl Migrator {
    /// Migrates a user, without memories.
    ///
    /// # Errors
    /// As [`Migrator::migrate`].
    pub async fn migrate_user(&self, user: SourceUser) -> Result<Report, Error> {
        let request = Request {
            profile: Some(user),
            ..Request::default()
        };
        self.migrate(Nothing, &request).await
    }

    /// Migrates a conversation: `turns` is an array of objects with `role` and `content`.
    ///
    /// # Errors
    /// As [`Migrator::migrate`].
    pub async fn migrate_conversation_history(
        &self,
        user: &UserId,
        session: &SessionId,
        turns: &Value,
    ) -> Result<Report, Error> {
        let source = json!({
            "user_id": user.as_str(),
            "session_id": session.as_str(),
            "messages": turns,
        });
        let request = Request {
            selection: Selection::of_user(user.clone()),
            ..Request::default()
        };
        self.migrate(Export::value(&source), &request).await
    }

    /// Migrates a snapshot of a session: `insights`, `summary`, `traits`, `therapeutic_notes`,
    /// `crisis_context` or `progress_notes`, a text or any JSON.
    ///
    /// # Errors
    /// As [`Migrator::migrate`]; also if the kind is another one, and nothing is written then.
    pub async fn migrate_memory_snapshot(
        &self,
        user: &UserId,
        session: &SessionId,
        kind: &str,
        content: &Value,
    ) -> Result<Report, Error> {
        if !SNAPSHOTS.contains(&kind) {
            return Err(Error::NotASnapshot {
                kind: kind.to_owned(),
            });
        }
        let mut source = json!({
            "user_id": user.as_str(),
            "session_id": session.as_str(),
            "messages": [],
        });
        source[kind] = content.clone();
        let request = Request {
            selection: Selection::of_user(user.clone()),
            ..Request::default()
        };
        self.migrate(Export::value(&source), &request).await
    }
}
