//! The address, the key and the time-out of a connection to Zep.

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::outgoing;

/// How long connecting may take: this, or a third of the time-out if that is less, so that a second
/// attempt fits in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
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
        outgoing::account(&self.host(), &self.api_key)
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
        outgoing::without_key(text, self.api_key.expose_secret())
    }

    /// The pooled client. Loads the system's certificates, which takes milliseconds.
    pub(super) fn client(&self) -> Result<Client, String> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization(&self.api_key)?)]);
        outgoing::client(&self.url, headers, self.connect_timeout())
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

/// Checks Zep's address and returns it without a trailing slash. The error does not repeat the
/// address, which may contain a password.
pub(crate) fn check_url(raw: &str) -> Result<String, String> {
    let url = outgoing::check_address(raw, "https://api.getzep.com")?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(
            "has something after the host; leave it out (`/api/v2` is added), as in \
             https://api.getzep.com"
                .to_owned(),
        );
    }
    Ok(url.origin().ascii_serialization())
}

/// Checks that a key can be sent. The error does not repeat it.
pub(crate) fn check_key(key: &SecretString) -> Result<(), String> {
    outgoing::check_key(key.expose_secret(), "https://app.getzep.com")
}

fn authorization(key: &SecretString) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Api-Key {}", key.expose_secret()))
        .map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}
