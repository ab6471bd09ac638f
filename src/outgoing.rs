//! The HTTP client of every service that this program calls with a key: proxies and certificates of
//! the system, no redirects, and plain HTTP to this machine only.

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Url, redirect};
use ring::digest;
use secrecy::{ExposeSecret, SecretString};

/// How long an unused connection is kept. Ours: less than the 60 seconds after which load balancers
/// commonly close it, since a write on a connection that is just being closed is in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept. Ours: as many as calls of a busy server are under way at once. Each that is not kept
/// is opened again with the next call, which with TLS takes longer than the call.
const IDLE_CONNECTIONS: usize = 100;
/// The shortest key that is removed from texts, in bytes: a shorter one is a test key and would match
/// ordinary words.
const SECRET_LENGTH: usize = 8;
/// Characters of a service's explanation that an error repeats. Ours.
const MAX_EXPLANATION_CHARS: usize = 300;

/// How much of its digest names an account, in bytes.
const ACCOUNT_BYTES: usize = 16;

/// A name of an account that does not tell its key.
pub(crate) fn account(host: &str, key: &SecretString) -> String {
    let named = format!("{host} {}", key.expose_secret());
    let digest = digest::digest(&digest::SHA256, named.as_bytes());
    let digest = digest.as_ref().iter().take(ACCOUNT_BYTES);
    digest.map(|byte| format!("{byte:02x}")).collect()
}

/// A pooled client that sends these headers to this address. Loads the system's certificates, which
/// takes milliseconds.
pub(crate) fn client(
    url: &Url,
    headers: HeaderMap,
    connect_timeout: Duration,
) -> Result<Client, String> {
    // Fails only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .default_headers(headers)
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        // A redirect must not receive the key.
        .redirect(redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    if url.scheme() == "http" {
        // On this machine no proxy may see the key in plain text, and no certificates are needed.
        client = client.no_proxy().tls_certs_only([]);
    }
    client.build().map_err(|error| root_cause(&error))
}

/// Checks the address of a service like `example`. Plain http is allowed to this machine only:
/// elsewhere the key would be readable on the network. The error does not repeat the address, which
/// may contain a password.
pub fn check_address(raw: &str, example: &str) -> Result<Url, String> {
    let Ok(url) = Url::parse(raw.trim()) else {
        return Err(format!("is not a URL; it may be like {example}"));
    };
    if !url.has_host() {
        return Err(format!("names no host; it may be like {example}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or password in it; remove them, the key is enough".to_owned());
    }
    match url.scheme() {
        "https" => {}
        "http" if is_this_machine(&url) => {}
        "http" => {
            return Err(
                "is plain http to another machine, where the key could be read on the way; use \
                 https (http may only go to localhost, 127.0.0.1 or [::1])"
                    .to_owned(),
            );
        }
        _ => {
            return Err(format!(
                "is neither https nor http; it may be like {example}"
            ));
        }
    }
    Ok(url)
}

/// Whether an address leads to this machine and nowhere else.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Checks that a key, which can be had at `where_from`, can be sent. The error does not repeat it.
pub(crate) fn check_key(key: &str, where_from: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err(format!("is empty; set it to a key from {where_from}"));
    }
    if key.starts_with(['"', '\'']) {
        return Err("stands in quotes; leave them out".to_owned());
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "has a space or another character in it that no key has; copy it again from {where_from}"
        ));
    }
    Ok(())
}

/// The innermost cause: the outer ones only say that a request failed, and repeat its address.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3).
pub(crate) fn wait_asked_for(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The text without the key, in case it contains it.
pub(crate) fn without_key(text: &str, key: &str) -> String {
    if key.len() < SECRET_LENGTH {
        return text.to_owned();
    }
    text.replace(key, "[key]")
}

/// A service's explanation as an error repeats it: one line, not too long.
pub(crate) fn shortened(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(MAX_EXPLANATION_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(MAX_EXPLANATION_CHARS).is_some() {
        short.push('…');
    }
    short
}
