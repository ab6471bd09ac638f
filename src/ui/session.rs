//! Who is signed in. Kept in memory: the end of the process signs everybody out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use super::host::{Admitted, Pass};
use crate::audit::Who;
use crate::memory::access::Caller;

/// The most sessions; the one that was used longest ago makes room. Ours: a few operators, a few browsers.
const MAX_SESSIONS: usize = 100;
/// How long a session lasts. Ours: a working day.
const LASTS: Duration = Duration::from_secs(8 * 3600);
/// How long a session lasts without a request. Ours, within OWASP's 15–30 minutes for what is sensitive.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// Random bytes of an id and of a CSRF token: too many to be guessed.
const RANDOM_BYTES: usize = 32;
/// The cookie's name over plain HTTP.
const PLAIN: &str = "zep-mcp-ui";
/// The cookie's name over TLS: browsers take it from this host only (RFC 6265bis, 4.1.3.2).
const SECURE: &str = "__Host-zep-mcp-ui";

/// The hash of a session's id: what is kept does not sign anybody in.
type Key = [u8; 32];

/// The sessions of the page.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Key, Arc<Session>>>);

/// A browser that is signed in.
pub(super) struct Session {
    key: Key,
    /// What every form must carry.
    pub(super) csrf: String,
    /// What its holder may do.
    pub(super) caller: Caller,
    /// The same, as the audit trail names them.
    pub(super) who: Who,
    pass: Arc<dyn Pass>,
    opened: Instant,
    used: Mutex<Instant>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// Whether a form's token is this session's. The time reveals nothing.
    pub(super) fn gave(&self, token: &str) -> bool {
        self.csrf.as_bytes().ct_eq(token.as_bytes()).into()
    }

    fn is_over(&self) -> bool {
        ends(self.opened.elapsed(), lock(&self.used).elapsed())
    }
}

/// Whether a session ends at this age, unused for so long.
fn ends(age: Duration, unused: Duration) -> bool {
    age >= LASTS || unused >= IDLE
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete in itself, so a panic elsewhere leaves no partial state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 256 random bits as hexadecimal digits; `None` if the system provides none.
fn random() -> Option<String> {
    let mut bytes = [0; RANDOM_BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn key_of(id: &str) -> Key {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
    key
}

impl Sessions {
    /// Opens a session; gives the id for its cookie. `None` if the system provides no random numbers.
    pub(super) fn open(&self, admitted: Admitted) -> Option<String> {
        let (id, csrf) = (random()?, random()?);
        let key = key_of(&id);
        let session = Session {
            key,
            csrf,
            caller: admitted.caller,
            who: admitted.who,
            pass: admitted.pass,
            opened: Instant::now(),
            used: Mutex::new(Instant::now()),
        };
        let mut open = lock(&self.0);
        open.retain(|_, session| !session.is_over());
        while open.len() >= MAX_SESSIONS {
            let oldest = open.iter().min_by_key(|(_, session)| *lock(&session.used));
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            open.remove(&oldest);
        }
        open.insert(key, Arc::new(session));
        Some(id)
    }

    /// The session of a request, which is used now.
    pub(super) async fn find(&self, headers: &HeaderMap) -> Option<Arc<Session>> {
        let key = key_of(&cookie(headers)?);
        let session = lock(&self.0).get(&key).cloned()?;
        if !self.lasts(&session).await {
            return None;
        }
        *lock(&session.used) = Instant::now();
        Some(session)
    }

    /// Whether a session is neither over, nor ended, nor its token revoked. Ends it if it is.
    pub(super) async fn lasts(&self, session: &Session) -> bool {
        let is_open = lock(&self.0).contains_key(&session.key);
        let lasts = is_open && !session.is_over() && session.pass.still_admits().await;
        if !lasts {
            self.end(session);
        }
        lasts
    }

    /// Ends a session.
    pub(super) fn end(&self, session: &Session) {
        lock(&self.0).remove(&session.key);
    }
}

/// The session's id in a request.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs: Vec<(&str, &str)> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .collect();
    let named = |name| pairs.iter().find(|(theirs, _)| *theirs == name);
    let (_, id) = named(SECURE).or_else(|| named(PLAIN))?;
    Some((*id).to_owned())
}

/// The `Set-Cookie` line that gives a browser a session. A prefixed cookie must have the path `/`.
pub(super) fn given(id: &str, is_encrypted: bool) -> String {
    match is_encrypted {
        true => format!("{SECURE}={id}; HttpOnly; SameSite=Strict; Path=/; Secure"),
        false => format!("{PLAIN}={id}; HttpOnly; SameSite=Strict; Path=/ui"),
    }
}

/// The `Set-Cookie` line that takes it back.
pub(super) fn taken_back(is_encrypted: bool) -> String {
    format!("{}; Max-Age=0", given("", is_encrypted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_after_a_working_day_or_half_an_hour_unused() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        assert!(!ends(minutes(479), minutes(29)));
        assert!(ends(minutes(480), minutes(0)));
        assert!(ends(minutes(31), minutes(30)));
    }
}
