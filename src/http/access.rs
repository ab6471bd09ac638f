//! Who may come in.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::sessions::Holder;
use crate::memory::access::Caller;

/// Who may come in: whoever shows the token or, where there is none, everybody on this machine.
#[derive(Debug)]
pub struct Access {
    token: Option<SecretString>,
}

/// Others than this machine could come in, and nobody would be asked for a token.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "HOST lets others than this machine in, so a token is needed: set \
     MCP_AUTH_TOKEN=$(openssl rand -hex 32), or HOST=127.0.0.1"
)]
pub struct Unguarded;

impl Access {
    /// Access for whoever shows this token.
    pub fn new(token: Option<SecretString>) -> Self {
        Self { token }
    }

    /// Whether it is safe to listen on these addresses.
    ///
    /// # Errors
    /// [`Unguarded`].
    pub fn check_binding(&self, addresses: &[SocketAddr]) -> Result<(), Unguarded> {
        let beyond = addresses
            .iter()
            .any(|address| !address.ip().to_canonical().is_loopback());
        if beyond && self.token.is_none() {
            return Err(Unguarded);
        }
        Ok(())
    }

    fn identify(&self, headers: &HeaderMap) -> Option<(Caller, Holder)> {
        let Some(token) = &self.token else {
            return Some((Caller::Operator, Holder::new("this machine")));
        };
        let shown = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, shown) = shown.split_once(' ')?;
        let right = shown
            .trim()
            .as_bytes()
            .ct_eq(token.expose_secret().as_bytes());
        (scheme.eq_ignore_ascii_case("Bearer") && bool::from(right))
            .then(|| (Caller::Operator, Holder::new("token")))
    }
}

/// Lets through who may come in. The request then says who asks, as a [`Caller`] and a [`Holder`],
/// and no longer with which token.
pub(super) async fn authenticate(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    match access.identify(request.headers()) {
        Some((caller, holder)) => {
            request.headers_mut().remove(AUTHORIZATION);
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(holder);
            next.run(request).await
        }
        None => (
            StatusCode::UNAUTHORIZED,
            [(WWW_AUTHENTICATE, "Bearer")],
            "a token is needed: Authorization: Bearer <token>\n",
        )
            .into_response(),
    }
}
