//! The settings of `serve --http`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::error::quoted;
use super::reader::Reader;
use super::{AccessSettings, HostName, Setting, WebOrigin, access, parse};

/// How long calls in flight may continue after the server was told to stop, in seconds.
const GRACE_SECS: RangeInclusive<u64> = 0..=3600;
/// Connections at once: each is an open file.
const MAX_CONNECTIONS: RangeInclusive<usize> = 16..=1_000_000;
/// Sessions that are open at once. An unused one takes some tens of kilobytes.
const MAX_SESSIONS: RangeInclusive<usize> = 1..=100_000;
/// Calls in flight at once.
const MAX_CALLS: RangeInclusive<usize> = 1..=1_000_000;
/// Requests in a minute.
const MAX_CALLS_PER_MINUTE: RangeInclusive<usize> = 1..=1_000_000_000;
/// The same where it is not set and several tokens can exist: 1,000 a second, about what the embedded
/// store answers on two processors.
const DEFAULT_CALLS_PER_MINUTE: usize = 60_000;
/// Memory of unread answers, in megabytes.
const MAX_UNREAD_MB: RangeInclusive<usize> = 1..=1_000_000;
/// A token's share, in percent.
const TOKEN_SHARE: RangeInclusive<usize> = 1..=100;
/// The same where it is not set and several tokens can exist: a client that uses all of its share
/// leaves the other half.
const DEFAULT_TOKEN_SHARE: usize = 50;

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
    /// How much clients may take, in all and each.
    pub bounds: Bounds,
    /// How long calls in flight may continue after the server was told to stop.
    pub grace: Duration,
    /// Whether the Memory API answers like the original server.
    pub api_compat: bool,
}

/// How much all clients together may take, and which share of it one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Sessions at once.
    pub sessions: usize,
    /// Calls in flight at once.
    pub calls: usize,
    /// Requests in a minute; `None` for any number.
    pub calls_per_minute: Option<usize>,
    /// Memory of answers that are not read yet, in bytes.
    pub unread_bytes: usize,
    /// How much of each of these one token may take, in percent.
    pub share: usize,
}

impl Bounds {
    /// One token's part of a bound; at least 1.
    pub(crate) fn share_of(&self, whole: usize) -> usize {
        let share = whole.saturating_mul(self.share) / 100;
        share.max(1)
    }
}

/// The files that TLS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and its chain, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// The port of the Memory API (its original server).
const API_PORT: u16 = 5003;

/// Reads the settings of a server, with the Memory API or without.
pub(super) fn read(reader: &mut Reader, with_api: bool) -> Option<HttpConfig> {
    let text = |raw: &str| Ok(raw.to_owned());
    let number = |raw: &str| {
        raw.parse()
            .map_err(|_| format!("{} is not a port from 0 to 65535", quoted(raw)))
    };
    let api_host = reader.optional(Setting::ApiHost, text, Clone::clone)?;
    let api_host = api_host.filter(|_| with_api);
    let api_port = reader.optional(Setting::ApiPort, number, u16::to_string)?;
    let api_port = with_api.then(|| api_port.unwrap_or(API_PORT));
    let api_compat = reader.truth(Setting::ApiCompat);
    let host = match api_host {
        Some(host) => reader.value_or(Setting::Host, text, || Ok(host), Clone::clone),
        None => reader.value(Setting::Host, text, Clone::clone),
    };
    let port = match api_port {
        Some(port) => reader.value_or(Setting::Port, number, || Ok(port), u16::to_string),
        None => reader.value(Setting::Port, number, u16::to_string),
    };
    let access = access::read(reader);
    let allowed_hosts = reader.optional(Setting::AllowedHosts, parse::list, joined);
    let allowed_origins = reader.optional(Setting::AllowedOrigins, parse::list, joined);
    let tls = tls(reader);
    let several = access
        .as_ref()
        .is_some_and(|access| access.tokens_file.is_some() || access.oauth.is_some());
    let bounds = bounds(reader, several);
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
        bounds: bounds?,
        grace: Duration::from_secs(grace?),
        api_compat: api_compat?,
    })
}

/// The bounds, where several tokens can exist or only one.
fn bounds(reader: &mut Reader, several: bool) -> Option<Bounds> {
    let mut count = |setting, range: RangeInclusive<usize>, unit| {
        reader.value(
            setting,
            |raw| parse::number(raw, range.clone(), unit),
            usize::to_string,
        )
    };
    let connections = count(Setting::MaxConnections, MAX_CONNECTIONS, "connections");
    let sessions = count(Setting::MaxSessions, MAX_SESSIONS, "sessions");
    let calls = count(Setting::MaxCalls, MAX_CALLS, "calls");
    let unread_mb = count(Setting::MaxUnreadMb, MAX_UNREAD_MB, "megabytes");
    let calls_per_minute = reader.value_or(
        Setting::MaxCallsPerMinute,
        |raw| parse::number(raw, MAX_CALLS_PER_MINUTE, "requests").map(Some),
        || Ok(several.then_some(DEFAULT_CALLS_PER_MINUTE)),
        |count| count.map_or_else(|| "any number".to_owned(), |count| count.to_string()),
    );
    let share = reader.value_or(
        Setting::TokenShare,
        |raw| parse::number(raw, TOKEN_SHARE, "percent"),
        || Ok(if several { DEFAULT_TOKEN_SHARE } else { 100 }),
        usize::to_string,
    );
    Some(Bounds {
        connections: connections?,
        sessions: sessions?,
        calls: calls?,
        calls_per_minute: calls_per_minute?,
        unread_bytes: unread_mb? << 20,
        share: share?,
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
