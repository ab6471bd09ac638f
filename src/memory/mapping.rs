//! The three tables that translate mem0's words into Zep's.

use std::str::FromStr;

use crate::zep::Role;

/// mem0's user roles and the role stored in the user's metadata. Other roles stay as they are
/// (`therapist`, `admin` and `support` are listed for completeness).
const USER_ROLES: [(&str, &str); 4] = [
    ("user", "patient"),
    ("therapist", "therapist"),
    ("admin", "admin"),
    ("support", "support"),
];

/// Message roles and Zep's role for each. All others become `norole`.
const MESSAGE_ROLES: [(&str, Role); 11] = [
    ("user", Role::User),
    ("human", Role::User),
    ("assistant", Role::Assistant),
    ("ai", Role::Assistant),
    ("model", Role::Assistant),
    ("ai_therapist", Role::Assistant),
    ("system", Role::System),
    ("therapist", Role::User),
    ("tool", Role::Tool),
    ("function", Role::Function),
    ("norole", Role::NoRole),
];

/// mem0's memory kinds and their names here. Other kinds stay as they are.
const MEMORY_KINDS: [(&str, &str); 4] = [
    ("messages", "conversation"),
    ("insights", "emotional_state"),
    ("summary", "session_summary"),
    ("traits", "treatment_plan"),
];

/// The user role table: the built-in one, with overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleMap(Vec<(String, String)>);

/// A pair of a role map that cannot be used. Names the pair, which comes from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("role map: `{pair}` {problem}")]
pub struct InvalidRoleMap {
    /// The pair as written.
    pub pair: String,
    /// What is wrong with it and what it may be.
    pub problem: &'static str,
}

impl Default for RoleMap {
    fn default() -> Self {
        Self(
            USER_ROLES
                .iter()
                .map(|&(from, to)| (from.to_owned(), to.to_owned()))
                .collect(),
        )
    }
}

impl RoleMap {
    /// The mapped role. Compared without regard to case; a role that is not in the map stays as it
    /// is, trimmed.
    pub fn map<'a>(&'a self, role: &'a str) -> &'a str {
        let role = role.trim();
        let wanted = role.to_lowercase();
        self.0
            .iter()
            .find(|(from, _)| *from == wanted)
            .map_or(role, |(_, to)| to)
    }
}

impl FromStr for RoleMap {
    type Err = InvalidRoleMap;

    /// Reads `from=to,from=to…` as overrides of the built-in table. Empty text changes nothing.
    ///
    /// # Errors
    /// [`InvalidRoleMap`] for a pair without `=`, with more than one, or with an empty side, and
    /// for a role mapped twice.
    fn from_str(overrides: &str) -> Result<Self, InvalidRoleMap> {
        let mut map = Self::default();
        let mut given: Vec<String> = Vec::new();
        for pair in overrides.split(',').map(str::trim) {
            if pair.is_empty() {
                continue;
            }
            let refuse = |problem| InvalidRoleMap {
                pair: pair.to_owned(),
                problem,
            };
            let (from, to) = pair
                .split_once('=')
                .ok_or_else(|| refuse("has no `=`; write from=to"))?;
            let (from, to) = (from.trim().to_lowercase(), to.trim());
            if from.is_empty() || to.is_empty() {
                return Err(refuse("lacks a role on one side of `=`; write from=to"));
            }
            if to.contains('=') {
                return Err(refuse("has more than one `=`; separate pairs with commas"));
            }
            if given.contains(&from) {
                return Err(refuse(
                    "maps a role that an earlier pair maps; keep one of them",
                ));
            }
            map.0.retain(|(known, _)| *known != from);
            map.0.push((from.clone(), to.to_owned()));
            given.push(from);
        }
        Ok(map)
    }
}

/// Zep's role for a message, and the original role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedRole {
    /// Zep's role.
    pub role: Role,
    /// The role as given, trimmed, where Zep's word differs.
    pub original: Option<String>,
}

/// Zep's role for a speaker, compared without regard to case.
pub fn message_role(raw: &str) -> MappedRole {
    let given = raw.trim();
    let wanted = given.to_lowercase();
    let role = MESSAGE_ROLES
        .iter()
        .find(|(from, _)| *from == wanted)
        .map_or(Role::NoRole, |&(_, role)| role);
    let original = (!given.is_empty() && given != role.as_str()).then(|| given.to_owned());
    MappedRole { role, original }
}

/// The name of a kind of memory here: mem0's kinds are translated, others stay as they are. Expects
/// lower case.
pub fn memory_kind(kind: &str) -> &str {
    MEMORY_KINDS
        .iter()
        .find(|(from, _)| *from == kind)
        .map_or(kind, |(_, to)| to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::model::MemoryKind;

    #[test]
    fn user_roles_follow_the_guide_unless_overridden() {
        let map = RoleMap::default();
        for (from, to) in [
            ("user", "patient"),
            (" User ", "patient"),
            ("therapist", "therapist"),
            ("admin", "admin"),
            ("support", "support"),
            ("Coach", "Coach"),
        ] {
            assert_eq!(map.map(from), to);
        }
        let map: RoleMap = "user=customer, Coach = trainer,".parse().unwrap();
        assert_eq!(map.map("USER"), "customer");
        assert_eq!(map.map("coach"), "trainer");
        assert_eq!(map.map("admin"), "admin");
        assert_eq!("".parse::<RoleMap>().unwrap(), RoleMap::default());
    }

    #[test]
    fn a_wrong_pair_is_named() {
        for (overrides, pair) in [
            ("user=customer,coach", "coach"),
            ("a=,b=c", "a="),
            ("=b", "=b"),
            ("a=b=c", "a=b=c"),
            ("a=b,A=c", "A=c"),
        ] {
            let error = overrides.parse::<RoleMap>().unwrap_err();
            assert_eq!(error.pair, pair);
            assert!(error.to_string().contains(&format!("`{pair}`")), "{error}");
        }
    }

    #[test]
    fn message_roles_follow_the_guide_and_keep_what_changed() {
        let kept = |role| (role, None);
        let changed = |role, original: &str| (role, Some(original.to_owned()));
        for (raw, expected) in [
            ("user", kept(Role::User)),
            (" user\n", kept(Role::User)),
            ("assistant", kept(Role::Assistant)),
            ("ai", changed(Role::Assistant, "ai")),
            ("ai_therapist", changed(Role::Assistant, "ai_therapist")),
            ("AI", changed(Role::Assistant, "AI")),
            ("system", kept(Role::System)),
            ("therapist", changed(Role::User, "therapist")),
            ("tool", kept(Role::Tool)),
            ("function", kept(Role::Function)),
            ("norole", kept(Role::NoRole)),
            ("narrator", changed(Role::NoRole, "narrator")),
            ("", kept(Role::NoRole)),
        ] {
            let mapped = message_role(raw);
            assert_eq!((mapped.role, mapped.original), expected, "{raw:?}");
        }
    }

    #[test]
    fn memory_kinds_follow_the_guide_in_any_case() {
        for (raw, kind) in [
            ("messages", "conversation"),
            ("Insights", "emotional_state"),
            ("SUMMARY", "session_summary"),
            (" traits ", "treatment_plan"),
            ("CONVERSATION", "conversation"),
            ("crisis_context", "crisis_context"),
            ("recipes", "recipes"),
        ] {
            assert_eq!(MemoryKind::new(raw).unwrap().as_str(), kind);
        }
        for kind in MemoryKind::KNOWN {
            assert_eq!(memory_kind(kind), kind);
        }
    }
}
