//! Authentication.
//!
//! A request has a bearer token: the one of `MCP_AUTH_TOKEN`, one of a file (`tokens.rs`, `table.rs`,
//! `file.rs`), or one that a configured issuer signed (`oauth.rs`, `keys.rs`, `jwks.rs`,
//! `signatures.rs`, `claims.rs`). The token becomes a [`Caller`] for the memory layer, which decides
//! what the caller may do, and a [`Subject`], to whom sessions belong. Addresses that send wrong
//! tokens are slowed down (`throttle.rs`).

mod claims;
mod file;
mod jwks;
mod keys;
mod metadata;
mod oauth;
mod refusal;
mod signatures;
mod subject;
mod table;
mod throttle;
mod tokens;
mod used;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;
use secrecy::ExposeSecret;

use crate::{
    audit::{Proof as Recognised, Who},
    config::{AccessSettings, OauthSettings, Setting},
    memory::access::{Allowed, Caller, Role},
};

pub use file::{TokensFileError, append};
pub use subject::Subject;
pub use throttle::Failures;
pub(super) use throttle::network_of;
pub use tokens::{Entry, Expiry, Name, NoRandomness, Reach, TokenHash, fresh};

use super::audit::RefusedAs;
use file::TokensFile;
use oauth::Issuer;
pub(super) use refusal::Refusal;
use subject::Proof;
pub(super) use table::InUse;
use table::KnownToken;
use throttle::Throttle;
use tokens::is_generated;
use used::Used;

/// The address that all requests without a known connection count for.
const UNKNOWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Why authentication cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file of tokens cannot be used.
    #[error("MCP_AUTH_TOKENS_FILE {0}")]
    TokensFile(#[from] TokensFileError),
    /// The client that fetches the issuer's keys cannot be made.
    #[error("the keys of MCP_OAUTH_ISSUER could not be fetched: {0}")]
    Client(#[from] reqwest::Error),
}

/// An address that other machines reach, without authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "other machines can reach {0}, and everybody there could read and delete all memories, since no \
     authentication is configured. Set a token: export {token}=\"$(zep-mcp-server token new)\" (or \
     {file} or {issuer}), or listen on 127.0.0.1",
    token = Setting::AuthToken, file = Setting::AuthTokensFile, issuer = Setting::OauthIssuer
)]
pub struct OpenToAll(pub SocketAddr);

/// Who sends a request.
#[derive(Debug)]
struct Known {
    caller: Caller,
    subject: Subject,
    who: Who,
}

/// Authenticates requests.
#[derive(Debug)]
pub struct Access {
    token: Option<KnownToken>,
    file: Option<TokensFile>,
    issuer: Option<Issuer>,
    throttle: Throttle,
    used: Used,
}

impl Access {
    /// Reads the file of tokens, if one is configured. Blocks, and sends nothing.
    ///
    /// # Errors
    /// [`AccessError`] if the file cannot be used.
    pub fn new(settings: AccessSettings) -> Result<Self, AccessError> {
        let token = settings.token.as_ref();
        Ok(Self {
            token: token.map(|token| KnownToken::unrestricted(token.expose_secret())),
            file: settings
                .tokens_file
                .as_deref()
                .map(TokensFile::open)
                .transpose()?,
            issuer: settings.oauth.map(Issuer::new).transpose()?,
            throttle: Throttle::new(),
            used: Used::default(),
        })
    }

    /// Whether requests need a token. Without any authentication configured, everybody who can connect
    /// may do everything, as over stdio; therefore only this machine may connect then.
    pub fn needs_token(&self) -> bool {
        self.token.is_some() || self.file.is_some() || self.issuer.is_some()
    }

    /// Whether the server may listen there.
    ///
    /// # Errors
    /// [`OpenToAll`] if other machines can reach it and no authentication is configured.
    pub fn check_binding(&self, address: &SocketAddr) -> Result<(), OpenToAll> {
        match self.needs_token() || address.ip().to_canonical().is_loopback() {
            true => Ok(()),
            false => Err(OpenToAll(*address)),
        }
    }

    /// How many requests were refused.
    pub fn failures(&self) -> Failures {
        self.throttle.failures()
    }

    /// Whether this subject's token is neither revoked nor expired. For streams that stay open.
    pub async fn still_admits(&self, subject: &Subject) -> bool {
        match subject.proof {
            Proof::None => !self.needs_token(),
            Proof::Signed(until) => Timestamp::now() < until,
            Proof::Token(hash) => matches!(self.known(&hash).await, Ok(Some(_))),
        }
    }

    /// The route of the OAuth metadata (RFC 9728), which needs no token. None without an issuer.
    pub fn protected_resource(&self) -> Router {
        self.issuer().map_or_else(Router::new, metadata::router)
    }

    fn issuer(&self) -> Option<&OauthSettings> {
        self.issuer.as_ref().map(|issuer| &issuer.settings)
    }

    /// The holder of this token, if it is a valid one of this server.
    async fn known(&self, hash: &TokenHash) -> Result<Option<Known>, Refusal> {
        let known = |token: &KnownToken| Known {
            caller: token.caller.clone(),
            subject: Subject::of_token(*hash),
            who: token.who.clone(),
        };
        let table = match &self.file {
            Some(file) => file.table().await.ok_or(Refusal::Unavailable),
            None => Ok(Arc::default()),
        };
        if let Some(token) = &self.token
            && token.has(hash)
        {
            return Ok(Some(known(token)));
        }
        let table = table?;
        let found = table.find(hash).filter(|token| token.is_valid());
        Ok(found.map(known))
    }

    /// The sender of a request.
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<Known, Refusal> {
        if !self.needs_token() {
            // In case a server did not call `check_binding`.
            return match peer {
                Some(peer) if !peer.to_canonical().is_loopback() => Err(Refusal::RemoteWithoutAuth),
                _ => Ok(Known {
                    caller: Caller::Operator,
                    subject: Subject::local(),
                    who: Who {
                        name: "local".into(),
                        role: Role::Operator.as_str(),
                        proof: Recognised::None,
                    },
                }),
            };
        }
        let token = bearer(headers)?;
        let peer = peer.unwrap_or(UNKNOWN_ADDRESS);
        let signed = self.issuer.as_ref().filter(|_| Issuer::looks_signed(token));
        let wait = self.throttle.wait(peer);
        // Tokens that can be guessed are not checked while their address has to wait. Others are:
        // otherwise one guesser would lock out everybody behind the same proxy.
        let guessable = signed.is_none() && !is_generated(token);
        if let Some(wait) = wait
            && guessable
        {
            self.throttle.throttled();
            return Err(Refusal::Throttled(wait));
        }
        let authenticated = self.look_up(token, signed).await;
        match authenticated {
            Err(Refusal::InvalidToken) => {
                self.throttle.failed(peer);
                match wait {
                    Some(wait) => {
                        self.throttle.throttled();
                        Err(Refusal::Throttled(wait))
                    }
                    None => Err(Refusal::InvalidToken),
                }
            }
            Ok(known) => {
                self.used.note(&known.who);
                Ok(known)
            }
            refused => refused,
        }
    }

    /// Checks a token of the operators' page, as that of a request.
    pub(super) async fn check(
        &self,
        token: &str,
        peer: Option<IpAddr>,
    ) -> Result<(Caller, Who, Subject), Refusal> {
        let mut headers = HeaderMap::new();
        // Without any, as a request without a token; what is no header text is no token.
        if self.needs_token() {
            let line = HeaderValue::from_str(&format!("Bearer {token}"));
            let line = line.unwrap_or(HeaderValue::from_static("Bearer ?"));
            headers.insert(header::AUTHORIZATION, line);
        }
        let known = self.authenticate(&headers, peer).await?;
        Ok((known.caller, known.who, known.subject))
    }

    /// Whether this subject's token is valid, and an operator's of everybody.
    pub(super) async fn still_admits_operator(&self, subject: &Subject) -> bool {
        match subject.proof {
            Proof::Token(hash) => {
                let known = self.known(&hash).await;
                matches!(known, Ok(Some(known)) if is_operator(&known.caller))
            }
            _ => self.still_admits(subject).await,
        }
    }

    /// The tokens of this server, that of the settings first; `None` if the file cannot be used.
    pub(super) async fn in_use(&self) -> Option<Vec<InUse>> {
        let table = match &self.file {
            Some(file) => file.table().await?,
            None => Arc::default(),
        };
        let all = self.token.iter().chain(&table.0);
        Some(all.map(|token| token.in_use(&self.used)).collect())
    }

    async fn look_up(&self, token: &str, issuer: Option<&Issuer>) -> Result<Known, Refusal> {
        let hash = TokenHash::of(token);
        match (self.known(&hash).await, issuer) {
            (Ok(Some(known)), _) => Ok(known),
            (_, Some(issuer)) => issuer.verify(token).await,
            (Ok(None), None) => Err(Refusal::InvalidToken),
            (Err(refusal), None) => Err(refusal),
        }
    }

    /// Whether this request is an operator's. One without a token is, where none is needed.
    pub(super) async fn is_operator(&self, request: &Parts) -> bool {
        let headers = &request.headers;
        // A check without a token is no failed attempt.
        if self.needs_token() && !headers.contains_key(header::AUTHORIZATION) {
            return false;
        }
        let known = self.authenticate(headers, peer(&request.extensions)).await;
        known.is_ok_and(|known| is_operator(&known.caller))
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        let metadata = self
            .issuer()
            .map(|issuer| metadata::address(&issuer.resource));
        refusal.into_response(metadata.as_deref(), &metadata::scopes().join(" "))
    }
}

/// Middleware that passes on a request with its [`Caller`], its [`Subject`] and its [`Who`] in its
/// extensions and without its token, or refuses it: 401 with a challenge (RFC 6750, RFC 9728), 400, 403, 429, or 503
/// if its token cannot be verified.
///
/// Its address is that of its [`ConnectInfo`]; behind a proxy that is the proxy's.
pub async fn authenticate(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    match access
        .authenticate(request.headers(), peer(request.extensions()))
        .await
    {
        Ok(Known {
            caller,
            subject,
            who,
        }) => {
            // Nothing after this needs the token, or could leak it.
            request.headers_mut().remove(header::AUTHORIZATION);
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(subject);
            request.extensions_mut().insert(who.clone());
            let mut response = next.run(request).await;
            // For the audit trail, if what follows refuses the request.
            response.extensions_mut().insert(who);
            response
        }
        Err(refusal) => {
            tracing::debug!(reason = refusal.name(), "refused a request");
            let mut response = access.refuse(refusal);
            response.extensions_mut().insert(RefusedAs(refusal.name()));
            response
        }
    }
}

/// Whether a caller may know how the server as a whole fares.
pub(super) fn is_operator(caller: &Caller) -> bool {
    match caller {
        Caller::Operator => true,
        Caller::Granted(grant) => grant.role == Role::Operator && grant.users == Allowed::All,
    }
}

/// The address of a request's connection.
fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let connection = extensions.get::<ConnectInfo<SocketAddr>>();
    connection.map(|connection| connection.0.ip())
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Refusal::Missing);
    };
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let text = value.to_str().map_err(|_| Refusal::Malformed)?;
    let Some((scheme, token)) = text.trim().split_once(' ') else {
        return Err(Refusal::Malformed);
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Missing);
    }
    let token = token.trim();
    let is_valid = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_valid.then_some(token).ok_or(Refusal::Malformed)
}
