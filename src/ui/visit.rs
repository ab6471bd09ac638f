//! A signed-in request, and the answer to it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use maud::Markup;
use uuid::Uuid;

use super::fields::Fields;
use super::guard::Form;
use super::host::Host;
use super::layout;
use super::session::Session;
use super::state::Ui;
use crate::audit::{Action, Call, Door};
use crate::memory::MemoryService;

/// A request of somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) ui: Arc<Ui>,
    pub(super) host: Arc<dyn Host>,
    pub(super) session: Arc<Session>,
    /// The query.
    pub(super) query: Fields,
    /// The form; empty if it is none.
    pub(super) form: Arc<Fields>,
    /// The method and the route, for the audit trail.
    call: String,
}

impl FromRequestParts<Arc<Ui>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, ui: &Arc<Ui>) -> Result<Self, Response> {
        let extensions = &parts.extensions;
        let host = extensions.get::<Arc<dyn Host>>().cloned();
        let session = extensions.get::<Arc<Session>>().cloned();
        let route = extensions.get::<MatchedPath>();
        let route = route.map_or("none", MatchedPath::as_str);
        // Both are put there by layers around the route.
        let (Some(host), Some(session)) = (host, session) else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        Ok(Self {
            ui: Arc::clone(ui),
            host,
            session,
            query: Fields::read(parts.uri.query().unwrap_or_default()),
            form: extensions
                .get::<Form>()
                .map(|form| Arc::clone(&form.0))
                .unwrap_or_default(),
            call: format!("{} {route}", parts.method),
        })
    }
}

/// Why something cannot be shown or done.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    /// Its stable name, in the audit trail.
    code: &'static str,
    /// What is wrong, and what to do.
    pub(super) detail: String,
}

impl Trouble {
    /// Something that was given cannot be used.
    pub(super) fn invalid(detail: impl ToString) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_argument",
            detail: detail.to_string(),
        }
    }

    /// It is not there.
    pub(super) fn missing(detail: impl ToString) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "not_found",
            detail: detail.to_string(),
        }
    }

    /// It cannot be read or done now.
    pub(super) fn failed(detail: impl ToString) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "failed",
            detail: detail.to_string(),
        }
    }

    /// Reading stopped by a mistake of ours.
    pub(super) fn ours() -> Self {
        Self::failed("the server made a mistake; look at its log")
    }
}

impl From<crate::memory::Error> for Trouble {
    fn from(error: crate::memory::Error) -> Self {
        use crate::memory::Error;
        let status = match &error {
            Error::Invalid { .. } => StatusCode::BAD_REQUEST,
            Error::NoSession { .. } | Error::NoEntity { .. } => StatusCode::NOT_FOUND,
            Error::Suspended { .. } => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            status,
            code: error.code(),
            detail: error.to_string(),
        }
    }
}

/// A page: its title, and what is on it.
pub(super) type Page = Result<(String, Markup), Trouble>;

impl Visit {
    /// The memories.
    pub(super) fn memories(&self) -> &MemoryService {
        self.ui.moves.memories()
    }

    /// Begins the entry of this request in the audit trail.
    pub(super) async fn begin(&self, action: Action) -> Result<Call, Trouble> {
        let request = Some(Uuid::now_v7().to_string());
        let (who, call) = (&self.session.who, self.call.clone());
        let begun = self.ui.trail.begin(who, Door::Http, call, action, request);
        begun.await.map_err(|unwritable| Trouble {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "audit_unavailable",
            detail: unwritable.to_string(),
        })
    }

    /// A page with an entry in the audit trail.
    pub(super) async fn audited(&self, panel: &str, page: impl Future<Output = Page>) -> Response {
        let call = match self.begin(Action::Read).await {
            Ok(call) => call,
            Err(trouble) => return self.show(panel, Err(trouble)),
        };
        let page = call.during(page).await;
        let outcome = page.as_ref().err().map_or("ok", |trouble| trouble.code);
        call.end(outcome).await;
        self.show(panel, page)
    }

    /// A page in its frame.
    pub(super) fn show(&self, panel: &str, page: Page) -> Response {
        match page {
            Ok((title, body)) => layout::page(self, panel, &title, &body),
            Err(trouble) => {
                let body = layout::trouble(&trouble);
                let page = layout::page(self, panel, "This cannot be shown", &body);
                (trouble.status, page).into_response()
            }
        }
    }

    /// Reads from the disk on a thread that may block, few at a time.
    pub(super) async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let turn = self.ui.readings.acquire().await;
        let _turn = turn.map_err(|_| Trouble::ours())?;
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|_| Trouble::ours())
    }
}
