//! Values that callers send, checked: ids that name a scope, filters beside them, times and numbers.
//! Shared by all doors. Each error names the field.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Error, Result,
    filter::{Filter, InvalidFilter},
    model::{AgentId, AppId, InvalidId, MemoryKind, Scope, SessionId, UserId, Uuid},
};

/// The ids by which a caller names a scope. `session_id` and `run_id` are synonyms.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntityIds<'a> {
    /// The user.
    pub user_id: Option<&'a str>,
    /// The agent.
    pub agent_id: Option<&'a str>,
    /// The app.
    pub app_id: Option<&'a str>,
    /// The session.
    pub session_id: Option<&'a str>,
    /// The session, in mem0's word.
    pub run_id: Option<&'a str>,
}

impl<'a> EntityIds<'a> {
    /// A user, or an agent.
    pub fn of(user_id: &'a Option<String>, agent_id: &'a Option<String>) -> Self {
        Self {
            user_id: user_id.as_deref(),
            agent_id: agent_id.as_deref(),
            ..Self::default()
        }
    }

    /// The scope that these ids name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that cannot be used, and for a session and a run that differ.
    pub fn scope(self) -> Result<Scope> {
        let session = match (self.session_id, self.run_id) {
            (Some(session), Some(run)) if session.trim() != run.trim() => {
                return Err(Error::invalid(
                    "run_id",
                    "differs from `session_id`; they mean the same: give one of them",
                ));
            }
            (Some(session), _) => Some(SessionId::new(session)?),
            (None, Some(run)) => Some(SessionId::new(run).map_err(|error| InvalidId {
                field: "run_id",
                ..error
            })?),
            (None, None) => None,
        };
        Ok(Scope {
            user: self.user_id.map(UserId::new).transpose()?,
            agent: self.agent_id.map(AgentId::new).transpose()?,
            app: self.app_id.map(AppId::new).transpose()?,
            session,
        })
    }

    /// The scope of a deletion: `*` is refused.
    ///
    /// # Errors
    /// As [`EntityIds::scope`], and for an id that is `*`.
    pub fn deletion_scope(self) -> Result<Scope> {
        if let Some((field, _)) = self.named().find(|(_, id)| *id == "*") {
            return Err(Error::invalid(
                field,
                "is `*`, and nothing is deleted for everybody at once; name one",
            ));
        }
        self.scope()
    }

    /// A filter in mem0's language, narrowed to these ids.
    ///
    /// # Errors
    /// [`InvalidFilter`] that says where in the filter.
    pub fn filter(
        self,
        filters: Option<Map<String, Value>>,
    ) -> std::result::Result<Filter, InvalidFilter> {
        let mut all: Vec<Value> = [
            ("user_id", self.user_id),
            ("agent_id", self.agent_id),
            ("app_id", self.app_id),
            ("run_id", self.run_id.or(self.session_id)),
        ]
        .into_iter()
        .filter_map(|(field, id)| Some(json!({ field: id? })))
        .collect();
        // Parsed alone first, so that errors name the place in what the caller sent.
        let alone = Filter::parse(filters.as_ref())?;
        if all.is_empty() {
            return Ok(alone);
        }
        // An empty one is no condition.
        let filters = filters.filter(|filters| !filters.is_empty());
        all.extend(filters.map(Value::Object));
        let whole = Map::from_iter([("AND".to_owned(), all.into())]);
        Filter::parse(Some(&whole))
    }

    /// The ids given, trimmed, with their fields.
    pub fn named(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        [
            ("user_id", self.user_id),
            ("agent_id", self.agent_id),
            ("app_id", self.app_id),
            ("run_id", self.run_id.or(self.session_id)),
        ]
        .into_iter()
        .filter_map(|(field, id)| Some((field, id?.trim())))
    }
}

/// A memory type, if one was given.
///
/// # Errors
/// [`Error::Invalid`] as for [`MemoryKind::new`].
pub fn kind(raw: Option<&str>) -> Result<Option<MemoryKind>> {
    Ok(raw.map(MemoryKind::new).transpose()?)
}

/// A time, as [`crate::time::parse`] reads it.
///
/// # Errors
/// [`Error::Invalid`] for text that is no time.
pub fn time(field: &str, raw: Option<&str>) -> Result<Option<Timestamp>> {
    raw.map(|raw| {
        crate::time::parse(raw).ok_or_else(|| {
            Error::invalid(
                field,
                "is not a time; write it like 2024-06-15T10:30:00Z or 2024-06-15",
            )
        })
    })
    .transpose()
}

/// A number within a range.
///
/// # Errors
/// [`Error::Invalid`] that names the range.
pub fn in_range(
    field: &str,
    given: Option<i64>,
    range: RangeInclusive<u32>,
    default: u32,
) -> Result<u32> {
    let Some(given) = given else {
        return Ok(default);
    };
    u32::try_from(given)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            Error::invalid(
                field,
                format!("is {given}; it may be {} to {}", range.start(), range.end()),
            )
        })
}

/// A likeness, 0 to 1.
///
/// # Errors
/// [`Error::Invalid`] for any other number.
pub fn likeness(field: &str, given: Option<f64>) -> Result<Option<f64>> {
    match given {
        Some(score) if !(0.0..=1.0).contains(&score) => Err(Error::invalid(
            field,
            format!("is {score}; it may be 0 to 1"),
        )),
        given => Ok(given),
    }
}

/// The id of a memory, a UUID as Zep makes them.
///
/// # Errors
/// [`Error::Invalid`] for anything else.
pub fn memory_id(raw: &str) -> Result<Uuid> {
    match uuid::Uuid::parse_str(raw.trim()) {
        Ok(id) => Ok(Uuid(id.hyphenated().to_string())),
        Err(_) => Err(Error::invalid(
            "memory_id",
            "is no memory's id, which is a UUID; search_memories and get_memories tell ids",
        )),
    }
}
