//! Tokens of this server: how they are made, and their entries in a file.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::memory::{
    access::{Allowed, Grant, Role},
    model::{AgentId, AppId, UserId},
};

/// The prefix of our tokens, by which people and scanners for leaked secrets recognise them.
const PREFIX: &str = "zmcp_";
/// The random bytes of a token: too many to be guessed.
const RANDOM_BYTES: usize = 32;
/// The length of a SHA-256, in bytes.
const HASH_BYTES: usize = 32;
/// The prefix of a hash in a file.
const HASH_PREFIX: &str = "sha256:";
/// In a list's place: everybody.
const EVERYBODY: &str = "*";
/// The longest name of an entry, in characters. Ours.
const MAX_NAME_CHARS: usize = 100;

/// A new token: 256 random bits.
///
/// # Errors
/// If the operating system provides no random numbers.
pub fn fresh() -> Result<SecretString, NoRandomness> {
    let mut bytes = [0; RANDOM_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoRandomness)?;
    Ok(format!("{PREFIX}{}", Hex(&bytes)).into())
}

/// The operating system provides no random numbers.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system provides no random numbers, so no token can be made")]
pub struct NoRandomness;

/// Whether a token has the form of a generated one, which cannot be guessed.
pub(super) fn is_generated(token: &str) -> bool {
    token
        .strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == 2 * RANDOM_BYTES && unhex(rest).is_some())
}

/// The SHA-256 of a token. A fast hash, unlike those for passwords, is enough: 256 random bits cannot
/// be tried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; HASH_BYTES]);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let mut bytes = [0; HASH_BYTES];
        bytes.copy_from_slice(hash.as_ref());
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HASH_PREFIX}{}", Hex(&self.0))
    }
}

impl FromStr for TokenHash {
    type Err = String;

    /// The error never repeats the text, which may be a token in the wrong place.
    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_prefix(HASH_PREFIX)
            .and_then(unhex)
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "is not `{HASH_PREFIX}` and 64 hexadecimal digits, as `zep-mcp-server token \
                     new` prints"
                )
            })
    }
}

/// Bytes as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn unhex(text: &str) -> Option<[u8; HASH_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * HASH_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; HASH_BYTES];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// An entry of a file of tokens: one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The holder's name, for the person who maintains the file: 1–100 characters.
    pub name: Name,
    /// The token's hash.
    #[serde(with = "as_text")]
    pub hash: TokenHash,
    /// What the holder may do.
    #[serde(with = "as_text")]
    pub role: Role,
    /// The users whose memories it may access.
    pub users: Reach,
    /// The agents whose memories it may access; absent: none.
    #[serde(default, skip_serializing_if = "Reach::is_nobody")]
    pub agents: Reach,
    /// The apps it may list and delete; absent: none.
    #[serde(default, skip_serializing_if = "Reach::is_nobody")]
    pub apps: Reach,
    /// The moment it expires, or the last day (in UTC) on which it is valid. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
}

impl Entry {
    /// Checks its ids.
    ///
    /// # Errors
    /// Names the wrong field.
    pub fn check(&self) -> Result<(), String> {
        self.grant().map(drop)
    }

    /// What the token grants.
    pub(super) fn grant(&self) -> Result<Grant, String> {
        let grant = Grant {
            role: self.role,
            users: self.users.allowed(UserId::new, "users")?,
            agents: self.agents.allowed(AgentId::new, "agents")?,
            apps: self.apps.allowed(AppId::new, "apps")?,
        };
        if self.users.is_nobody() && self.agents.is_nobody() {
            return Err("`users` and `agents` are both empty".into());
        }
        Ok(grant)
    }

    /// The entry as a line of a file, without the line break.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("texts and lists of texts"))
    }
}

/// A name of 1–100 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let length = name.chars().count();
        if name.trim().is_empty() || length > MAX_NAME_CHARS || name.contains(char::is_control) {
            return Err(format!(
                "must be 1 to {MAX_NAME_CHARS} characters on one line"
            ));
        }
        Ok(Self(name))
    }
}

/// Some ids, or everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", untagged)]
pub enum Reach {
    /// `"*"`
    Everybody(String),
    /// `["id", …]`
    These(Vec<String>),
}

impl Default for Reach {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl Reach {
    /// Everybody, future ids included.
    pub fn everybody() -> Self {
        Self::Everybody(EVERYBODY.to_owned())
    }

    fn is_nobody(&self) -> bool {
        matches!(self, Self::These(ids) if ids.is_empty())
    }

    fn allowed<T: Ord, E: fmt::Display>(
        &self,
        id: impl Fn(&str) -> Result<T, E>,
        field: &str,
    ) -> Result<Allowed<T>, String> {
        match self {
            Self::Everybody(_) => Ok(Allowed::All),
            Self::These(ids) => ids
                .iter()
                .map(|raw| id(raw).map_err(|error| format!("`{field}`: {error}")))
                .collect::<Result<_, _>>()
                .map(Allowed::These),
        }
    }
}

impl TryFrom<Value> for Reach {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(all) if all == EVERYBODY => Some(Self::everybody()),
            Value::Array(ids) => ids
                .into_iter()
                .map(|id| match id {
                    // Meant as everybody, it would be an id that nobody has.
                    Value::String(id) if id == EVERYBODY => None,
                    Value::String(id) => Some(id),
                    _ => None,
                })
                .collect::<Option<_>>()
                .map(Self::These),
            _ => None,
        }
        .ok_or_else(|| {
            "must be a list of ids in quotes, or \"*\" instead of it for everybody".to_owned()
        })
    }
}

/// The moment a token expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Expiry(pub Timestamp);

impl Expiry {
    /// Whether it is past.
    pub fn is_past(&self) -> bool {
        self.0 <= Timestamp::now()
    }
}

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(moment) = text.parse() {
            return Ok(Self(moment));
        }
        text.parse::<Date>()
            .and_then(Date::tomorrow)
            .and_then(|day| day.to_zoned(TimeZone::UTC))
            .map(|begins| Self(begins.timestamp()))
            .map_err(|_| {
                "is neither a day (2027-01-31) nor a moment (2027-01-31T12:00:00Z)".to_owned()
            })
    }
}

impl TryFrom<String> for Expiry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// (De)serialises a value as its text.
mod as_text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        value: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
