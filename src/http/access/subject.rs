//! The subject of a request, to whom its session belongs.

use std::{fmt, hash, sync::LazyLock};

use jiff::Timestamp;
use ring::{
    digest::{self, Context},
    rand::{SecureRandom, SystemRandom},
};

use super::tokens::{Hex, TokenHash};

/// The length of a label, in bytes.
const LABEL_BYTES: usize = 4;

/// Random for each process, so that labels in a log cannot be traced back to subjects.
static SALT: LazyLock<[u8; 16]> = LazyLock::new(|| {
    let mut salt = [0; 16];
    // Without randomness labels are only easier to trace back.
    let _ = SystemRandom::new().fill(&mut salt);
    salt
});

/// The holder of a token: equal for all requests of the same holder, also when the token's rights
/// change. A session belongs to the subject that opened it. Reveals nothing about the token; its
/// debug print and [`Subject::label`] are meaningful in the log of one process only.
#[derive(Clone)]
pub struct Subject {
    id: [u8; 32],
    pub(super) proof: Proof,
}

/// How a subject was authenticated.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof {
    /// Not at all: no authentication is configured.
    None,
    /// By a token of this server.
    Token(TokenHash),
    /// By a signed token, until it expires.
    Signed(Timestamp),
}

impl Subject {
    /// Everybody on this machine.
    pub(super) fn local() -> Self {
        Self::new(&[b"local"], Proof::None)
    }

    /// The holder of a token of this server.
    pub(super) fn of_token(hash: TokenHash) -> Self {
        Self::new(&[b"token", hash.bytes()], Proof::Token(hash))
    }

    /// A subject that an issuer names. Stays the same when its token is renewed.
    pub(super) fn signed(issuer: &str, subject: &str, until: Timestamp) -> Self {
        Self::new(
            &[b"signed", issuer.as_bytes(), subject.as_bytes()],
            Proof::Signed(until),
        )
    }

    /// A subject with this name, not authenticated.
    #[cfg(test)]
    pub(in crate::http) fn named(name: &str) -> Self {
        Self::new(&[b"named", name.as_bytes()], Proof::None)
    }

    fn new(parts: &[&[u8]], proof: Proof) -> Self {
        let mut context = Context::new(&digest::SHA256);
        for part in parts {
            // The lengths separate the parts.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut id = [0; 32];
        id.copy_from_slice(context.finish().as_ref());
        Self { id, proof }
    }

    /// A few characters for logs: equal for requests of the same holder in this process, and
    /// meaningless elsewhere.
    pub fn label(&self) -> String {
        let mut context = Context::new(&digest::SHA256);
        context.update(&*SALT);
        context.update(&self.id);
        let hash = context.finish();
        Hex(hash.as_ref().get(..LABEL_BYTES).unwrap_or_default()).to_string()
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Subject {}

impl hash::Hash for Subject {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({})", self.label())
    }
}
