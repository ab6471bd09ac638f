//! Zep's limits, and its refusals. Messages name the field and its limit, never the value.

use serde_json::Value;

use super::behavior::LengthCounts;
use crate::zep::{Error, Metadata, NewEpisode, NewMessage, Owner, RecordMark, Search, limits};

/// 400 with this message.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::Invalid {
        status: 400,
        message: message.into(),
    }
}

/// 404 for this kind of thing.
pub(crate) fn not_found(what: &str) -> Error {
    Error::NotFound {
        message: format!("{what} not found"),
    }
}

/// 404 for an owner.
pub(crate) fn no_owner(owner: &Owner) -> Error {
    not_found(match owner {
        Owner::User(_) => "user",
        Owner::Graph(_) => "graph",
    })
}

/// It exists already, or its state does not allow the call.
pub(crate) fn conflict(status: u16, message: impl Into<String>) -> Error {
    Error::Conflict {
        status,
        message: message.into(),
    }
}

/// Checks 1 to 30 messages.
pub(crate) fn messages(messages: &[NewMessage], counts: LengthCounts) -> Result<(), Error> {
    if messages.is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    if messages.len() > limits::MESSAGES_PER_CALL {
        return Err(invalid(format!(
            "messages: at most {} messages are allowed, got {}",
            limits::MESSAGES_PER_CALL,
            messages.len()
        )));
    }
    messages
        .iter()
        .enumerate()
        .try_for_each(|(index, one)| message(&format!("messages[{index}]"), one, counts))
}

/// Checks a message; `field` is its place in the request.
pub(crate) fn message(
    field: &str,
    message: &NewMessage,
    counts: LengthCounts,
) -> Result<(), Error> {
    text(
        &format!("{field}.content"),
        &message.content,
        limits::MESSAGE_CHARS,
        counts,
    )?;
    if let Some(name) = &message.name {
        at_most(&format!("{field}.name"), name, limits::NAME_CHARS, counts)?;
    }
    let with_mark = RecordMark::encode(message.mark.as_ref(), &message.metadata);
    metadata(&format!("{field}.metadata"), &with_mark)
}

/// Checks an episode.
pub(crate) fn episode(episode: &NewEpisode, counts: LengthCounts) -> Result<(), Error> {
    text("data", &episode.data, limits::EPISODE_CHARS, counts)?;
    let with_mark = RecordMark::encode(episode.mark.as_ref(), &episode.metadata);
    metadata("metadata", &with_mark)
}

/// Checks metadata: at most 10 keys, with flat values.
pub(crate) fn metadata(field: &str, metadata: &Metadata) -> Result<(), Error> {
    if metadata.len() > limits::METADATA_KEYS {
        return Err(invalid(format!(
            "{field}: at most {} keys are allowed, got {}",
            limits::METADATA_KEYS,
            metadata.len()
        )));
    }
    if metadata.keys().any(|key| key.trim().is_empty()) {
        return Err(invalid(format!("{field}: keys must not be blank")));
    }
    if !metadata.values().all(is_flat) {
        return Err(invalid(format!(
            "{field}: values must be strings, numbers, booleans, or non-empty arrays of those"
        )));
    }
    Ok(())
}

fn is_flat(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(is_scalar),
        value => is_scalar(value),
    }
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

/// Checks a search's query and limit.
pub(crate) fn search(search: &Search, counts: LengthCounts) -> Result<(), Error> {
    text("query", &search.query, limits::QUERY_CHARS, counts)?;
    match search.limit {
        Some(limit) if limit == 0 || limit > limits::SEARCH_RESULTS => Err(invalid(format!(
            "limit: must be between 1 and {}, got {limit}",
            limits::SEARCH_RESULTS
        ))),
        _ => Ok(()),
    }
}

/// Checks the length of a list in a filter: at most 256 entries.
pub(crate) fn filter_entries(field: &str, entries: usize) -> Result<(), Error> {
    if entries > limits::FILTER_UUIDS {
        return Err(invalid(format!(
            "{field}: at most {} entries are allowed, got {entries}",
            limits::FILTER_UUIDS
        )));
    }
    Ok(())
}

/// Checks that a text is neither blank nor too long.
pub(crate) fn text(
    field: &str,
    value: &str,
    max: usize,
    counts: LengthCounts,
) -> Result<(), Error> {
    if value.trim().is_empty() {
        return Err(invalid(format!("{field}: is required")));
    }
    at_most(field, value, max, counts)
}

fn at_most(field: &str, value: &str, max: usize, counts: LengthCounts) -> Result<(), Error> {
    let length = counts.length(value);
    if length > max {
        return Err(invalid(format!(
            "{field}: must be at most {max} characters, got {length}"
        )));
    }
    Ok(())
}
