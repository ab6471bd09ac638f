//! Who is let in at the door, and as whom.
//!
//! A request shows a bearer token: the one of `MCP_AUTH_TOKEN`, one of a file (`tokens.rs`,
//! `table.rs`, `file.rs`), or one that a configured issuer signed (`oauth.rs`, `keys.rs`, `claims.rs`). It
//! becomes a [`Caller`] for the memory layer, which decides what that one may do, and a [`Subject`],
//! to whom a session belongs. Whoever shows wrong ones is slowed down (`throttle.rs`).

mod claims;
mod file;
mod keys;
mod metadata;
mod oauth;
mod refusal;
mod signatures;
mod subject;
mod table;
mod throttle;
mod tokens;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;
use secrecy::ExposeSecret;

use crate::{
    config::{AccessSettings, OauthSettings, Setting},
    memory::access::Caller,
};

pub use file::{TokensFileError, append};
pub use metadata::protected_resource;
pub use subject::Subject;
pub use throttle::Failures;
pub use tokens::{Entry, Expiry, Name, NoRandomness, Reach, TokenHash, fresh};

use file::TokensFile;
use oauth::Issuer;
use refusal::Refusal;
use table::Known;
use throttle::Throttle;
use tokens::is_of_our_making;

/// Where a request comes from whose connection is not known: all such are one.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Why nobody could be let in rightly.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file of tokens cannot be used.
    #[error("MCP_AUTH_TOKENS_FILE {0}")]
    TokensFile(#[from] TokensFileError),
    /// Nothing can be fetched from the issuer of tokens.
    #[error("the keys of MCP_OAUTH_ISSUER could not be fetched: {0}")]
    Client(#[from] reqwest::Error),
}

/// An address that other machines reach, and no authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "other machines can reach {0}, and everybody there could read and delete all memories, since no \
     authentication is configured. Set a token: export {token}=\"$(zep-mcp-server token new)\" (or \
     {file} or {issuer}), or listen on 127.0.0.1",
    token = Setting::AuthToken, file = Setting::AuthTokensFile, issuer = Setting::OauthIssuer
)]
pub struct OpenToAll(pub SocketAddr);

/// Who is let in.
#[derive(Debug)]
pub struct Access {
    token: Option<Known>,
    file: Option<TokensFile>,
    issuer: Option<Issuer>,
    throttle: Throttle,
}

impl Access {
    /// Reads the file of tokens, if there is one. Contacts nobody.
    ///
    /// # Errors
    /// [`AccessError`] if the file cannot be used.
    pub fn new(settings: AccessSettings) -> Result<Self, AccessError> {
        let token = settings.token.as_ref();
        Ok(Self {
            token: token.map(|token| Known::everything(token.expose_secret())),
            file: settings
                .tokens_file
                .as_deref()
                .map(TokensFile::open)
                .transpose()?,
            issuer: settings.oauth.map(Issuer::new).transpose()?,
            throttle: Throttle::new(),
        })
    }

    /// Whether a token is needed. Without any authentication configured everybody who can connect
    /// may do everything, as over stdio, which is why only this machine may connect then.
    pub fn wants_tokens(&self) -> bool {
        self.token.is_some() || self.file.is_some() || self.issuer.is_some()
    }

    /// Whether the server may listen there.
    ///
    /// # Errors
    /// [`OpenToAll`] if other machines can reach it and no authentication is configured.
    pub fn check_binding(&self, address: &SocketAddr) -> Result<(), OpenToAll> {
        match self.wants_tokens() || address.ip().to_canonical().is_loopback() {
            true => Ok(()),
            false => Err(OpenToAll(*address)),
        }
    }

    /// How often somebody was not let in.
    pub fn failures(&self) -> Failures {
        self.throttle.failures()
    }

    /// Whether this subject would still be let in: their token is neither taken back nor expired. A
    /// stream that stays open asks now and then.
    pub async fn still_admits(&self, subject: &Subject) -> bool {
        match subject.by {
            subject::By::Nothing => !self.wants_tokens(),
            subject::By::Signed(until) => Timestamp::now() < until,
            subject::By::Token(hash) => matches!(self.known(&hash).await, Ok(Some(_))),
        }
    }

    pub(super) fn issuer(&self) -> Option<&OauthSettings> {
        self.issuer.as_ref().map(|issuer| &issuer.settings)
    }

    /// Who shows this token, if it was given out here and is good.
    async fn known(&self, hash: &TokenHash) -> Result<Option<Caller>, Refusal> {
        let table = match &self.file {
            Some(file) => file.table().await.ok_or(Refusal::Unknowable),
            None => Ok(Arc::default()),
        };
        if let Some(token) = &self.token
            && token.is(hash)
        {
            return Ok(Some(token.caller.clone()));
        }
        let table = table?;
        let found = table.find(hash).filter(|known| known.is_good());
        Ok(found.map(|known| known.caller.clone()))
    }

    /// Who makes this request.
    async fn admit(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<(Caller, Subject), Refusal> {
        if !self.wants_tokens() {
            // Should a door have forgotten to ask where it may listen.
            return match peer {
                Some(peer) if !peer.to_canonical().is_loopback() => Err(Refusal::Foreign),
                _ => Ok((Caller::Operator, Subject::local())),
            };
        }
        let token = bearer(headers)?;
        let peer = peer.unwrap_or(NOWHERE);
        let signed = self.issuer.as_ref().filter(|_| Issuer::looks_signed(token));
        let wait = self.throttle.wait(peer);
        // What can be guessed is not even looked at while its address has to wait. What nobody can
        // guess is: else one who guesses would lock out everybody behind the same proxy.
        let guessable = signed.is_none() && !is_of_our_making(token);
        if let Some(wait) = wait
            && guessable
        {
            self.throttle.held_back();
            return Err(Refusal::HeldBack(wait));
        }
        let admitted = self.look_up(token, signed).await;
        match admitted {
            Err(Refusal::Invalid) => {
                self.throttle.failed(peer);
                match wait {
                    Some(wait) => {
                        self.throttle.held_back();
                        Err(Refusal::HeldBack(wait))
                    }
                    None => Err(Refusal::Invalid),
                }
            }
            admitted => admitted,
        }
    }

    async fn look_up(
        &self,
        token: &str,
        issuer: Option<&Issuer>,
    ) -> Result<(Caller, Subject), Refusal> {
        let hash = TokenHash::of(token);
        match (self.known(&hash).await, issuer) {
            (Ok(Some(caller)), _) => Ok((caller, Subject::of_token(hash))),
            (_, Some(issuer)) => {
                let (grant, subject) = issuer.admit(token).await?;
                Ok((Caller::Granted(Arc::new(grant)), subject))
            }
            (Ok(None), None) => Err(Refusal::Invalid),
            (Err(refusal), None) => Err(refusal),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        let metadata = self
            .issuer()
            .map(|issuer| metadata::address(&issuer.resource));
        refusal.into_response(metadata.as_deref(), &metadata::scopes().join(" "))
    }
}

/// Lets a request in, with its [`Caller`] and its [`Subject`] in its extensions and without its
/// token, or answers why not: 401 with a challenge (RFC 6750, RFC 9728), 400, 403, 429, or 503 where
/// it cannot be found out.
///
/// Where it comes from is taken from its [`ConnectInfo`]; behind a proxy that is the proxy.
pub async fn authenticate(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    let connection = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = connection.map(|connection| connection.0.ip());
    match access.admit(request.headers(), peer).await {
        Ok((caller, subject)) => {
            // Nothing behind this needs it, or can then let it out.
            request.headers_mut().remove(header::AUTHORIZATION);
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(subject);
            next.run(request).await
        }
        Err(refusal) => {
            tracing::debug!(reason = refusal.name(), "not let in");
            access.refuse(refusal)
        }
    }
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let Some(shown_first) = shown.next() else {
        return Err(Refusal::Missing);
    };
    if shown.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let text = shown_first.to_str().map_err(|_| Refusal::Malformed)?;
    let Some((scheme, token)) = text.trim().split_once(' ') else {
        return Err(Refusal::Malformed);
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Missing);
    }
    let token = token.trim();
    let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_one.then_some(token).ok_or(Refusal::Malformed)
}
