//! The settings of `serve --http`.

use std::path::PathBuf;
use std::time::Duration;

use super::error::quoted;
use super::reader::Reader;
use super::{AccessSettings, Setting, access, parse_file};
use crate::http::{HostName, WebOrigin};

/// This machine only, unless told otherwise.
const DEFAULT_HOST: &str = "127.0.0.1";
/// The port of mem0-mcp-server (its `PORT`).
const DEFAULT_PORT: u16 = 8081;
/// Seconds that calls in flight have after the server was told to stop; the default, and the most
/// that may be set.
const GRACE_SECS: (u64, u64) = (10, 3600);
/// Sessions that are open at once; the default, and the most that may be set. One takes some tens of
/// kilobytes while nobody uses it.
const MAX_SESSIONS: (usize, usize) = (2048, 100_000);

/// The flags of `serve --http`, as they were typed.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "On a network (each flag wins over its environment variable)")]
pub struct HttpFlags {
    /// The address or name to listen on; beyond this machine only with authentication
    /// [HOST; default: 127.0.0.1]
    #[arg(long, requires = "http", value_name = "HOST")]
    pub host: Option<String>,

    /// The port to listen on; 0 for any free one, which is logged [PORT; default: 8081]
    #[arg(long, requires = "http", value_name = "PORT")]
    pub port: Option<String>,

    /// The file of tokens that let clients in over the network, made by `token new`
    /// [MCP_AUTH_TOKENS_FILE; default: none]
    #[arg(long, requires = "http", value_name = "FILE")]
    pub auth_tokens_file: Option<String>,

    /// Who signs tokens for clients on the network: the OAuth issuer, as it stands in them
    /// [MCP_OAUTH_ISSUER; default: none]
    #[arg(long, requires = "http", value_name = "URL")]
    pub oauth_issuer: Option<String>,

    /// What signed tokens for this server are made out to (`aud`); needed with an issuer
    /// [MCP_OAUTH_AUDIENCE]
    #[arg(long, requires = "http", value_name = "AUDIENCE")]
    pub oauth_audience: Option<String>,

    /// The address by which clients know this server
    /// [MCP_OAUTH_RESOURCE; default: the audience, where that is an address]
    #[arg(long, requires = "http", value_name = "URL")]
    pub oauth_resource: Option<String>,

    /// Where the issuer's keys are [MCP_OAUTH_JWKS_URL; default: where its metadata says]
    #[arg(long, requires = "http", value_name = "URL")]
    pub oauth_jwks_url: Option<String>,

    /// The claim of signed tokens that names the user they act for
    /// [MCP_OAUTH_USER_CLAIM; default: sub]
    #[arg(long, requires = "http", value_name = "CLAIM")]
    pub oauth_user_claim: Option<String>,

    /// The names under which this server is reached, separated by commas, beside localhost, its
    /// host and addresses: calls to other names are refused [ZEP_MCP_ALLOWED_HOSTS]
    #[arg(long, requires = "http", value_name = "NAMES")]
    pub allowed_hosts: Option<String>,

    /// The origins whose web pages may call this server, separated by commas, for instance
    /// https://app.example.com [ZEP_MCP_ALLOWED_ORIGINS; default: none]
    #[arg(long, requires = "http", value_name = "ORIGINS")]
    pub allowed_origins: Option<String>,

    /// The certificate and its chain, in PEM: with --tls-key, https instead of http
    /// [ZEP_MCP_TLS_CERT]
    #[arg(long, requires = "http", value_name = "FILE")]
    pub tls_cert: Option<String>,

    /// The certificate's private key, in PEM [ZEP_MCP_TLS_KEY]
    #[arg(long, requires = "http", value_name = "FILE")]
    pub tls_key: Option<String>,

    /// How many sessions may be open at once; one more takes the place of the one that was unused
    /// longest [ZEP_MCP_MAX_SESSIONS; default: 2048]
    #[arg(long, requires = "http", value_name = "COUNT")]
    pub max_sessions: Option<String>,

    /// How long calls in flight may go on after SIGTERM or Ctrl-C, in seconds
    /// [ZEP_MCP_GRACE_SECS; default: 10]
    #[arg(long, requires = "http", value_name = "SECONDS")]
    pub grace: Option<String>,
}

impl HttpFlags {
    /// What the command line says of a setting.
    pub(super) fn get(&self, setting: Setting) -> Option<&str> {
        match setting {
            Setting::Host => self.host.as_deref(),
            Setting::Port => self.port.as_deref(),
            Setting::AuthTokensFile => self.auth_tokens_file.as_deref(),
            Setting::OauthIssuer => self.oauth_issuer.as_deref(),
            Setting::OauthAudience => self.oauth_audience.as_deref(),
            Setting::OauthResource => self.oauth_resource.as_deref(),
            Setting::OauthJwksUrl => self.oauth_jwks_url.as_deref(),
            Setting::OauthUserClaim => self.oauth_user_claim.as_deref(),
            Setting::AllowedHosts => self.allowed_hosts.as_deref(),
            Setting::AllowedOrigins => self.allowed_origins.as_deref(),
            Setting::TlsCert => self.tls_cert.as_deref(),
            Setting::TlsKey => self.tls_key.as_deref(),
            Setting::MaxSessions => self.max_sessions.as_deref(),
            Setting::GraceSecs => self.grace.as_deref(),
            // MCP_AUTH_TOKEN has no flag: everybody on this machine can read command lines.
            _ => None,
        }
    }
}

/// How to serve on a network.
#[derive(Debug)]
pub struct HttpConfig {
    /// The address or the name to listen on.
    pub host: String,
    /// The port; 0 lets the system choose a free one.
    pub port: u16,
    /// Who is let in.
    pub access: AccessSettings,
    /// Names under which the server is reached, beside those it has by itself.
    pub allowed_hosts: Vec<HostName>,
    /// Origins whose pages may call.
    pub allowed_origins: Vec<WebOrigin>,
    /// With what to speak TLS; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// How many sessions may be open at once; at least 1.
    pub max_sessions: usize,
    /// How long calls in flight may go on after the server was told to stop.
    pub grace: Duration,
}

/// Files with what TLS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and its chain, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// Reads them all. Nothing of it counts in `.env`: whoever wrote that file could
/// otherwise open this machine to others.
pub(super) fn read(reader: &mut Reader) -> Option<HttpConfig> {
    let host = own(reader, Setting::Host, DEFAULT_HOST.to_owned(), |raw| {
        Ok(raw.to_owned())
    });
    let port = own(reader, Setting::Port, DEFAULT_PORT, |raw| {
        raw.parse()
            .map_err(|_| format!("{} is not a port from 0 to 65535", quoted(raw)))
    });
    let access = access::read(reader);
    let allowed_hosts = list(reader, Setting::AllowedHosts);
    let allowed_origins = list(reader, Setting::AllowedOrigins);
    let tls = tls(reader);
    let (default, most) = MAX_SESSIONS;
    let max_sessions = own(reader, Setting::MaxSessions, default, |raw| {
        number(raw, 1, most, "sessions")
    });
    let (default, most) = GRACE_SECS;
    let grace = own(reader, Setting::GraceSecs, default, |raw| {
        number(raw, 0, most, "seconds")
    });
    Some(HttpConfig {
        host: host?,
        port: port?,
        access: access?,
        allowed_hosts: allowed_hosts?,
        allowed_origins: allowed_origins?,
        tls: tls?,
        max_sessions: max_sessions?,
        grace: Duration::from_secs(grace?),
    })
}

/// A setting that does not count in `.env`.
fn own<T: Clone + ToString>(
    reader: &mut Reader,
    setting: Setting,
    default: T,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    if reader.not_from_dotenv(setting) {
        return Some(default);
    }
    reader.value(setting, parse, || Ok(default), ToString::to_string)
}

fn list<T>(reader: &mut Reader, setting: Setting) -> Option<Vec<T>>
where
    T: std::str::FromStr<Err = String> + ToString,
{
    if reader.not_from_dotenv(setting) {
        return Some(Vec::new());
    }
    reader.value(
        setting,
        |raw| {
            let items = raw.split(',').map(str::trim);
            items
                .filter(|item| !item.is_empty())
                .map(str::parse)
                .collect()
        },
        || Ok(Vec::new()),
        |items: &Vec<T>| match items.as_slice() {
            [] => "none".to_owned(),
            items => {
                let items: Vec<_> = items.iter().map(ToString::to_string).collect();
                items.join(",")
            }
        },
    )
}

/// Both files, or neither.
fn tls(reader: &mut Reader) -> Option<Option<Tls>> {
    let certificate = file(reader, Setting::TlsCert);
    let key = file(reader, Setting::TlsKey);
    match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some(Some(Tls { certificate, key })),
        (None, None) => Some(None),
        (Some(_), None) => {
            reader.missing(Setting::TlsKey, "is needed, since ZEP_MCP_TLS_CERT is set");
            None
        }
        (None, Some(_)) => {
            reader.missing(Setting::TlsCert, "is needed, since ZEP_MCP_TLS_KEY is set");
            None
        }
    }
}

fn file(reader: &mut Reader, setting: Setting) -> Option<Option<PathBuf>> {
    if reader.not_from_dotenv(setting) {
        return Some(None);
    }
    reader.value(
        setting,
        |raw| parse_file(raw).map(Some),
        || Ok(None),
        |file| match file {
            Some(file) => file.display().to_string(),
            None => "not set".to_owned(),
        },
    )
}

fn number<T>(raw: &str, least: T, most: T, of: &str) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + ToString,
{
    match raw.parse() {
        Ok(number) if (&least..=&most).contains(&&number) => Ok(number),
        _ => Err(format!(
            "{} is not a whole number of {of} from {} to {}",
            quoted(raw),
            least.to_string(),
            most.to_string()
        )),
    }
}
