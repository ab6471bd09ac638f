//! What it takes to talk to Zep.

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

/// Where Zep is, with which key, and how long a call may take.
#[derive(Debug, Clone)]
pub struct ZepAccess {
    /// Scheme and host, and a port where it is not the usual one; no path and no slash at the end.
    pub url: String,
    /// The API key. Printable ASCII.
    pub key: SecretString,
    /// For one call, all attempts together.
    pub timeout: Duration,
}

/// Checks Zep's address and gives it without a slash at its end. Plain http is for this machine
/// only: elsewhere the key would be readable on the way. What is wrong is said without the address,
/// which may hold a password.
pub(super) fn check_url(raw: &str) -> Result<String, String> {
    let refuse = |what: &str| Err(what.to_owned());
    let Ok(url) = Url::parse(raw) else {
        return refuse("is not a URL; it may be like https://api.getzep.com");
    };
    if !url.has_host() {
        return refuse("names no host; it may be like https://api.getzep.com");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("has a user name or password in it; remove them, the key is enough");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return refuse(
            "has something after the host; leave it out (`/api/v2` is added), as in \
             https://api.getzep.com",
        );
    }
    match url.scheme() {
        "https" => {}
        "http" if is_this_machine(&url) => {}
        "http" => {
            return refuse(
                "is plain http to another machine, where the key could be read on the way; use \
                 https (http may only go to localhost, 127.0.0.1 or [::1])",
            );
        }
        _ => return refuse("is neither https nor http; it may be like https://api.getzep.com"),
    }
    Ok(url.origin().ascii_serialization())
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Checks that a key can be sent at all. Never repeats it.
pub(super) fn check_key(key: &SecretString) -> Result<(), String> {
    let raw = key.expose_secret();
    if raw.starts_with(['"', '\'']) {
        return Err("stands in quotes; leave them out".to_owned());
    }
    if !raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "has a space or another character in it that no key has; copy it again from \
             https://app.getzep.com"
                .to_owned(),
        );
    }
    Ok(())
}
