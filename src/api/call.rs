//! What every handler gets and gives: who calls, the service, and answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{About, ApiError, internal};
use super::state::Api;
use crate::audit::Who;
use crate::memory::MemoryService;
use crate::memory::access::{Caller, Right};
use crate::memory::model::{Scope, SessionId, UserId};

/// A call: by whom, and of what.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Who calls: what they may do.
    pub(super) caller: Caller,
    /// The same, as the audit trail names them.
    pub(super) who: Who,
    /// What is served.
    pub(super) api: Arc<Api>,
}

impl FromRequestParts<Arc<Api>> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        // Put there by authentication.
        let caller = parts.extensions.get::<Caller>().cloned();
        let who = parts.extensions.get::<Who>().cloned();
        Ok(Self {
            who: who.ok_or_else(internal)?,
            caller: caller.ok_or_else(internal)?,
            api: Arc::clone(api),
        })
    }
}

impl Call {
    /// The memories.
    pub(super) fn memories(&self) -> &MemoryService {
        self.api.moves.memories()
    }

    /// A session, and whose it is: the user who is named, or the one who has it.
    pub(super) async fn session(
        &self,
        right: Right,
        user: Option<&str>,
        session: &str,
        place: &str,
    ) -> Result<(UserId, SessionId), ApiError> {
        let of = |error| ApiError::of(error, About::Session, place);
        let id = SessionId::new(session)
            .map_err(|error| ApiError::of(error.into(), About::Session, "path"))?;
        let named = user.map(UserId::new).transpose();
        let named = named.map_err(|error| of(error.into()))?;
        let whose = self
            .memories()
            .whose(&self.caller, right, named.as_ref(), &id);
        Ok((whose.await.map_err(of)?, id))
    }
}

/// The scope of a user's session.
pub(super) fn scope_of(user: UserId, session: SessionId) -> Scope {
    Scope {
        user: Some(user),
        session: Some(session),
        ..Scope::default()
    }
}

/// What a handler answers.
pub(super) type Answer<T> = Result<(StatusCode, Json<T>), ApiError>;

/// 200.
pub(super) fn ok<T>(body: T) -> Answer<T> {
    Ok((StatusCode::OK, Json(body)))
}

/// 201.
pub(super) fn created<T>(body: T) -> Answer<T> {
    Ok((StatusCode::CREATED, Json(body)))
}

/// That it is done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {
    /// True.
    success: bool,
    /// What was done.
    message: &'static str,
}

impl Done {
    /// In these words.
    pub(super) fn saying(message: &'static str) -> Self {
        Self {
            success: true,
            message,
        }
    }
}
