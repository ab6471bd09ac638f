//! Tokens that are given out here: how they are made, and how they stand in a file.

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

/// How our tokens begin, so that people and scanners for leaked secrets see what they are.
const PREFIX: &str = "zmcp_";
/// How much chance is in a token, in bytes: too much to be guessed, ever.
const RANDOM_BYTES: usize = 32;
/// The length of a SHA-256, in bytes.
const HASH_BYTES: usize = 32;
/// How a hash begins in a file.
const HASH_PREFIX: &str = "sha256:";
/// Stands for everybody.
const EVERYBODY: &str = "*";
/// The longest name of an entry, in characters. Ours.
const MAX_NAME_CHARS: usize = 100;

/// A new token: 256 random bits.
///
/// # Errors
/// If the operating system gives no randomness.
pub fn fresh() -> Result<SecretString, NoRandomness> {
    let mut bytes = [0; RANDOM_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoRandomness)?;
    Ok(format!("{PREFIX}{}", Hex(&bytes)).into())
}

/// The operating system gives no randomness.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gives no random numbers, so no token can be made")]
pub struct NoRandomness;

/// Whether a text looks like a token of our own making, which nobody can guess.
pub(super) fn is_of_our_making(token: &str) -> bool {
    token
        .strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == 2 * RANDOM_BYTES && unhex(rest).is_some())
}

/// The SHA-256 of a token. Quick to compute, unlike what passwords are hashed with: nobody can try
/// out 256 random bits, however quickly.
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

    /// Never repeats the text, which may be a token that was put into the wrong place.
    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_prefix(HASH_PREFIX)
            .and_then(unhex)
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "is not `{HASH_PREFIX}` and 64 hexadecimal digits; `zep-mcp-server token new` \
                     makes it"
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

/// One entry of a file of tokens: one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What its holder is called, for whoever keeps the file: 1–100 characters.
    pub name: Name,
    /// The token's hash.
    #[serde(with = "as_text")]
    pub hash: TokenHash,
    /// What its holder may do.
    #[serde(with = "as_text")]
    pub role: Role,
    /// For whom.
    pub users: Reach,
    /// With which agents' own memories; left out, with none.
    #[serde(default, skip_serializing_if = "Reach::is_nobody")]
    pub agents: Reach,
    /// Which apps it may list and delete; left out, none.
    #[serde(default, skip_serializing_if = "Reach::is_nobody")]
    pub apps: Reach,
    /// Until when: a moment, or a day, the last on which it is good (in UTC). Left out, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
}

impl Entry {
    /// Checks the ids in it.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.grant().map(drop)
    }

    /// What the token allows.
    pub(super) fn grant(&self) -> Result<Grant, String> {
        let grant = Grant {
            role: self.role,
            users: self.users.allowed(UserId::new, "users")?,
            agents: self.agents.allowed(AgentId::new, "agents")?,
            apps: self.apps.allowed(AppId::new, "apps")?,
        };
        if self.users.is_nobody() && self.agents.is_nobody() {
            return Err("`users` names nobody, and neither does `agents`".into());
        }
        Ok(grant)
    }

    /// The entry as a line of a file, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("texts and lists of texts"))
    }
}

/// A name of 1–100 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

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
    /// Everybody, those to come included.
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
                    // Meant as everybody, it would reach nobody.
                    Value::String(id) if id == EVERYBODY => None,
                    Value::String(id) => Some(id),
                    _ => None,
                })
                .collect::<Option<_>>()
                .map(Self::These),
            _ => None,
        }
        .ok_or_else(|| "must be a list of ids in quotes, or \"*\" alone for everybody".to_owned())
    }
}

/// Until when a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Expiry(pub Timestamp);

impl Expiry {
    /// Whether it was before now.
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

/// What stands in a file as text.
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
