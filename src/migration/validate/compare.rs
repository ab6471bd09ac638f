//! Comparing one record with what is stored of it.

use jiff::{SignedDuration, Timestamp};

use super::result::CheckName;
use crate::memory::fit::same_metadata;
use crate::memory::import::Imported;
use crate::memory::model::{AgentId, AppId, MemoryKind, TimeOrigin};
use crate::memory::records::Assembled;

/// Times this far apart differ: databases keep microseconds, and truncate or round what is finer.
const PRECISION: SignedDuration = SignedDuration::from_micros(1);

/// How a stored record differs from the source: the check, the field, and what is wrong. Never holds
/// content. Outside a session a record without a speaker has no role.
pub(super) fn compare(
    wanted: &Imported,
    found: &Assembled,
    is_session: bool,
) -> Vec<(CheckName, &'static str, &'static str)> {
    let mut differences = Vec::new();
    let mut check = |alike: bool, check, field, detail| {
        if !alike {
            differences.push((check, field, detail));
        }
    };
    let record = &found.record;
    let another = "has another value";
    check(
        !record.incomplete,
        CheckName::Content,
        "content",
        "lacks a part: `validate --repair` completes it",
    );
    check(
        record.incomplete || record.content == wanted.content,
        CheckName::Content,
        "content",
        "is another one",
    );
    match (wanted.time, record.created_at) {
        (TimeOrigin::Given, Some(found)) => check(
            same_time(wanted.created_at, found),
            CheckName::Timestamps,
            "created_at",
            "is another one",
        ),
        (TimeOrigin::Given, None) => check(
            false,
            CheckName::Timestamps,
            "created_at",
            "is absent, or marked as inferred",
        ),
        (TimeOrigin::Inferred, found) => check(
            found.is_none(),
            CheckName::Timestamps,
            "created_at",
            "is there, and the source has none",
        ),
    }
    let ours = found.ours.as_ref();
    let same_update = match (wanted.updated, record.updated_at) {
        (Some(wanted), Some(found)) => same_time(wanted, found),
        (wanted, found) => wanted.is_none() == found.is_none(),
    };
    check(same_update, CheckName::Timestamps, "updated_at", another);
    check(
        same_metadata(&wanted.metadata, &record.metadata),
        CheckName::Metadata,
        "metadata",
        another,
    );
    let kind = wanted.kind.as_ref().map(MemoryKind::as_str);
    check(
        kind == record.memory_type.as_deref(),
        CheckName::Metadata,
        "memory_type",
        another,
    );
    let role = wanted.speaker.as_ref().map(|speaker| speaker.role.trim());
    let role = role.or(is_session.then_some("user"));
    check(
        role.is_none_or(|role| role == record.role),
        CheckName::Metadata,
        "role",
        another,
    );
    let name = wanted
        .speaker
        .as_ref()
        .and_then(|speaker| speaker.name.as_deref());
    check(
        name.map(str::trim).filter(|name| !name.is_empty())
            == record.name.as_deref().map(str::trim),
        CheckName::Metadata,
        "name",
        another,
    );
    let source = ours.and_then(|ours| ours.migration_source.as_deref());
    check(
        source == Some(wanted.source.as_str()),
        CheckName::Metadata,
        "migration_source",
        another,
    );
    let agent = ours.and_then(|ours| ours.agent.as_ref());
    check(
        agent.map(AgentId::as_str) == wanted.agent.as_ref().map(AgentId::as_str),
        CheckName::Metadata,
        "agent_id",
        another,
    );
    let app = ours.and_then(|ours| ours.app.as_ref());
    check(
        app.map(AppId::as_str) == wanted.app.as_ref().map(AppId::as_str),
        CheckName::Metadata,
        "app_id",
        another,
    );
    differences
}

fn same_time(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() < PRECISION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_a_microsecond_apart_differ_and_finer_ones_do_not() {
        let at = |nanosecond| Timestamp::new(1_700_000_000, nanosecond).unwrap();
        assert!(same_time(at(123_456_789), at(123_456_000)));
        assert!(same_time(at(123_456_789), at(123_457_000)));
        assert!(!same_time(at(123_456_000), at(123_457_000)));
        assert!(!same_time(at(123_457_000), at(123_456_000)));
    }
}
