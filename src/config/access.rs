//! The settings that say who is let in over the network.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;

use super::reader::Reader;
use super::{Setting, parse_file};
use crate::zep::is_this_machine;

/// The shortest token, in characters: shorter ones can be guessed.
const MIN_TOKEN_CHARS: usize = 16;
/// The claim that names the user, unless another is configured.
const USER_CLAIM: &str = "sub";

/// Who is let in over the network, and by what. None of it counts from `.env`, which may be somebody
/// else's.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// The one token that may do everything for everybody.
    pub token: Option<SecretString>,
    /// The file of tokens, absolute.
    pub tokens_file: Option<PathBuf>,
    /// Who signs tokens.
    pub oauth: Option<OauthSettings>,
}

/// Who signs tokens, and for whom.
#[derive(Debug, Clone)]
pub struct OauthSettings {
    /// The issuer, to the letter as it stands in its tokens (`iss`).
    pub issuer: String,
    /// What its tokens for this server are made out to (`aud`).
    pub audience: String,
    /// The address by which clients know this server.
    pub resource: Url,
    /// Where its keys are; otherwise its metadata says.
    pub jwks_url: Option<Url>,
    /// The claim that names the user whom a token acts for.
    pub user_claim: String,
}

/// Reads them all.
pub(super) fn read(reader: &mut Reader) -> Option<AccessSettings> {
    let token = optional(reader, Setting::AuthToken, parse_token, |_| "set".into());
    let tokens_file = optional(reader, Setting::AuthTokensFile, parse_file, |path| {
        path.display().to_string()
    });
    let oauth = oauth(reader);
    Some(AccessSettings {
        token: token?,
        tokens_file: tokens_file?,
        // What is wrong with it was reported.
        oauth,
    })
}

fn oauth(reader: &mut Reader) -> Option<OauthSettings> {
    let shown = |url: &Url| url.to_string();
    // To the letter: a slash more or less is another issuer.
    let issuer = optional(reader, Setting::OauthIssuer, parse_issuer, Clone::clone);
    let audience = optional(reader, Setting::OauthAudience, parse_word, Clone::clone);
    let resource = optional(reader, Setting::OauthResource, parse_url, shown);
    let jwks_url = optional(reader, Setting::OauthJwksUrl, parse_safe_url, shown);
    let user_claim = optional(reader, Setting::OauthUserClaim, parse_word, Clone::clone);
    let issuer = issuer??;
    let Some(audience) = audience? else {
        reader.missing(
            Setting::OauthAudience,
            "is needed, since MCP_OAUTH_ISSUER is set: tokens made out to others must not count; \
             set it to what the issuer writes into `aud`, commonly this server's address",
        );
        return None;
    };
    let Some(resource) = resource?.or_else(|| parse_url(&audience).ok()) else {
        reader.missing(
            Setting::OauthResource,
            "is needed, since MCP_OAUTH_AUDIENCE is no address; set it to the address by which \
             clients know this server, like https://memory.example.com/mcp",
        );
        return None;
    };
    Some(OauthSettings {
        issuer,
        audience,
        resource,
        jwks_url: jwks_url?,
        user_claim: user_claim?.unwrap_or_else(|| USER_CLAIM.to_owned()),
    })
}

/// A setting that need not be set, and that does not count from `.env`. `None` if it is wrong, which
/// is then reported.
fn optional<T>(
    reader: &mut Reader,
    setting: Setting,
    parse: impl FnOnce(&str) -> Result<T, String>,
    show: impl FnOnce(&T) -> String,
) -> Option<Option<T>> {
    if reader.not_from_dotenv(setting) {
        return Some(None);
    }
    reader.value(
        setting,
        |raw| parse(raw).map(Some),
        || Ok(None),
        |value| value.as_ref().map_or_else(|| "not set".to_owned(), show),
    )
}

/// Never repeats the token.
fn parse_token(raw: &str) -> Result<SecretString, String> {
    if raw.chars().count() < MIN_TOKEN_CHARS {
        return Err(format!(
            "is shorter than {MIN_TOKEN_CHARS} characters and could be guessed; make one with \
             `zep-mcp-server token new`"
        ));
    }
    if !raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "has a space or another character in it that cannot be sent; make one with \
             `zep-mcp-server token new`"
                .to_owned(),
        );
    }
    Ok(raw.into())
}

fn parse_word(raw: &str) -> Result<String, String> {
    match raw.contains(char::is_control) {
        true => Err("has a control character in it".to_owned()),
        false => Ok(raw.to_owned()),
    }
}

fn parse_issuer(raw: &str) -> Result<String, String> {
    let url = parse_safe_url(raw)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has something behind its path; leave it out".to_owned());
    }
    Ok(raw.to_owned())
}

/// An address of which nothing on the way can put something else in its place.
fn parse_safe_url(raw: &str) -> Result<Url, String> {
    match Url::parse(raw) {
        Ok(url) if is_safe(&url) => Ok(url),
        _ => Err(
            "is not an https address, like https://login.example.com (http may only go to this \
             machine)"
                .to_owned(),
        ),
    }
}

fn parse_url(raw: &str) -> Result<Url, String> {
    match Url::parse(raw) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.fragment().is_none() =>
        {
            Ok(url)
        }
        _ => Err("is not an address, like https://memory.example.com/mcp".to_owned()),
    }
}

/// Whether nobody on the way to this address can put something else in its place.
pub(crate) fn is_safe(url: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    let kept = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(url));
    url.has_host() && bare && kept
}
