//! Requests, independent of the service's address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{Error, Result};

/// Everything but the unreserved characters of RFC 3986 is escaped in a path segment.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a call is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sources) enum Scheme {
    /// `Authorization: Token <key>`, as mem0 Platform takes it.
    Token,
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// `X-API-Key: <key>`.
    ApiKey,
    /// `api-key: <key>`, as Qdrant takes it.
    Qdrant,
}

impl Scheme {
    pub(super) fn headers(self, key: &SecretString) -> std::result::Result<HeaderMap, String> {
        let key = key.expose_secret();
        let (name, value) = match self {
            Self::Token => ("authorization", format!("Token {key}")),
            Self::Bearer => ("authorization", format!("Bearer {key}")),
            Self::ApiKey => ("x-api-key", key.to_owned()),
            Self::Qdrant => ("api-key", key.to_owned()),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(
            HeaderName::from_static(name),
            value,
        )]))
    }
}

/// A request, independent of the address.
#[derive(Debug, Clone)]
pub(in crate::sources) struct Request {
    pub(super) method: Method,
    /// With slashes between the segments, and at the end where the API has one; each segment escaped.
    pub(super) path: String,
    pub(in crate::sources) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    /// It must not be carried out twice.
    pub(super) once: bool,
}

impl Request {
    pub(in crate::sources) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            once: false,
        }
    }

    pub(in crate::sources) fn post(path: impl Into<String>, body: Value) -> Self {
        Self {
            method: Method::POST,
            body: Some(body),
            ..Self::get(path)
        }
    }

    pub(in crate::sources) fn put(path: impl Into<String>, body: Value) -> Self {
        Self {
            method: Method::PUT,
            ..Self::post(path, body)
        }
    }

    pub(in crate::sources) fn delete(path: impl Into<String>) -> Self {
        Self {
            method: Method::DELETE,
            ..Self::get(path)
        }
    }

    /// A write that must not be carried out twice: it is sent again only if it certainly was not
    /// processed, which is after a 429 and where no connection could be made.
    pub(in crate::sources) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    pub(in crate::sources) fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }
}

/// A segment of a path, escaped.
///
/// # Errors
/// [`Error::NotFound`] for one that no URL can carry: nothing can be there.
pub(in crate::sources) fn segment(service: &'static str, id: &str) -> Result<String> {
    match id {
        "" | "." | ".." => Err(Error::NotFound {
            service,
            message: "an id that is empty or only dots names nothing".into(),
            in_doubt: false,
        }),
        id => Ok(utf8_percent_encode(id, ESCAPED).to_string()),
    }
}
