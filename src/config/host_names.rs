//! The names under which this server is reached, and the origins of web pages that may call it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use http::uri::Authority;

/// A name under which the server is reached; with a port, only at that port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// In lower case, without brackets.
    name: String,
    port: Option<u16>,
}

impl HostName {
    pub(crate) fn of(authority: &Authority) -> Self {
        Self {
            name: bare(authority.host()),
            port: authority.port_u16(),
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }

    /// Whether it is an IP address.
    pub(crate) fn is_address(&self) -> bool {
        self.address().is_some()
    }

    /// Whether it names this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.name == "localhost"
            || self
                .address()
                .is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// Whether `host` is this name, with the same port if this one has one.
    pub(crate) fn covers(&self, host: &Self) -> bool {
        self.name == host.name && (self.port.is_none() || self.port == host.port)
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
        // An IPv6 address without brackets is not an authority, but unambiguous.
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
                "has an entry that is no host name; write names like `memory.example.com` or \
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

/// The origin of a web page (RFC 6454).
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
            "has an entry that is no origin; write origins like `https://app.example.com` or \
             `http://localhost:6274`, separated by commas"
                .to_owned()
        })
    }
}

impl WebOrigin {
    /// The origin of an `Origin` header.
    pub(crate) fn parse(text: &str) -> Option<Self> {
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

    /// Whether its pages were served under this name, so that they call their own server.
    pub(crate) fn is_of(&self, host: &HostName) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_names_and_origins_are_accepted() {
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
