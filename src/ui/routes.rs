//! The paths of the page. Ids are in queries, never in paths: they may be any text.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use super::guard::signed_in;
use super::state::Ui;
use super::{
    conversation, headers, health, live, login, migrations, people, person, run, tokens, trail,
};

/// The routes of the page. Each request must carry an `Arc<dyn Host>` in its extensions, and its address.
pub fn routes(ui: Ui) -> Router {
    let ui = Arc::new(ui);
    Router::new()
        .route("/ui", get(health::show))
        .route("/ui/people", get(people::show))
        .route("/ui/user", get(person::show))
        .route("/ui/session", get(conversation::show))
        .route("/ui/migrations", get(migrations::show))
        .route("/ui/migrations/run", get(run::show))
        .route("/ui/migrations/stop", post(migrations::stop))
        .route("/ui/migrations/rollback", post(run::roll_back))
        .route("/ui/migrations/events", get(live::events))
        .route("/ui/trail", get(trail::show))
        .route("/ui/trail/verify", post(trail::verify))
        .route("/ui/tokens", get(tokens::show))
        .route("/ui/logout", post(login::sign_out))
        .layer(from_fn_with_state(Arc::clone(&ui), signed_in))
        .route("/ui/", get(login::home))
        .route("/ui/login", get(login::show).post(login::sign_in))
        .route("/ui/style.css", get(headers::style))
        .route("/ui/live.js", get(headers::script))
        .layer(from_fn(headers::strict))
        .with_state(ui)
}
