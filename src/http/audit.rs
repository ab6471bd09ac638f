//! Entries of the audit trail on requests over HTTP: those that were refused, and those of routes that
//! read or change memories. Calls of tools have entries of their own.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, RequestExt};
use serde_json::json;

use super::metrics::method_of;
use crate::audit::{Action, Door, Entry, OutcomeCode, Trail, Unwritable, Who, touched};

/// Refusals with an entry each, in a minute. Beyond that they are counted: anybody who can connect can
/// send requests that are refused, and must not fill the disk. Ours.
const ENTRIES_A_MINUTE: usize = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// The most kinds of refusals that are counted apart. Ours: callers times routes times reasons.
const MAX_KINDS: usize = 1_000;

/// In a response's extensions: the code of the reason for which the request was refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusedAs(pub(super) &'static str);

/// In a response's extensions: the request has its entry.
#[derive(Debug, Clone, Copy)]
struct HasEntry;

/// The audit trail as the routes need it.
#[derive(Debug)]
pub struct HttpAudit {
    trail: Trail,
    refusals: Mutex<Refusals>,
}

/// What is counted instead of noted one by one.
#[derive(Debug)]
struct Refusals {
    since: Instant,
    noted: usize,
    counted: HashMap<Kind, u64>,
}

/// Refusals that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    who: Option<Arc<str>>,
    call: String,
    reason: Cow<'static, str>,
}

impl HttpAudit {
    /// For this trail.
    pub fn new(trail: Trail) -> Arc<Self> {
        Arc::new(Self {
            trail,
            refusals: Mutex::new(Refusals {
                since: Instant::now(),
                noted: 0,
                counted: HashMap::new(),
            }),
        })
    }

    /// Notes a refusal, or counts it.
    async fn refused(
        &self,
        who: Option<Who>,
        call: String,
        reason: Cow<'static, str>,
        begun: Instant,
    ) {
        self.sweep();
        {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            if refusals.noted >= ENTRIES_A_MINUTE {
                let mut kind = Kind {
                    who: who.map(|who| who.name),
                    call,
                    reason,
                };
                if refusals.counted.len() >= MAX_KINDS && !refusals.counted.contains_key(&kind) {
                    kind.who = None;
                }
                *refusals.counted.entry(kind).or_default() += 1;
                return;
            }
            refusals.noted += 1;
        }
        let mut entry = Entry::new(Door::Http, call, Action::Refusal);
        if let Some(who) = &who {
            entry = entry.by(who);
        }
        entry.outcome = reason;
        entry.micros = micros_since(begun);
        entry.request = Some(fresh_id());
        self.trail.record(&entry).await;
    }

    /// Notes what was counted, once a minute.
    pub(super) fn sweep(&self) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.since.elapsed() < MINUTE {
            return;
        }
        refusals.since = Instant::now();
        refusals.noted = 0;
        let counted = std::mem::take(&mut refusals.counted);
        drop(refusals);
        self.note_counted(counted);
    }

    /// Notes what was counted, at the end.
    pub(super) fn finish(&self) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = std::mem::take(&mut refusals.counted);
        drop(refusals);
        self.note_counted(counted);
    }

    fn note_counted(&self, counted: HashMap<Kind, u64>) {
        for (Kind { who, call, reason }, count) in counted {
            self.trail.note(&Entry {
                who,
                outcome: reason,
                count,
                ..Entry::new(Door::Http, call, Action::Refusal)
            });
        }
    }
}

fn fresh_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn micros_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The method and the route. A path may hold ids, so that one without a route is not told.
fn call_of(request: &Request) -> String {
    let route = request.extensions().get::<MatchedPath>();
    let method = method_of(request.method());
    format!("{method} {}", route.map_or("none", MatchedPath::as_str))
}

/// Middleware around all routes: notes the requests that are refused before they reach a tool or a route.
pub(super) async fn refusals(
    State(audit): State<Arc<HttpAudit>>,
    request: Request,
    next: Next,
) -> Response {
    if !audit.trail.is_on() {
        return next.run(request).await;
    }
    let (call, begun) = (call_of(&request), Instant::now());
    let response = next.run(request).await;
    if response.extensions().get::<HasEntry>().is_some() {
        return response;
    }
    let reason = match (response.extensions().get::<RefusedAs>(), response.status()) {
        (Some(reason), _) => reason.0,
        (None, StatusCode::UNAUTHORIZED) => "unauthenticated",
        (None, StatusCode::FORBIDDEN) => "forbidden",
        (None, StatusCode::TOO_MANY_REQUESTS) => "too_many_requests",
        (None, _) => return response,
    };
    let who = response.extensions().get::<Who>().cloned();
    audit.refused(who, call, reason.into(), begun).await;
    response
}

/// Middleware around the routes that read or change memories: one entry for each request, with the route,
/// the caller, whose memories were touched, the outcome and the duration. Refuses the request with 503
/// while the trail cannot be written and is required. Each request must carry a [`Who`] in its extensions.
///
/// Whose memories they are is noted where access is decided, and ids where they are found. A handler tells
/// an error's code with [`OutcomeCode`].
pub async fn routes(
    State(audit): State<Arc<HttpAudit>>,
    mut request: Request,
    next: Next,
) -> Response {
    let who = request.extensions().get::<Who>().cloned();
    let who = who.unwrap_or_else(Who::operator);
    let action = match *request.method() {
        Method::GET | Method::HEAD => Action::Read,
        Method::DELETE => Action::Delete,
        _ => Action::Write,
    };
    let call = call_of(&request);
    let begun = audit
        .trail
        .begin(&who, Door::Http, call, action, Some(fresh_id()));
    let call = match begun.await {
        Ok(call) => call,
        Err(unwritable) => return refuse(&unwritable),
    };
    let params = request.extract_parts::<RawPathParams>().await;
    if let Ok(params) = &params {
        call.noting(|| note_path(params));
    }
    let mut response = call.during(next.run(request)).await;
    let outcome = outcome_of(&response);
    call.acting_as_noted().end(outcome).await;
    response.extensions_mut().insert(HasEntry);
    response
}

/// Notes the ids in a path. Users and agents are noted where access is decided.
fn note_path(params: &RawPathParams) {
    for (name, value) in params {
        match name {
            "session_id" | "session" => touched::session(value),
            "memory_id" | "message_id" | "id" => touched::id(value),
            _ => {}
        }
    }
}

fn outcome_of(response: &Response) -> Cow<'static, str> {
    let extensions = response.extensions();
    if let Some(OutcomeCode(code)) = extensions.get::<OutcomeCode>() {
        return code.clone();
    }
    if let Some(RefusedAs(code)) = extensions.get::<RefusedAs>() {
        return (*code).into();
    }
    match response.status() {
        status if status.is_success() || status.is_redirection() => "ok".into(),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "invalid_argument".into(),
        StatusCode::FORBIDDEN => "forbidden".into(),
        StatusCode::NOT_FOUND => "not_found".into(),
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests".into(),
        status => format!("http_{}", status.as_u16()).into(),
    }
}

fn refuse(unwritable: &Unwritable) -> Response {
    let body = json!({"error": "audit_unavailable", "detail": unwritable.to_string()});
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    response.extensions_mut().insert(HasEntry);
    response
}
