//! The address, the key and the time-out of a connection to Zep.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url, redirect};
use ring::digest;
use secrecy::{ExposeSecret, SecretString};

/// How long connecting may take: this, or a third of the time-out if that is less, so that a second
/// attempt fits in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept. Ours: less than the 60 seconds after which load balancers
/// commonly close it, since a write on a connection that is just being closed is in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The shortest key that is removed from texts, in bytes: a shorter one is a test key and would match
/// ordinary words.
const SECRET_LENGTH: usize = 8;
/// How much of its digest names an account, in bytes.
const ACCOUNT_BYTES: usize = 16;
/// Unused connections kept. Ours.
const IDLE_CONNECTIONS: usize = 8;

/// Why a [`Connection`] is invalid. Names the setting, never its value: a URL may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidConnection {
    /// The setting: `ZEP_API_URL`, `ZEP_API_KEY` or `ZEP_TIMEOUT_SECS`.
    pub field: &'static str,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// The address, the key and the time-out. Its debug output hides the key.
#[derive(Clone)]
pub struct Connection {
    url: Url,
    api_key: SecretString,
    timeout: Duration,
}

impl Connection {
    /// A checked connection. Does no work on the network.
    ///
    /// `url` is scheme, host and optional port, without a path: `https`, or plain `http` to this
    /// machine only, since every request carries the key. `timeout` is for a whole call with its
    /// retries, pauses and pacing.
    ///
    /// # Errors
    /// [`InvalidConnection`] that names the setting.
    pub fn new(url: &str, key: SecretString, timeout: Duration) -> Result<Self, InvalidConnection> {
        let invalid = |field| move |problem| InvalidConnection { field, problem };
        let url = check_url(url).map_err(invalid("ZEP_API_URL"))?;
        let url = Url::parse(&url).map_err(|error| invalid("ZEP_API_URL")(error.to_string()))?;
        let api_key = SecretString::from(key.expose_secret().trim());
        check_key(&api_key).map_err(invalid("ZEP_API_KEY"))?;
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

    /// The API key.
    pub fn key(&self) -> &SecretString {
        &self.api_key
    }

    /// A name of the account that does not tell the key: what is noted on this machine about one
    /// account is not another's.
    pub fn account(&self) -> String {
        let named = format!("{} {}", self.host(), self.api_key.expose_secret());
        let digest = digest::digest(&digest::SHA256, named.as_bytes());
        let digest = digest.as_ref().iter().take(ACCOUNT_BYTES);
        digest.map(|byte| format!("{byte:02x}")).collect()
    }

    /// How long connecting may take.
    pub(super) fn connect_timeout(&self) -> Duration {
        CONNECT_TIMEOUT.min(self.timeout / 3)
    }

    pub(super) fn base(&self) -> &Url {
        &self.url
    }

    /// The text without the key, in case it contains it.
    pub(super) fn without_key(&self, text: &str) -> String {
        let key = self.api_key.expose_secret();
        if key.len() < SECRET_LENGTH {
            return text.to_owned();
        }
        text.replace(key, "[key]")
    }

    /// The pooled client. Loads the system's certificates, which takes milliseconds.
    pub(super) fn client(&self) -> Result<Client, String> {
        // Fails only if one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let headers = authorization(&self.api_key)?;
        let mut client = Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, headers)]))
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ))
            // A redirect must not receive the key.
            .redirect(redirect::Policy::none())
            .connect_timeout(self.connect_timeout())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        if self.url.scheme() == "http" {
            // On this machine no proxy may see the key in plain text, and no certificates are needed.
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

/// Checks Zep's address and returns it without a trailing slash. Plain http is allowed to this
/// machine only: elsewhere the key would be readable on the network. The error does not repeat the
/// address, which may contain a password.
pub(crate) fn check_url(raw: &str) -> Result<String, String> {
    let refuse = |what: &str| Err(what.to_owned());
    let Ok(url) = Url::parse(raw.trim()) else {
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

/// Whether an address leads to this machine and nowhere else.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Checks that a key can be sent. The error does not repeat it.
pub(crate) fn check_key(key: &SecretString) -> Result<(), String> {
    let raw = key.expose_secret();
    if raw.is_empty() {
        return Err("is empty; set it to a key from https://app.getzep.com".to_owned());
    }
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

fn authorization(key: &SecretString) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Api-Key {}", key.expose_secret()))
        .map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}
