//! From a tool's arguments to the domain's types; every error names the argument.

use jiff::Timestamp;
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::ToolError;
use crate::memory::{
    Error,
    filter::{Filter, InvalidFilter},
    model::{AgentId, AppId, InvalidId, MemoryKind, Scope, SessionId, UserId},
};

/// The arguments as the tool's own type.
pub(super) fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, ToolError> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        ToolError::argument(match path.as_str() {
            "." => cause.to_string(),
            path => format!("`{path}`: {cause}"),
        })
    })
}

/// The four ways to say whose memory is meant, as they stand in the arguments.
#[derive(Debug, Default)]
pub(super) struct Named<'a> {
    pub(super) user_id: Option<&'a str>,
    pub(super) agent_id: Option<&'a str>,
    pub(super) app_id: Option<&'a str>,
    pub(super) session_id: Option<&'a str>,
    pub(super) run_id: Option<&'a str>,
}

impl Named<'_> {
    /// The scope of what is to be deleted: nothing stands for everybody in it.
    pub(super) fn scope_of_deletion(self) -> Result<Scope, Error> {
        let named = [
            ("user_id", self.user_id),
            ("agent_id", self.agent_id),
            ("app_id", self.app_id),
            ("run_id", self.run_id),
        ];
        for (field, id) in named {
            if id.is_some_and(|id| id.trim() == "*") {
                return Err(Error::invalid(
                    field,
                    "is `*`, and nothing is deleted for everybody at once; name one",
                ));
            }
        }
        self.scope()
    }

    pub(super) fn scope(self) -> Result<Scope, Error> {
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
}

/// A filter in mem0's language, narrowed to what is named beside it.
pub(super) fn filter(
    filters: Option<Map<String, Value>>,
    named: Named<'_>,
) -> Result<Filter, ToolError> {
    let beside = [
        ("user_id", named.user_id),
        ("agent_id", named.agent_id),
        ("app_id", named.app_id),
        ("run_id", named.run_id.or(named.session_id)),
    ];
    let mut all: Vec<Value> = beside
        .into_iter()
        .filter_map(|(field, id)| Some(json!({ field: id? })))
        .collect();
    if all.is_empty() {
        return Ok(Filter::parse(filters.as_ref())?);
    }
    // What is wrong in the filter is named as it stands there.
    Filter::parse(filters.as_ref())?;
    // An empty one is no condition.
    let filters = filters.filter(|filters| !filters.is_empty());
    all.extend(filters.map(Value::Object));
    let mut whole = Map::new();
    whole.insert("AND".into(), all.into());
    Ok(Filter::parse(Some(&whole))?)
}

impl From<InvalidFilter> for ToolError {
    fn from(error: InvalidFilter) -> Self {
        Self::argument(error.to_string())
    }
}

/// A memory type, where one was given.
pub(super) fn kind(raw: Option<&str>) -> Result<Option<MemoryKind>, Error> {
    Ok(raw.map(MemoryKind::new).transpose()?)
}

/// A time, as [`crate::time::parse`] reads it.
pub(super) fn time(field: &str, raw: Option<&str>) -> Result<Option<Timestamp>, Error> {
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

/// A number that must lie in a range.
pub(super) fn in_range(
    field: &str,
    given: Option<i64>,
    range: std::ops::RangeInclusive<u32>,
    default: u32,
) -> Result<u32, Error> {
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
