//! Who a session belongs to.

use std::{fmt, hash, sync::LazyLock};

use jiff::Timestamp;
use ring::{
    digest::{self, Context},
    rand::{SecureRandom, SystemRandom},
};

use super::tokens::{Hex, TokenHash};

/// How much of a label is shown, in bytes.
const LABEL_BYTES: usize = 4;

/// Made anew by each process, so that nobody can look up in a log whose label it is.
static SALT: LazyLock<[u8; 16]> = LazyLock::new(|| {
    let mut salt = [0; 16];
    // Without randomness labels are only easier to look up.
    let _ = SystemRandom::new().fill(&mut salt);
    salt
});

/// Who showed a token: the same for every request of the same holder, whatever their token allows
/// by now. A session belongs to the subject that opened it. Shows nothing of the token; its debug
/// print and [`Subject::label`] are good for the log of one process only.
#[derive(Clone)]
pub struct Subject {
    id: [u8; 32],
    pub(super) by: By,
}

/// By what somebody was let in.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    /// Nothing: no authentication is configured.
    Nothing,
    /// A token that was given out here.
    Token(TokenHash),
    /// A signed token, until it expires.
    Signed(Timestamp),
}

impl Subject {
    /// Whoever is on this machine.
    pub(super) fn local() -> Self {
        Self::new(&[b"local"], By::Nothing)
    }

    /// The holder of a token that was given out here.
    pub(super) fn of_token(hash: TokenHash) -> Self {
        Self::new(&[b"token", hash.bytes()], By::Token(hash))
    }

    /// Somebody whom an issuer names. Their tokens change, they do not.
    pub(super) fn signed(issuer: &str, subject: &str, until: Timestamp) -> Self {
        Self::new(
            &[b"signed", issuer.as_bytes(), subject.as_bytes()],
            By::Signed(until),
        )
    }

    /// Somebody of this name, whom nobody vouches for.
    #[cfg(test)]
    pub(in crate::http) fn named(name: &str) -> Self {
        Self::new(&[b"named", name.as_bytes()], By::Nothing)
    }

    fn new(parts: &[&[u8]], by: By) -> Self {
        let mut context = Context::new(&digest::SHA256);
        for part in parts {
            // The length keeps parts apart.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut id = [0; 32];
        id.copy_from_slice(context.finish().as_ref());
        Self { id, by }
    }

    /// A few characters for logs, by which requests of the same holder are recognised while this
    /// process lives, and nobody is.
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
