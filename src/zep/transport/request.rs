//! A request, independent of Zep's address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Url};
use serde::Serialize;
use serde_json::Value;

use crate::zep::error::{Error, Result};

/// Everything but the unreserved characters of RFC 3986 is escaped in a path segment.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Whether a request may be sent again when its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, or twice has the same effect as once.
    Freely,
    /// Twice would store something twice: sent again only if it was certainly not processed.
    IfNotSent,
}

/// A request, independent of Zep's address.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) repeat: Repeat,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl Request {
    fn new(method: Method, segments: &[&str], repeat: Repeat) -> Self {
        Self {
            method,
            repeat,
            segments: segments.iter().map(|&segment| segment.to_owned()).collect(),
            query: Vec::new(),
            body: None,
        }
    }

    /// Reads.
    pub(crate) fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments, Repeat::Freely)
    }

    /// Creates or does something; [`Request::repeatable`] if that is harmless twice.
    pub(crate) fn post(segments: &[&str]) -> Self {
        Self::new(Method::POST, segments, Repeat::IfNotSent)
    }

    /// Sets fields to given values, which is the same twice.
    pub(crate) fn patch(segments: &[&str]) -> Self {
        Self::new(Method::PATCH, segments, Repeat::Freely)
    }

    /// Deletes, which is the same twice.
    pub(crate) fn delete(segments: &[&str]) -> Self {
        Self::new(Method::DELETE, segments, Repeat::Freely)
    }

    /// Declares that sending it twice has the same effect as once.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Freely;
        self
    }

    /// A query parameter.
    pub(crate) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// An optional query parameter.
    pub(crate) fn query_opt(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// A JSON body.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_value(body).map_err(|_| Error::Invalid {
            status: 400,
            message: "the request cannot be written as JSON".into(),
        })?;
        self.body = Some(body);
        Ok(self)
    }

    /// The address: every segment escaped, so that no id can reach another resource.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a segment that no URL can carry: nothing can be there.
    pub(super) fn url(&self, base: &Url, prefix: &str) -> Result<Url> {
        let mut path = prefix.to_owned();
        for segment in &self.segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, ESCAPED));
        }
        let mut url = base.clone();
        url.set_path(&path);
        // The parser resolves empty and dot segments: a changed path is another address.
        if self.segments.iter().any(String::is_empty) || url.path() != path {
            return Err(Error::NotFound {
                message: "an id that is empty or only dots names nothing".into(),
            });
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}
