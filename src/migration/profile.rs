//! The profile in Zep of a user that a source describes.

use serde_json::{Map, Value};

use super::plan::{Plan, PlannedOwner};
use crate::memory::mapping::RoleMap;
use crate::memory::model::UserId;
use crate::memory::profile::Profile;

/// When a user was migrated: differs from run to run.
const MIGRATION_TIMESTAMP: &str = "migration_timestamp";
/// The run that made the user, only with users that a run made.
pub(super) const MIGRATION_RUN: &str = "migration_run";
/// Fields that are not compared.
pub(super) const NOT_COMPARED: &[&str] = &[MIGRATION_TIMESTAMP];

/// The profile of a user (guide: user metadata).
pub(super) fn profile(
    plan: &Plan,
    owner: &PlannedOwner,
    user: &UserId,
    roles: &RoleMap,
) -> Profile {
    let described = owner.profile.as_ref();
    let role = described
        .and_then(|user| user.role.as_deref())
        .map(|role| roles.map(role))
        .filter(|role| !role.is_empty());
    let mut marks = Map::new();
    if let Some(role) = role {
        marks.insert("role".into(), role.into());
    }
    let source = described.and_then(|user| user.migration_source.as_deref());
    marks.insert(
        "migration_source".into(),
        source.unwrap_or(plan.system).into(),
    );
    if !owner.stands_in {
        marks.insert("source_user_id".into(), user.as_str().into());
    }
    marks.insert(MIGRATION_TIMESTAMP.into(), plan.now.to_string().into());
    let metadata = beside(
        plan.system,
        &marks,
        described.map(|user| &user.metadata).unwrap_or(&Map::new()),
    );
    let some = |text: &Option<String>| {
        text.as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    Profile {
        name: described.and_then(|user| some(&user.name)),
        email: described.and_then(|user| some(&user.email)),
        marks,
        metadata,
    }
}

/// The source's own fields beside the marks. A field with the name of a mark is renamed, as in a
/// record's metadata.
fn beside(
    system: &str,
    marks: &Map<String, Value>,
    fields: &Map<String, Value>,
) -> Map<String, Value> {
    let (same, mut kept): (Map<_, _>, Map<_, _>) = fields
        .clone()
        .into_iter()
        .partition(|(key, _)| marks.contains_key(key));
    for (mut key, value) in same {
        while marks.contains_key(&key) || kept.contains_key(&key) {
            key = format!("{system}_{key}");
        }
        kept.insert(key, value);
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_field_with_the_name_of_a_mark_is_renamed() {
        let marks = map(json!({"role": "patient", "migration_source": "mem0"}));
        let fields = json!({"role": "owner", "tz": "UTC", "mem0_role": 1, "migration_source": {}});
        let kept = json!({"tz": "UTC", "mem0_role": 1, "mem0_mem0_role": "owner",
                          "mem0_migration_source": {}});
        assert_eq!(beside("mem0", &marks, &map(fields)), map(kept));
    }
}
