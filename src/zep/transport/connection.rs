//! Where Zep is, with which key, and how long a call may last.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

/// How long a connection may take to come about. A third of the whole time-out where that is less,
/// so that a second try fits in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept. Ours: less than the 60 seconds after which load balancers
/// commonly close it, since a write on a connection that is just being closed is in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept. Ours.
const IDLE_CONNECTIONS: usize = 8;

/// What is wrong with a [`Connection`]. Names the setting, never repeats its value: a URL may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidConnection {
    /// The setting: `ZEP_API_URL`, `ZEP_API_KEY` or `ZEP_TIMEOUT_SECS`.
    pub field: &'static str,
    /// What is wrong with it and what it may be.
    pub problem: String,
}

/// Where Zep is, with which key, and how long a call may last. Its debug print hides the key.
#[derive(Clone)]
pub struct Connection {
    url: Url,
    api_key: SecretString,
    timeout: Duration,
}

impl Connection {
    /// A checked connection. Does no work on the network.
    ///
    /// `url` is scheme and host, with a port if need be, and without a path: `https`, or plain
    /// `http` to this machine only, since the key travels with every request. `timeout` is that of
    /// a whole call: retries, pauses and pacing included.
    ///
    /// # Errors
    /// [`InvalidConnection`] that names the setting.
    pub fn new(url: &str, key: SecretString, timeout: Duration) -> Result<Self, InvalidConnection> {
        let url = checked_url(url).map_err(|problem| InvalidConnection {
            field: "ZEP_API_URL",
            problem: problem.to_owned(),
        })?;
        let api_key = SecretString::from(key.expose_secret().trim());
        if api_key.expose_secret().is_empty() {
            return Err(InvalidConnection {
                field: "ZEP_API_KEY",
                problem: "is empty; set it to a project's key from https://app.getzep.com".into(),
            });
        }
        authorization(&api_key)?;
        if timeout.is_zero() {
            return Err(InvalidConnection {
                field: "ZEP_TIMEOUT_SECS",
                problem: "is 0; a call needs at least 1 second".into(),
            });
        }
        Ok(Self {
            url,
            api_key,
            timeout,
        })
    }

    /// Scheme, host and port: `https://api.getzep.com`.
    pub fn host(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// How long a whole call may last.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long a connection may take to come about.
    pub(super) fn connect_timeout(&self) -> Duration {
        CONNECT_TIMEOUT.min(self.timeout / 3)
    }

    pub(super) fn base(&self) -> &Url {
        &self.url
    }

    /// The text without the key, should somebody have put it there.
    pub(super) fn without_key(&self, text: &str) -> String {
        text.replace(self.api_key.expose_secret(), "[key]")
    }

    /// The pooled client. Loads the system's certificates, which takes milliseconds.
    pub(super) fn client(&self) -> Result<Client, String> {
        // Fails only where somebody installed one before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let headers = authorization(&self.api_key).map_err(|error| error.to_string())?;
        let mut client = Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, headers)]))
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ))
            // A key must not travel to wherever an answer points.
            .redirect(redirect::Policy::none())
            .connect_timeout(self.connect_timeout())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        if self.url.scheme() == "http" {
            // To this machine: no proxy may see the key in plain text, and no certificates are
            // needed.
            client = client.no_proxy().tls_certs_only([]);
        }
        client
            .build()
            .map_err(|error| super::answer::root_cause(&error))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.host())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn checked_url(raw: &str) -> Result<Url, &'static str> {
    let url = Url::parse(raw.trim())
        .map_err(|_| "is not a URL; it may be like https://api.getzep.com")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user name or password; only scheme and host are allowed");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("has a path or query; only scheme and host are allowed (no /api/v2)");
    }
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        ("http", Some(_)) => {
            Err("is plain http to another machine, which would send the key unencrypted; use https")
        }
        _ => Err("is neither https nor http; it may be like https://api.getzep.com"),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn authorization(key: &SecretString) -> Result<HeaderValue, InvalidConnection> {
    let mut value = HeaderValue::from_str(&format!("Api-Key {}", key.expose_secret()))
        .ok()
        .filter(|value| value.to_str().is_ok())
        .ok_or_else(|| InvalidConnection {
            field: "ZEP_API_KEY",
            problem: "contains characters that no key has (a line break, a quotation mark that is \
                      not ASCII, …); copy it again"
                .into(),
        })?;
    value.set_sensitive(true);
    Ok(value)
}
