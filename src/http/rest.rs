//! Routes that are not MCP's, and their bounds.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;

use super::body::{BodyMemory, read_rest_body};
use super::limits::MAX_BODY_BYTES;
use super::shares::{Shares, admit_call};

/// Routes beside MCP's.
#[derive(Debug, Default)]
pub struct RestRoutes {
    /// Those that need a caller.
    pub guarded: Router,
    /// Those that anybody may call. Each request carries an `Arc<dyn Host>` in its extensions, for the
    /// operators' page, which has a login of its own.
    pub open: Router,
    /// Whether there are any.
    pub is_served: bool,
}

/// The guarded routes with their bounds. Each request must carry a `Caller` and a `Subject` in its
/// extensions.
pub(super) fn bounded<S: Clone + Send + Sync + 'static>(
    routes: Router,
    shares: Arc<Shares>,
) -> Router<S> {
    let routes = routes
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(
            Arc::<BodyMemory>::default(),
            read_rest_body,
        ))
        .layer(from_fn_with_state(shares, admit_call));
    routes.with_state(())
}
