//! Users as a source describes them, as they will stand in Zep.

use jiff::Timestamp;
use serde_json::Map;

use super::loading::{PlannedOwner, SOURCE};
use crate::memory::mapping::RoleMap;
use crate::memory::model::UserId;
use crate::memory::profile::Profile;

/// The mark of when a user was migrated, which differs from run to run and is not compared.
const MIGRATION_TIMESTAMP: &str = "migration_timestamp";
/// What is not compared.
pub(super) const COMPARED_NOT: &[&str] = &[MIGRATION_TIMESTAMP];

/// What is to be known of a user (guide: user metadata).
pub(super) fn profile(
    owner: &PlannedOwner,
    user: &UserId,
    roles: &RoleMap,
    now: Timestamp,
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
    marks.insert("migration_source".into(), SOURCE.into());
    if !owner.stands_in {
        marks.insert("source_user_id".into(), user.as_str().into());
    }
    marks.insert(MIGRATION_TIMESTAMP.into(), now.to_string().into());
    let mut metadata = described
        .map(|user| user.metadata.clone())
        .unwrap_or_default();
    // A mark of ours keeps its meaning.
    metadata.retain(|key, _| !marks.contains_key(key));
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
