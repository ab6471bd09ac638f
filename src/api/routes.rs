//! The paths of each capability, in every dialect.

use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::error::ApiError;
use super::health::Calls;
use super::state::Api;
use super::{
    compat, docs, health, history, memories, messages, migrations, sessions, snapshots, users,
};

/// The routes of the Memory API.
#[derive(Debug)]
pub struct Routes {
    /// Those that need a caller: each request must carry a [`Caller`](crate::memory::access::Caller) in its
    /// extensions.
    pub guarded: Router,
    /// Those that anybody may call: health, the OpenAPI document and its pages.
    pub open: Router,
}

/// The routes of this API.
pub fn routes(api: Api) -> Routes {
    let is_compat = api.compat;
    let api = Arc::new(api);
    let (guarded, document) = described().split_for_parts();
    let calls = Calls(docs::calls(&document).into());
    let guarded = guarded.method_not_allowed_fallback(no_method);
    let guarded = guarded.layer(Extension(calls));
    let guarded = match is_compat {
        true => guarded.layer(from_fn(compat::like_the_original)),
        false => guarded,
    };
    let open = OpenApiRouter::new().routes(routes!(health::health));
    let (open, of_open) = open.split_for_parts();
    let document = docs::completed(document.merge_from(of_open));
    Routes {
        guarded: guarded.with_state(Arc::clone(&api)),
        open: open.with_state(api).merge(docs::pages(&document)),
    }
}

async fn no_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path is called in another way; see /docs",
    )
}

/// A capability at its own path and at those of the other dialects.
fn also(
    router: OpenApiRouter<Arc<Api>>,
    capability: UtoipaMethodRouter<Arc<Api>>,
    others: &[&str],
) -> OpenApiRouter<Arc<Api>> {
    let mut router = router;
    let (_, paths, handler) = &capability;
    let item = paths.paths.values().next().cloned();
    for (index, path) in others.iter().enumerate() {
        router = router.route(path, handler.clone());
        if let Some(item) = &item {
            let paths = &mut router.get_openapi_mut().paths;
            docs::describe_again(paths, path, item.clone(), index + 2);
        }
    }
    router.routes(capability)
}

/// All of them, with their descriptions. Those of each path have other methods.
fn described() -> OpenApiRouter<Arc<Api>> {
    let mut router = OpenApiRouter::with_openapi(OpenApi::default());
    let all: [(UtoipaMethodRouter<Arc<Api>>, &[&str]); 36] = [
        // Users.
        (routes!(users::create), &["/api/memory/users"]),
        (routes!(users::read), &["/api/memory/users/{user_id}"]),
        (routes!(users::change), &["/api/memory/users/{user_id}"]),
        (routes!(users::delete), &["/api/memory/users/{user_id}"]),
        (
            routes!(users::sessions),
            &["/api/memory/users/{user_id}/sessions"],
        ),
        // Sessions.
        (routes!(sessions::open), &["/api/memory/sessions"]),
        (
            routes!(sessions::read),
            &["/api/memory/sessions/{session_id}"],
        ),
        (
            routes!(sessions::close),
            &["/api/memory/sessions/{session_id}/close"],
        ),
        // What is said.
        (routes!(messages::add_to_any), &[]),
        (routes!(messages::add_to_this), &[]),
        (
            routes!(history::history),
            &["/api/memory/conversations/{session_id}"],
        ),
        (routes!(history::count), &[]),
        (
            routes!(history::stats),
            &[
                "/api/memory/sessions/{session_id}/stats",
                "/api/v1/memory/stats/{session_id}",
            ],
        ),
        (routes!(messages::clear), &[]),
        (routes!(messages::clear_by_post), &[]),
        // Snapshots.
        (
            routes!(snapshots::store_summary),
            &["/api/memory/sessions/{session_id}/summary"],
        ),
        (
            routes!(snapshots::summary),
            &["/api/memory/sessions/{session_id}/summary"],
        ),
        (
            routes!(snapshots::summaries),
            &["/api/memory/sessions/{session_id}/summary/history"],
        ),
        (
            routes!(snapshots::store_emotional_state),
            &["/api/memory/sessions/{session_id}/emotional-state"],
        ),
        (
            routes!(snapshots::emotional_state),
            &["/api/memory/sessions/{session_id}/emotional-state"],
        ),
        (
            routes!(snapshots::emotional_states),
            &["/api/memory/sessions/{session_id}/emotional-state/history"],
        ),
        (
            routes!(snapshots::store_treatment_plan),
            &["/api/memory/sessions/{session_id}/treatment-plan"],
        ),
        (
            routes!(snapshots::treatment_plan),
            &["/api/memory/sessions/{session_id}/treatment-plan"],
        ),
        (
            routes!(snapshots::treatment_plans),
            &["/api/memory/sessions/{session_id}/treatment-plan/history"],
        ),
        // Memories.
        (routes!(memories::add), &[]),
        (routes!(memories::search), &[]),
        (routes!(memories::all), &[]),
        (routes!(memories::read), &[]),
        (routes!(memories::change), &[]),
        (routes!(memories::delete), &[]),
        (routes!(memories::delete_all), &[]),
        // Migrations.
        (routes!(migrations::start), &[]),
        (routes!(migrations::status), &[]),
        (routes!(migrations::report), &[]),
        (routes!(migrations::cancel), &[]),
        (routes!(migrations::validate), &[]),
    ];
    for (capability, others) in all {
        router = also(router, capability, others);
    }
    router.routes(routes!(health::tools))
}
