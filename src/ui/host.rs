//! What the page needs of the server that it is part of: who may sign in, and how the server fares.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::audit::Who;
use crate::memory::access::Caller;

/// The server that serves the page. Put into the extensions of each request.
#[async_trait]
pub trait Host: Send + Sync + Debug {
    /// Whether signing in needs a token.
    fn needs_token(&self) -> bool;

    /// Whether browsers reach it over TLS.
    fn is_encrypted(&self) -> bool;

    /// Checks a token that somebody at this address gave. Wrong ones count as they do everywhere else.
    ///
    /// # Errors
    /// [`Denied`] if it is not that of an operator of everybody.
    async fn admit(&self, token: &str, peer: Option<IpAddr>) -> Result<Admitted, Denied>;

    /// The tokens that are in use, by name; `None` if they are not known at present.
    async fn tokens(&self) -> Option<Vec<KnownToken>>;

    /// The metrics, in Prometheus' text format.
    async fn metrics(&self) -> String;

    /// Cancelled when the server ends: streams end then.
    fn ending(&self) -> CancellationToken;
}

/// Somebody who may sign in.
#[derive(Debug)]
pub struct Admitted {
    /// What they may do.
    pub caller: Caller,
    /// The same, as the audit trail names them.
    pub who: Who,
    /// Whether they still may.
    pub pass: Arc<dyn Pass>,
}

/// What somebody signed in with.
#[async_trait]
pub trait Pass: Send + Sync + Debug {
    /// Whether it is neither revoked nor expired, and still an operator's.
    async fn still_admits(&self) -> bool;
}

/// Why somebody may not sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The token is unknown, expired or revoked.
    Wrong,
    /// It is another one's than an operator's of everybody.
    NotOperator(Who),
    /// Too many wrong tokens came from this address; it may try again after this time.
    Wait(Duration),
    /// The token cannot be checked at present.
    Unavailable,
}

/// A token, without anything that it could be guessed or used by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownToken {
    /// The holder's name.
    pub name: Arc<str>,
    /// The role.
    pub role: &'static str,
    /// Whose memories it reaches, in words.
    pub reach: String,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// When this process last saw it.
    pub used_at: Option<Timestamp>,
}
