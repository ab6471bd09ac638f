//! Tokens that a configured issuer signs: JWTs (RFC 9068, MCP's authorization).

use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::{
    Known, claims,
    jwks::KeyFetcher,
    keys::{KeyCache, KeyError, Pace},
    refusal::Refusal,
    signatures,
    subject::Subject,
};
use crate::{
    audit::{Proof, Who},
    config::OauthSettings,
    memory::access::Caller,
};

/// How far the issuer's clock and ours may differ, in seconds.
const LEEWAY: u64 = 60;
/// The longest signed token that is verified, in bytes. Ours: more than headers commonly hold.
const MAX_BYTES: usize = 16 * 1024;
/// The longest name of a subject in the audit trail, in characters. Ours.
const MAX_NAME_CHARS: usize = 200;
/// The accepted algorithms: signatures by a private key, never `none` or a shared secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The issuer of signed tokens.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) settings: OauthSettings,
    keys: Arc<KeyCache>,
}

impl Issuer {
    /// Sends nothing yet.
    pub(super) fn new(settings: OauthSettings) -> Result<Self, reqwest::Error> {
        signatures::install();
        let fetcher = KeyFetcher::new(&settings.issuer, settings.jwks_url.clone())?;
        Ok(Self {
            settings,
            keys: Arc::new(KeyCache::new(fetcher, Pace::default())),
        })
    }

    /// Whether a token has the form of a signed one.
    pub(super) fn looks_signed(token: &str) -> bool {
        token.len() <= MAX_BYTES && token.split('.').count() == 3
    }

    /// Verifies a token.
    pub(super) async fn verify(&self, token: &str) -> Result<Known, Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::InvalidToken)?;
        // Critical extensions must be understood (RFC 7515, 4.1.11), and none is.
        if header.crit.is_some() || !ALGORITHMS.contains(&header.alg) {
            return Err(Refusal::InvalidToken);
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await;
        let key = key.map_err(|error| match error {
            KeyError::Unknown => Refusal::InvalidToken,
            KeyError::Unavailable => Refusal::Unavailable,
        })?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let decoded = decode::<Map<String, Value>>(token, &key, &validation);
        let claims = decoded.map_err(|_| Refusal::InvalidToken)?.claims;
        // `jsonwebtoken` also accepts a list that has the issuer in it (RFC 7519, 4.1.1: a string).
        if claims.get("iss").and_then(Value::as_str) != Some(self.settings.issuer.as_str()) {
            return Err(Refusal::InvalidToken);
        }
        let grant =
            claims::grant(&claims, &self.settings.user_claim).ok_or(Refusal::InsufficientScope)?;
        let subject = claims.get("sub").and_then(Value::as_str);
        let until = claims.get("exp").and_then(Value::as_f64);
        let until = until.and_then(|until| {
            let end = (until as i64).saturating_add(LEEWAY as i64);
            Timestamp::from_second(end).ok()
        });
        let (Some(subject), Some(until)) = (subject, until) else {
            return Err(Refusal::InvalidToken);
        };
        Ok(Known {
            who: Who {
                name: subject
                    .chars()
                    .take(MAX_NAME_CHARS)
                    .collect::<String>()
                    .into(),
                role: grant.role.as_str(),
                proof: Proof::Oauth,
            },
            subject: Subject::signed(&self.settings.issuer, subject, until),
            caller: Caller::Granted(Arc::new(grant)),
        })
    }
}
