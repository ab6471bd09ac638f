//! How ids, states and digests are kept in the ledger.

use ring::hmac;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use serde::Serialize;
use uuid::Uuid;

use crate::memory::model::{Owner, Place};
use crate::migration::plan::{owner_of, place_of};

/// The number of an owner in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerNo(pub(super) i64);

/// The number of a place in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceNo(pub(super) i64);

/// How far a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(i64)]
pub enum RecordState {
    /// It will be sent.
    Planned = 0,
    /// It was sent, and it is not known yet whether it is stored.
    Sent = 1,
    /// It is stored.
    Confirmed = 2,
    /// It was refused.
    Failed = 3,
    /// It was stored, and removed again by undoing its run.
    Undone = 4,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(i64)]
pub enum RunState {
    /// It is under way.
    Running = 0,
    /// It was stopped or killed; the same command continues it.
    Stopped = 1,
    /// Everything is migrated.
    Done = 2,
    /// It came to its end, and something is not migrated.
    Failed = 3,
    /// It was undone.
    Undone = 4,
}

macro_rules! kept_as_number {
    ($state:ident: $($one:ident),*) => {
        impl ToSql for $state {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok((*self as i64).into())
            }
        }

        impl FromSql for $state {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let number = value.as_i64()?;
                [$(Self::$one),*]
                    .into_iter()
                    .find(|state| *state as i64 == number)
                    .ok_or(FromSqlError::OutOfRange(number))
            }
        }
    };
}

kept_as_number!(RecordState: Planned, Sent, Confirmed, Failed, Undone);
kept_as_number!(RunState: Running, Stopped, Done, Failed, Undone);

/// A record's id; a UUID takes half the room of its text.
pub(super) struct RecordKey<'a>(pub(super) &'a str);

impl ToSql for RecordKey<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let uuid = Uuid::try_parse(self.0).ok();
        // Only the form that reading gives back.
        let uuid = uuid.filter(|uuid| uuid.hyphenated().to_string() == self.0);
        Ok(match uuid {
            Some(uuid) => ToSqlOutput::Owned(Value::Blob(uuid.into_bytes().to_vec())),
            None => self.0.into(),
        })
    }
}

/// A record's id as it is read back.
pub(super) struct RecordName(pub(super) String);

impl FromSql for RecordName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => Uuid::from_slice(bytes)
                .map(|uuid| Self(uuid.hyphenated().to_string()))
                .map_err(FromSqlError::other),
            value => String::column_result(value).map(Self),
        }
    }
}

/// Tells whether anything of a record has changed. Made with the ledger's key: without it a short text
/// cannot be guessed from its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest(Vec<u8>);

/// What digests are made of; a digest of another version is not compared.
const DIGEST_VERSION: u8 = 1;
/// The length of a digest with its version, in bytes. Ours: as unlikely to collide as UUIDs.
const DIGEST_BYTES: usize = 16;

impl Digest {
    /// The digest of these bytes, which differ if anything of the record does.
    pub(super) fn new(key: &hmac::Key, bytes: &[u8]) -> Self {
        let whole = hmac::sign(key, bytes);
        let mut digest = vec![DIGEST_VERSION];
        digest.extend(whole.as_ref().iter().take(DIGEST_BYTES - 1));
        Self(digest)
    }

    /// Whether it is known that something has changed.
    pub(super) fn differs(&self, other: &Self) -> bool {
        !self.differs_in_version(other) && self != other
    }

    /// Whether another version of this program made it, so that it tells nothing.
    pub(super) fn differs_in_version(&self, other: &Self) -> bool {
        self.0.first() != other.0.first()
    }
}

impl ToSql for Digest {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for Digest {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Vec::column_result(value).map(Self)
    }
}

/// An owner as the ledger names it.
pub(super) struct KeptOwner(pub(super) Owner);

impl FromSql for KeptOwner {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        owner_of(value.as_str()?)
            .map(Self)
            .ok_or(FromSqlError::InvalidType)
    }
}

/// The place of this owner and session, as the ledger names them.
pub(super) fn kept_place(owner: &str, session: &str) -> rusqlite::Result<Place> {
    place_of(owner, session).ok_or(rusqlite::Error::InvalidQuery)
}
