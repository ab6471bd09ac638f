//! Checks the `Host` and `Origin` headers of every request.
//!
//! A web page can have its own name resolve to this machine ("DNS rebinding") and so call this server
//! as its visitor. Such requests carry the page's name in `Host` and its origin in `Origin`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::audit::RefusedAs;
use super::mcp_sessions::SESSION_ID;
use crate::config::{HostName, WebOrigin};

/// How long a browser may cache what it is allowed.
const CORS_MAX_AGE: Duration = Duration::from_secs(3600);

/// The names under which the server may be called, and the origins of pages that may call it.
#[derive(Debug)]
pub(super) struct Allowlist {
    names: Vec<HostName>,
    /// Whether any IP address is allowed, for servers that other machines reach. An address cannot be
    /// rebound by DNS.
    any_address: bool,
    origins: Vec<WebOrigin>,
}

impl Allowlist {
    /// Allows `names` beside localhost, and pages of `origins`.
    pub(super) fn new(names: Vec<HostName>, any_address: bool, origins: Vec<WebOrigin>) -> Self {
        Self {
            names,
            any_address,
            origins,
        }
    }

    fn admits_host(&self, host: &HostName) -> bool {
        host.is_loopback()
            || (self.any_address && host.is_address())
            || self.names.iter().any(|allowed| allowed.covers(host))
    }

    fn admits_origin(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().ok().and_then(WebOrigin::parse);
        origin.is_some_and(|origin| self.origins.contains(&origin))
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Rejection> {
        // There must be one, also beside a target that names a host itself (RFC 9112, 3.2).
        let mut values = headers.get_all(HOST).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Rejection::BadHost);
        };
        let host = authority(value).ok_or(Rejection::BadHost)?;
        let mut host = HostName::of(&host);
        if !self.admits_host(&host) {
            return Err(Rejection::Host);
        }
        if let Some(target) = uri.authority() {
            host = HostName::of(target);
            if !self.admits_host(&host) {
                return Err(Rejection::Host);
            }
        }
        for origin in headers.get_all(ORIGIN) {
            let own = origin.to_str().ok().and_then(WebOrigin::parse);
            let own = own.is_some_and(|origin| origin.is_of(&host));
            if !own && !self.admits_origin(origin) {
                return Err(Rejection::Origin);
            }
        }
        Ok(())
    }

    /// The layer that lets pages of the allowed origins read responses; `None` if there are none.
    pub(super) fn cors(self: &Arc<Self>) -> Option<CorsLayer> {
        if self.origins.is_empty() {
            return None;
        }
        let allowlist = Arc::clone(self);
        let origin = AllowOrigin::predicate(move |origin, _| allowlist.admits_origin(origin));
        let layer = CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            // Every version of MCP adds headers; all of them are harmless here.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([HeaderName::from_static(SESSION_ID), WWW_AUTHENTICATE])
            .max_age(CORS_MAX_AGE);
        Some(layer)
    }
}

/// The host and port that a `Host` header names; `None` if it is not one (RFC 9110, 7.2).
fn authority(value: &HeaderValue) -> Option<Authority> {
    let authority: Authority = value.to_str().ok()?.parse().ok()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let is_valid = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some("") => true,
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        }
    };
    is_valid.then_some(authority)
}

/// Why a request is rejected. Never repeats the header, which is foreign text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rejection {
    BadHost,
    Host,
    Origin,
}

impl Rejection {
    /// Our name for it, in the audit trail.
    fn name(self) -> &'static str {
        match self {
            Self::BadHost => "bad_host",
            Self::Host => "foreign_host",
            Self::Origin => "foreign_origin",
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::BadHost => (
                StatusCode::BAD_REQUEST,
                "a request needs one Host header, with a host and at most a port\n",
            ),
            Self::Host => (
                StatusCode::FORBIDDEN,
                "this server is not known under that host name; its operator can add it to \
                 ZEP_MCP_ALLOWED_HOSTS\n",
            ),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "web pages of that origin may not call this server; its operator can add it to \
                 ZEP_MCP_ALLOWED_ORIGINS\n",
            ),
        }
        .into_response()
    }
}

/// Rejects requests to foreign names and from foreign pages.
pub(super) async fn check(
    State(allowlist): State<Arc<Allowlist>>,
    request: Request,
    next: Next,
) -> Response {
    match allowlist.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(rejection) => {
            tracing::debug!(?rejection, "rejected a request");
            let mut response = rejection.into_response();
            response
                .extensions_mut()
                .insert(RefusedAs(rejection.name()));
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        allowlist: &Allowlist,
        uri: &str,
        host: &str,
        origin: Option<&str>,
    ) -> Result<(), Rejection> {
        let mut headers = HeaderMap::new();
        headers.append(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        allowlist.check(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn only_configured_names_are_served() {
        let names = ["memory.example.com", "Other.example:8443"];
        let names = names.map(|name| name.parse().unwrap()).to_vec();
        let local = Allowlist::new(names.clone(), false, Vec::new());
        let remote = Allowlist::new(names, true, Vec::new());
        for (host, on_loopback, on_a_network) in [
            ("localhost:8081", true, true),
            ("LOCALHOST", true, true),
            ("127.0.0.1:8081", true, true),
            ("127.8.9.1", true, true),
            ("[::1]:8081", true, true),
            ("[::ffff:127.0.0.1]", true, true),
            ("memory.example.com", true, true),
            ("Memory.Example.com:1234", true, true),
            ("other.example:8443", true, true),
            ("other.example:8444", false, false),
            ("other.example", false, false),
            ("10.1.2.3:8081", false, true),
            ("[fe80::1]", false, true),
            ("evil.example", false, false),
            ("localhost.evil.example", false, false),
            ("127.0.0.1.evil.example", false, false),
            ("memory.example.com.evil.example", false, false),
        ] {
            assert_eq!(
                check(&local, "/mcp", host, None).is_ok(),
                on_loopback,
                "{host}"
            );
            assert_eq!(
                check(&remote, "/mcp", host, None).is_ok(),
                on_a_network,
                "{host}"
            );
        }
    }

    #[test]
    fn a_foreign_name_beside_a_good_one_is_rejected() {
        let allowlist = Allowlist::new(Vec::new(), false, Vec::new());
        let refused = check(&allowlist, "http://evil.example/mcp", "localhost", None);
        assert_eq!(refused, Err(Rejection::Host));
        let mut headers = HeaderMap::new();
        headers.append(HOST, "localhost".parse().unwrap());
        headers.append(HOST, "evil.example".parse().unwrap());
        let refused = allowlist.check(&"/mcp".parse().unwrap(), &headers);
        assert_eq!(refused, Err(Rejection::BadHost));
    }

    #[test]
    fn there_is_one_host_and_it_is_one() {
        let allowlist = Allowlist::new(Vec::new(), true, Vec::new());
        for bad in [
            "",
            "ann@localhost",
            "localhost:",
            "localhost:port",
            "localhost:65536",
            "localhost:+1",
            "localhost:1:2",
            "localhost/",
            "http://localhost",
            "local host",
            "[::1",
            "::1",
        ] {
            let checked = check(&allowlist, "/mcp", bad, None);
            let expected = match bad {
                "localhost:" => Ok(()),
                _ => Err(Rejection::BadHost),
            };
            assert_eq!(checked, expected, "{bad}");
        }
        for target in ["/mcp", "http://localhost/mcp"] {
            let refused = allowlist.check(&target.parse().unwrap(), &HeaderMap::new());
            assert_eq!(refused, Err(Rejection::BadHost), "{target}");
        }
        let mut twice = HeaderMap::new();
        twice.append(HOST, HeaderValue::from_static("localhost"));
        twice.append(HOST, HeaderValue::from_static("localhost"));
        let refused = allowlist.check(&"/mcp".parse().unwrap(), &twice);
        assert_eq!(refused, Err(Rejection::BadHost));
    }

    #[test]
    fn only_own_pages_and_configured_origins_may_call() {
        let origins = ["https://app.example.com", "http://localhost:6274"];
        let origins = origins.map(|origin| origin.parse().unwrap()).to_vec();
        let names = vec!["memory.example.com".parse().unwrap()];
        let allowlist = Allowlist::new(names, false, origins);
        for (host, origin, let_in) in [
            ("localhost:8081", "http://localhost:8081", true),
            ("localhost:8081", "http://localhost:6274", true),
            ("localhost:8081", "https://app.example.com", true),
            ("localhost:8081", "https://app.example.com:443", true),
            ("memory.example.com", "https://memory.example.com", true),
            ("localhost:8081", "http://localhost:3000", false),
            ("localhost:8081", "https://app.example.com:8443", false),
            ("localhost:8081", "http://app.example.com", false),
            (
                "localhost:8081",
                "https://app.example.com.evil.example",
                false,
            ),
            ("localhost:8081", "null", false),
            ("localhost:8081", "", false),
        ] {
            let checked = check(&allowlist, "/mcp", host, Some(origin));
            assert_eq!(checked.is_ok(), let_in, "{origin} at {host}");
        }
    }
}
