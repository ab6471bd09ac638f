//! The settings of `serve --http`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::error::quoted;
use super::reader::Reader;
use super::{AccessSettings, HostName, Setting, WebOrigin, access, parse};

/// How long calls in flight may continue after the server was told to stop, in seconds.
const GRACE_SECS: RangeInclusive<u64> = 0..=3600;
/// Sessions that are open at once. An unused one takes some tens of kilobytes.
const MAX_SESSIONS: RangeInclusive<usize> = 1..=100_000;

/// How to serve on a network.
#[derive(Debug)]
pub struct HttpConfig {
    /// The address or the name to listen on.
    pub host: String,
    /// The port; 0 lets the system choose a free one.
    pub port: u16,
    /// Who may connect.
    pub access: AccessSettings,
    /// Names under which the server is reached, beside localhost and its own addresses.
    pub allowed_hosts: Vec<HostName>,
    /// Origins whose pages may call.
    pub allowed_origins: Vec<WebOrigin>,
    /// The files for TLS; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// How many sessions may be open at once; at least 1.
    pub max_sessions: usize,
    /// How long calls in flight may continue after the server was told to stop.
    pub grace: Duration,
}

/// The files that TLS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and its chain, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

pub(super) fn read(reader: &mut Reader) -> Option<HttpConfig> {
    let host = reader.value(Setting::Host, |raw| Ok(raw.to_owned()), Clone::clone);
    let port = reader.value(
        Setting::Port,
        |raw| {
            raw.parse()
                .map_err(|_| format!("{} is not a port from 0 to 65535", quoted(raw)))
        },
        u16::to_string,
    );
    let access = access::read(reader);
    let allowed_hosts = reader.optional(Setting::AllowedHosts, parse::list, joined);
    let allowed_origins = reader.optional(Setting::AllowedOrigins, parse::list, joined);
    let tls = tls(reader);
    let max_sessions = reader.value(
        Setting::MaxSessions,
        |raw| parse::number(raw, MAX_SESSIONS, "sessions"),
        usize::to_string,
    );
    let grace = reader.value(
        Setting::GraceSecs,
        |raw| parse::number(raw, GRACE_SECS, "seconds"),
        u64::to_string,
    );
    Some(HttpConfig {
        host: host?,
        port: port?,
        access: access?,
        allowed_hosts: allowed_hosts?.unwrap_or_default(),
        allowed_origins: allowed_origins?.unwrap_or_default(),
        tls: tls?,
        max_sessions: max_sessions?,
        grace: Duration::from_secs(grace?),
    })
}

#[allow(clippy::ptr_arg)] // As `Reader::optional` passes it.
fn joined<T: ToString>(items: &Vec<T>) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(",")
}

/// Both files, or neither.
fn tls(reader: &mut Reader) -> Option<Option<Tls>> {
    let mut file =
        |setting| reader.optional(setting, parse::file, |path| path.display().to_string());
    let certificate = file(Setting::TlsCert);
    let key = file(Setting::TlsKey);
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
