//! The ids in paths, as the document describes them.

use utoipa::IntoParams;

/// A user's path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // Described only: a handler takes `PathId`.
pub(super) struct OfUser {
    /// The user.
    user_id: String,
}

/// A session's path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // Described only.
pub(super) struct InSession {
    /// The session.
    session_id: String,
}

/// A memory's path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // Described only.
pub(super) struct OfMemory {
    /// The memory.
    memory_id: uuid::Uuid,
}

/// A migration's path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)] // Described only.
pub(super) struct OfRun {
    /// The migration.
    run_id: String,
}
