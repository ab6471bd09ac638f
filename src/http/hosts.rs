//! Under which names this server may be called, and by which web pages.
//!
//! A web page can have its own name resolve to this machine ("DNS rebinding") and so call what
//! listens here, in the name of whoever looks at it. Such calls carry the page's name in `Host` and
//! its origin in `Origin`: both are checked for every route.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, ORIGIN, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::sessions::SESSION_ID;

/// How long a browser may remember what it was allowed.
const CORS_MAX_AGE: Duration = Duration::from_secs(3600);

/// A name under which the server is reached, with a port where only that one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// In lower case, without brackets.
    name: String,
    port: Option<u16>,
}

impl HostName {
    fn of(authority: &Authority) -> Self {
        Self {
            name: bare(authority.host()),
            port: authority.port_u16(),
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }

    fn is_loopback(&self) -> bool {
        self.name == "localhost"
            || self
                .address()
                .is_some_and(|address| address.to_canonical().is_loopback())
    }
}

/// A host without the brackets of IPv6, in lower case.
fn bare(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_ascii_lowercase()
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An IPv6 address without brackets is no authority, but plain to see.
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                name: address.to_string(),
                port: None,
            });
        }
        match Authority::from_str(text) {
            Ok(authority) if !text.contains(['@', '*']) && !authority.host().is_empty() => {
                Ok(Self::of(&authority))
            }
            _ => Err(
                "has an entry that is no host name; write names such as `memory.example.com` or \
                 `memory.example.com:8443`, separated by commas"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let six = self.name.contains(':');
        match (six, self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.name),
            (false, Some(port)) => write!(f, "{}:{port}", self.name),
            (_, None) => f.write_str(&self.name),
        }
    }
}

/// Where a web page comes from (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin {
    scheme: String,
    name: String,
    port: u16,
}

impl FromStr for WebOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            "has an entry that is no origin; write origins such as `https://app.example.com` or \
             `http://localhost:6274`, separated by commas"
                .to_owned()
        })
    }
}

impl WebOrigin {
    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('@') {
            return None;
        }
        let port = match (authority.port_u16(), scheme) {
            (Some(port), _) => port,
            (None, "http") => 80,
            (None, "https") => 443,
            (None, _) => return None,
        };
        Some(Self {
            scheme: scheme.to_owned(),
            name: bare(authority.host()),
            port,
        })
    }

    /// Whether its pages were served under this name, so that they call nobody but their own server.
    fn is_of(&self, host: &HostName) -> bool {
        let default = if self.scheme == "https" { 443 } else { 80 };
        self.name == host.name && self.port == host.port.unwrap_or(default)
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, name, port } = self;
        match name.contains(':') {
            true => write!(f, "{scheme}://[{name}]:{port}"),
            false => write!(f, "{scheme}://{name}:{port}"),
        }
    }
}

/// What may be called, and from where.
#[derive(Debug)]
pub(super) struct Hosts {
    names: Vec<HostName>,
    /// Whether others than this machine come in: then under any address. A name that is an address
    /// cannot be made to resolve to another, so nobody is led here by it.
    any_address: bool,
    origins: Vec<WebOrigin>,
}

impl Hosts {
    /// Reached under `names` beside this machine's own, from pages of `origins`.
    pub fn new(names: Vec<HostName>, beyond_loopback: bool, origins: Vec<WebOrigin>) -> Self {
        Self {
            names,
            any_address: beyond_loopback,
            origins,
        }
    }

    fn admits_host(&self, host: &HostName) -> bool {
        host.is_loopback()
            || (self.any_address && host.address().is_some())
            || self.names.iter().any(|allowed| {
                allowed.name == host.name && (allowed.port.is_none() || allowed.port == host.port)
            })
    }

    fn admits_origin(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().ok().and_then(WebOrigin::parse);
        origin.is_some_and(|origin| self.origins.contains(&origin))
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let hosts = headers.get_all(HOST).iter().map(|value| {
            let authority = value.to_str().ok().and_then(|text| text.parse().ok());
            authority.ok_or(Refusal::NoHost)
        });
        let named = hosts.chain(uri.authority().cloned().map(Ok));
        let mut host = None;
        for authority in named {
            let name = HostName::of(&authority?);
            if !self.admits_host(&name) {
                return Err(Refusal::Host);
            }
            host = Some(name);
        }
        let host = host.ok_or(Refusal::NoHost)?;
        for origin in headers.get_all(ORIGIN) {
            let own = origin.to_str().ok().and_then(WebOrigin::parse);
            let own = own.is_some_and(|origin| origin.is_of(&host));
            if !own && !self.admits_origin(origin) {
                return Err(Refusal::Origin);
            }
        }
        Ok(())
    }

    /// What lets the pages of configured origins read answers; `None` where there are none.
    pub fn cors(self: &Arc<Self>) -> Option<CorsLayer> {
        if self.origins.is_empty() {
            return None;
        }
        let hosts = Arc::clone(self);
        let origin = AllowOrigin::predicate(move |origin, _| hosts.admits_origin(origin));
        let layer = CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            // MCP adds headers with every version; none of them is a danger to us.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([HeaderName::from_static(SESSION_ID), WWW_AUTHENTICATE])
            .max_age(CORS_MAX_AGE);
        Some(layer)
    }
}

/// Why a call is not let in. What was named is not repeated: it is somebody else's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NoHost,
    Host,
    Origin,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoHost => (StatusCode::BAD_REQUEST, "the Host header cannot be read\n"),
            Self::Host => (
                StatusCode::FORBIDDEN,
                "this server is not known under that host name; whoever runs it can add it to \
                 ZEP_MCP_ALLOWED_HOSTS\n",
            ),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "web pages of that origin may not call this server; whoever runs it can add it to \
                 ZEP_MCP_ALLOWED_ORIGINS\n",
            ),
        }
        .into_response()
    }
}

/// Lets through what is called under one of our names, and by no foreign page.
pub(super) async fn check(
    State(hosts): State<Arc<Hosts>>,
    request: Request,
    next: Next,
) -> Response {
    match hosts.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            tracing::debug!(?refusal, "not let in");
            refusal.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(hosts: &Hosts, uri: &str, host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        headers.append(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        hosts.check(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn only_names_of_ours_are_served() {
        let names = ["memory.example.com", "Other.example:8443"];
        let names = names.map(|name| name.parse().unwrap()).to_vec();
        let here = Hosts::new(names.clone(), false, Vec::new());
        let beyond = Hosts::new(names, true, Vec::new());
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
                said(&here, "/mcp", host, None).is_ok(),
                on_loopback,
                "{host}"
            );
            assert_eq!(
                said(&beyond, "/mcp", host, None).is_ok(),
                on_a_network,
                "{host}"
            );
        }
    }

    #[test]
    fn a_second_name_does_not_hide_behind_a_good_one() {
        let hosts = Hosts::new(Vec::new(), false, Vec::new());
        let refused = said(&hosts, "http://evil.example/mcp", "localhost", None);
        assert_eq!(refused, Err(Refusal::Host));
        let mut headers = HeaderMap::new();
        headers.append(HOST, "localhost".parse().unwrap());
        headers.append(HOST, "evil.example".parse().unwrap());
        let refused = hosts.check(&"/mcp".parse().unwrap(), &headers);
        assert_eq!(refused, Err(Refusal::Host));
        let refused = hosts.check(&"/mcp".parse().unwrap(), &HeaderMap::new());
        assert_eq!(refused, Err(Refusal::NoHost));
    }

    #[test]
    fn only_our_own_pages_and_those_named_may_call() {
        let origins = ["https://app.example.com", "http://localhost:6274"];
        let origins = origins.map(|origin| origin.parse().unwrap()).to_vec();
        let names = vec!["memory.example.com".parse().unwrap()];
        let hosts = Hosts::new(names, false, origins);
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
            let said = said(&hosts, "/mcp", host, Some(origin));
            assert_eq!(said.is_ok(), let_in, "{origin} at {host}");
        }
    }

    #[test]
    fn what_is_no_name_and_no_origin_is_refused() {
        for name in [
            "",
            "https://a.example",
            "a b",
            "*",
            "*.example.com",
            "u@a.example",
        ] {
            assert!(name.parse::<HostName>().is_err(), "{name}");
        }
        for origin in [
            "*",
            "app.example.com",
            "https://a.example/path",
            "file:///x",
            "null",
        ] {
            assert!(origin.parse::<WebOrigin>().is_err(), "{origin}");
        }
        for name in ["a.example", "a.example:80", "::1", "[::1]:8081"] {
            let parsed: HostName = name.parse().unwrap();
            assert_eq!(parsed.to_string(), name);
        }
    }
}
