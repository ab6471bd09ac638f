//! A place in a session, told to callers as an opaque text.

use std::{fmt, str::FromStr};

use jiff::Timestamp;

use crate::memory::{Error, Result, model::Uuid, record::doubles};
use crate::zep::Message;

/// A place between two records of a session: the number of messages before it, the id of the last of
/// them, which proves the place, and their latest time, which shows what cannot repeat any of them.
/// Opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(super) offset: u64,
    pub(super) last: Uuid,
    /// `None` if it is not known: then each message after it may repeat one before.
    pub(super) latest: Option<Timestamp>,
    /// The last turn of the page before that waited in the queue, by the queue's id: it may have been
    /// delivered since.
    pub(super) behind: Option<Uuid>,
}

impl Cursor {
    /// The place after a waiting turn, in a session that Zep does not have yet.
    pub(super) fn behind_waiting(behind: Uuid) -> Self {
        Self {
            offset: 0,
            last: behind.clone(),
            latest: None,
            behind: Some(behind),
        }
    }

    /// The place among the messages that Zep has; `None` for the beginning.
    pub(super) fn in_zep(&self) -> Option<&Self> {
        Some(self).filter(|cursor| cursor.offset > 0)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.offset, self.last)?;
        if let Some(latest) = self.latest {
            write!(f, ".{}", latest.as_nanosecond())?;
        }
        match &self.behind {
            Some(behind) => write!(f, "~{behind}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let id = |text: &str| Some(Uuid(uuid::Uuid::parse_str(text).ok()?.to_string()));
            let (text, behind) = match text.split_once('~') {
                Some((text, behind)) => (text, Some(id(behind)?)),
                None => (text, None),
            };
            let (offset, rest) = text.split_once('.')?;
            let (last, latest) = match rest.split_once('.') {
                Some((last, latest)) => (last, Some(latest)),
                None => (rest, None),
            };
            let time = |nanos: &str| Timestamp::from_nanosecond(nanos.parse().ok()?).ok();
            Some(Self {
                offset: offset
                    .parse()
                    .ok()
                    .filter(|offset| *offset > 0 || behind.is_some())?,
                last: id(last)?,
                behind,
                latest: match latest {
                    Some(latest) => Some(time(latest)?),
                    None => None,
                },
            })
        };
        read().ok_or_else(|| {
            Error::invalid(
                "cursor",
                "is not one of ours; pass `next_cursor` of the page before, unchanged",
            )
        })
    }
}

/// The place before the `index`th message of a window that starts at `start`.
pub(super) fn place_behind(
    start: Option<&Cursor>,
    messages: &[Message],
    index: usize,
) -> Option<Cursor> {
    let last = messages.get(index.checked_sub(1)?)?.uuid.clone()?;
    let latest = doubles::latest(&messages[..index]);
    Some(Cursor {
        offset: start.map_or(0, |start| start.offset) + index as u64,
        last,
        latest: latest.max(start.and_then(|start| start.latest)),
        behind: None,
    })
}
