//! The settings of authentication on a network.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;

use super::reader::Reader;
use super::{Setting, parse};

/// The shortest token, in characters: shorter ones can be guessed.
const MIN_TOKEN_CHARS: usize = 16;

/// How clients authenticate on a network.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// The one token that may do everything for everybody.
    pub token: Option<SecretString>,
    /// The file of tokens, absolute.
    pub tokens_file: Option<PathBuf>,
    /// The issuer of signed tokens.
    pub oauth: Option<OauthSettings>,
}

/// The issuer of signed tokens, and what its tokens must say.
#[derive(Debug, Clone)]
pub struct OauthSettings {
    /// The issuer, exactly as in its tokens (`iss`).
    pub issuer: String,
    /// The audience of tokens for this server (`aud`).
    pub audience: String,
    /// The address by which clients know this server.
    pub resource: Url,
    /// The address of the issuer's keys; otherwise its metadata names it.
    pub jwks_url: Option<Url>,
    /// The claim that names the user a token acts for.
    pub user_claim: String,
}

pub(super) fn read(reader: &mut Reader) -> Option<AccessSettings> {
    let token = reader.optional(Setting::AuthToken, parse_token, |_| "set".to_owned());
    let tokens_file = reader.optional(Setting::AuthTokensFile, parse::file, |path| {
        path.display().to_string()
    });
    let oauth = oauth(reader);
    Some(AccessSettings {
        token: token?,
        tokens_file: tokens_file?,
        // Absent also where it is wrong, which was reported.
        oauth,
    })
}

fn oauth(reader: &mut Reader) -> Option<OauthSettings> {
    // Kept as it is written: with one slash more it is another issuer.
    let issuer = reader.optional(Setting::OauthIssuer, parse_issuer, Clone::clone);
    let audience = reader.optional(Setting::OauthAudience, parse_word, Clone::clone);
    let resource = reader.optional(Setting::OauthResource, parse::url, Url::to_string);
    let jwks_url = reader.optional(Setting::OauthJwksUrl, parse::secure_url, Url::to_string);
    let user_claim = reader.value(Setting::OauthUserClaim, parse_word, Clone::clone);
    let issuer = issuer??;
    let Some(audience) = audience? else {
        reader.missing(
            Setting::OauthAudience,
            "is needed, since MCP_OAUTH_ISSUER is set: tokens for other servers must not count; \
             set it to what the issuer writes into `aud`, commonly this server's address",
        );
        return None;
    };
    let Some(resource) = resource?.or_else(|| parse::url(&audience).ok()) else {
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
        user_claim: user_claim?,
    })
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
            "contains a space or another character that cannot be sent; make one with \
             `zep-mcp-server token new`"
                .to_owned(),
        );
    }
    Ok(raw.into())
}

fn parse_word(raw: &str) -> Result<String, String> {
    match raw.contains(char::is_control) {
        true => Err("contains a control character".to_owned()),
        false => Ok(raw.to_owned()),
    }
}

fn parse_issuer(raw: &str) -> Result<String, String> {
    let url = parse::secure_url(raw)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has something behind its path; leave it out".to_owned());
    }
    Ok(raw.to_owned())
}
