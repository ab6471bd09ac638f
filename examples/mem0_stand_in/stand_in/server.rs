//! The routes of mem0's self-hosted server (mem0 `server/`), with its silent limits.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Call, ENTITIES, KEY, Login, Refused, State};

/// The most memories of a list, and how many there are unless asked for.
const MOST_LISTED: usize = 1_000;
const DEFAULT_LISTED: usize = 20;
/// What releases listed that knew no `top_k`.
const OLD_LISTED: usize = 100;

pub(super) fn answer(state: &State, call: &Call) -> Result<Value, Refused> {
    let login = state.server.login;
    let is_known = match login {
        Login::Admin | Login::Member => call.header("x-api-key") == KEY,
        Login::Bearer => call.header("authorization") == format!("Bearer {KEY}"),
        Login::Disabled => true,
    };
    if !is_known {
        return Err((
            401,
            json!({"detail": "Authentication required. Provide a Bearer token or X-API-Key header."}),
        ));
    }
    let forbidden = |what: &str| {
        Err((
            403,
            json!({"detail": format!("Admin role required{what}.")}),
        ))
    };
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/entities") if state.server.is_old => Err((404, json!({"detail": "Not Found"}))),
        ("GET", "/entities") if login == Login::Member && state.server.entities_for_admins => {
            forbidden("")
        }
        ("GET", "/entities") => Ok(entities(state)),
        ("GET", "/memories") => {
            let wanted: Vec<_> = ENTITIES
                .iter()
                .filter_map(|(_, field)| Some((*field, call.query.get(*field)?)))
                .collect();
            if wanted.is_empty() && login == Login::Member {
                return forbidden(" to list all memories");
            }
            let limit = match call.number("top_k") {
                _ if state.server.is_old => OLD_LISTED,
                Some(limit) if limit > MOST_LISTED => {
                    return Err((
                        422,
                        json!({"detail": [{"msg": "Input should be less than or equal to 1000"}]}),
                    ));
                }
                Some(limit) => limit,
                None if wanted.is_empty() => MOST_LISTED,
                None => DEFAULT_LISTED,
            };
            let show_expired = wanted.is_empty()
                || call
                    .query
                    .get("show_expired")
                    .is_some_and(|it| it == "true");
            let passes = |memory: &&Map<String, Value>| {
                wanted
                    .iter()
                    .all(|(field, name)| memory[*field] == name.as_str())
                    && (show_expired || memory["expiration_date"].is_null())
            };
            let found = state.memories.iter().filter(passes).take(limit);
            let list: Value = found.map(listed).collect();
            match state.server.is_old {
                true => Ok(list),
                false => Ok(json!({"results": list})),
            }
        }
        _ => Err((404, json!({"detail": "Not Found"}))),
    }
}

fn listed(memory: &Map<String, Value>) -> Value {
    let mut shown: Map<String, Value> = ["id", "memory", "created_at", "updated_at"]
        .iter()
        .map(|field| ((*field).to_owned(), memory[*field].clone()))
        .collect();
    shown.insert("hash".into(), "0".into());
    for field in [
        "user_id",
        "agent_id",
        "run_id",
        "expiration_date",
        "metadata",
    ] {
        if !memory[field].is_null() {
            shown.insert(field.into(), memory[field].clone());
        }
    }
    Value::Object(shown)
}

fn entities(state: &State) -> Value {
    let mut totals: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for memory in state.memories.iter().take(state.server.scan_limit) {
        for (kind, field) in ENTITIES.iter().filter(|(kind, _)| *kind != "app") {
            if let Some(name) = memory[*field].as_str() {
                *totals.entry((kind, name)).or_default() += 1;
            }
        }
    }
    let shown = |((kind, name), total): ((&str, &str), u64)| {
        json!({"id": name, "type": kind, "total_memories": total,
               "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z"})
    };
    totals.into_iter().map(shown).collect()
}
