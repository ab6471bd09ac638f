//! What the claims of a signed token grant.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::memory::{
    access::{Allowed, Grant, Role},
    model::{AgentId, AppId, InvalidId, UserId},
};

/// The known scopes, and the role that each grants.
pub(super) const SCOPES: [(&str, Role); 3] = [
    ("memory:read", Role::Reader),
    ("memory:write", Role::Writer),
    ("memory:operate", Role::Operator),
];

/// The claim that lists further users that a token may act for.
const USERS_CLAIM: &str = "zep_users";
/// The claim that lists agents whose memories a token may access.
const AGENTS_CLAIM: &str = "zep_agents";
/// The claim that lists apps that a token may list and delete.
const APPS_CLAIM: &str = "zep_apps";
/// In a list's place: everybody.
const EVERYBODY: &str = "*";

/// What a token grants; `None` if it grants no role here, or no user's and no agent's memories.
///
/// The role is that of the claim `role`, or of the widest known scope (`scope`, `scp`); with both, the
/// narrower of the two. The users are the one that `user_claim` names and those that `zep_users`
/// lists, or everybody if that is `"*"`; `zep_agents` lists the agents and `zep_apps` the apps.
pub(super) fn grant(claims: &Map<String, Value>, user_claim: &str) -> Option<Grant> {
    let role = role(claims)?;
    let mut users = listed(claims.get(USERS_CLAIM), UserId::new)?;
    if let (Allowed::These(users), Some(user)) = (&mut users, claims.get(user_claim)) {
        // A user that cannot be parsed must not be dropped silently.
        users.insert(UserId::new(user.as_str()?).ok()?);
    }
    let agents = listed(claims.get(AGENTS_CLAIM), AgentId::new)?;
    let apps = listed(claims.get(APPS_CLAIM), AppId::new)?;
    let grants_nobody = matches!(&users, Allowed::These(users) if users.is_empty())
        && matches!(&agents, Allowed::These(agents) if agents.is_empty());
    (!grants_nobody).then_some(Grant {
        role,
        users,
        agents,
        apps,
    })
}

fn role(claims: &Map<String, Value>) -> Option<Role> {
    let claimed = match claims.get("role") {
        None | Some(Value::Null) => None,
        // Roles of other programs grant nothing here.
        Some(role) => Some(role.as_str()?.parse::<Role>().ok()?),
    };
    let scopes = ["scope", "scp"]
        .into_iter()
        .filter_map(|claim| claims.get(claim))
        .flat_map(words);
    let scoped = scopes
        .filter_map(|scope| SCOPES.iter().find(|(known, _)| *known == scope))
        .map(|(_, role)| *role)
        .max();
    match (claimed, scoped) {
        (Some(claimed), Some(scoped)) => Some(claimed.min(scoped)),
        (one, other) => one.or(other),
    }
}

/// The words of a string, or the strings of a list.
fn words(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => text.split_ascii_whitespace().collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The ids that a claim lists; `None` if it is not a list of ids.
fn listed<T: Ord>(
    claim: Option<&Value>,
    id: impl Fn(&str) -> Result<T, InvalidId>,
) -> Option<Allowed<T>> {
    match claim {
        None | Some(Value::Null) => Some(Allowed::These(BTreeSet::new())),
        Some(Value::String(all)) if all == EVERYBODY => Some(Allowed::All),
        Some(Value::Array(ids)) => ids
            .iter()
            .map(|raw| {
                let raw = raw.as_str().filter(|raw| *raw != EVERYBODY)?;
                id(raw).ok()
            })
            .collect::<Option<_>>()
            .map(Allowed::These),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(claims: Value) -> Option<Grant> {
        grant(claims.as_object().unwrap(), "sub")
    }

    fn users(ids: &[&str]) -> Allowed<UserId> {
        Allowed::These(ids.iter().map(|id| UserId::new(id).unwrap()).collect())
    }

    #[test]
    fn the_subject_is_the_user_and_the_narrower_of_role_and_scope_counts() {
        for (claims, role) in [
            (json!({"role": "writer"}), Some(Role::Writer)),
            (json!({"scope": "openid memory:read"}), Some(Role::Reader)),
            (
                json!({"scope": "memory:read memory:operate"}),
                Some(Role::Operator),
            ),
            (json!({"scp": ["memory:write"]}), Some(Role::Writer)),
            (
                json!({"role": "operator", "scope": "memory:read"}),
                Some(Role::Reader),
            ),
            (
                json!({"role": "reader", "scope": "memory:operate"}),
                Some(Role::Reader),
            ),
            // Scopes of other programs do not restrict a claimed role.
            (
                json!({"role": "writer", "scope": "openid"}),
                Some(Role::Writer),
            ),
            (json!({"role": "admin"}), None),
            (json!({"role": ["operator"]}), None),
            (json!({"scope": "memory:readx"}), None),
            (json!({}), None),
        ] {
            let mut claims = claims;
            claims["sub"] = "alice".into();
            let grant = of(claims.clone());
            assert_eq!(grant.as_ref().map(|grant| grant.role), role, "{claims}");
            if let Some(grant) = grant {
                assert_eq!(grant.users, users(&["alice"]));
                assert_eq!(grant.agents, Allowed::These(BTreeSet::new()));
            }
        }
    }

    #[test]
    fn further_users_are_listed_and_anything_but_a_list_of_ids_grants_nothing() {
        let with = |users: Value| of(json!({"role": "reader", "sub": "alice", "zep_users": users}));
        assert_eq!(
            with(json!(["bob"])).unwrap().users,
            users(&["alice", "bob"])
        );
        assert_eq!(with(json!("*")).unwrap().users, Allowed::All);
        for wrong in [
            json!("bob"),
            json!(["*"]),
            json!([1]),
            json!({}),
            json!([""]),
            json!(true),
        ] {
            assert_eq!(with(wrong.clone()), None, "{wrong}");
        }
        let nobody = json!({"role": "reader"});
        assert_eq!(of(nobody), None);
        assert_eq!(of(json!({"role": "reader", "sub": 7})), None);
    }
}
