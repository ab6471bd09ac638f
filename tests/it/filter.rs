//! mem0's filter language means what its documentation says, and what is read off a filter never
//! leaves out a match.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use zep_mcp_server::memory::filter::{Candidate, Filter, Within};
use zep_mcp_server::memory::model::{AgentId, Owner, UserId};

use crate::common::filters::{
    DEFAULT_USER, USERS, any_json, filter, plain, readable_filter, record,
};

fn parse(filter: &Value) -> Filter {
    Filter::parse(filter.as_object()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str().map(|text| text.parse().unwrap())
}

/// Whether our evaluation finds the record.
fn matches(filter: &Filter, record: &Value) -> bool {
    let ids: Vec<&str> = record["ids"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let categories: Vec<&str> = record["categories"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    filter.matches(&Candidate {
        ids: &ids,
        text: record["memory"].as_str().unwrap(),
        user: record["user_id"].as_str(),
        agent: record["agent_id"].as_str(),
        app: record["app_id"].as_str(),
        run: record["run_id"].as_str(),
        created_at: instant(&record["created_at"]),
        updated_at: instant(&record["updated_at"]),
        memory_type: None,
        role: None,
        actor: None,
        categories: &categories,
        metadata: record["metadata"].as_object().unwrap(),
    })
}

fn owner(record: &Value) -> Owner {
    match record["user_id"].as_str() {
        Some(user) => Owner::User(UserId::new(user).unwrap()),
        None => Owner::Graph(
            AgentId::new(record["agent_id"].as_str().unwrap())
                .unwrap()
                .graph(),
        ),
    }
}

fn default_user() -> UserId {
    UserId::new(DEFAULT_USER).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_filter_means_what_the_plain_reading_says(filter in filter(), record in record()) {
        prop_assert_eq!(matches(&parse(&filter), &record), plain::eval(&filter, &record));
    }

    #[test]
    fn what_is_left_within_an_owner_decides_as_the_whole_does(
        filter in filter(), record in record()
    ) {
        let filter = parse(&filter);
        let left = match filter.within(&owner(&record)) {
            Within::Nothing => false,
            Within::Everything => true,
            Within::Some(rest) => matches(&rest, &record),
        };
        prop_assert_eq!(left, matches(&filter, &record));
    }

    #[test]
    fn the_default_user_is_reached_wherever_one_of_their_memories_matches(
        filter in filter(), mut record in record()
    ) {
        record["user_id"] = json!(DEFAULT_USER);
        let filter = parse(&filter);
        if !matches(&filter, &record) {
            return Ok(());
        }
        prop_assert!(filter.reach(&default_user()).contains(&owner(&record)));
    }

    #[test]
    fn an_owner_who_is_named_is_reached_wherever_one_of_their_memories_matches(
        filter in filter(), record in record(), how in 0..4, order in any::<bool>()
    ) {
        let named = match (record["user_id"].as_str(), record["agent_id"].as_str(), how) {
            (Some(user), _, 0) => json!({"user_id": user}),
            (Some(user), _, 1) => json!({"user_id": {"in": ["somebody", user]}}),
            (Some(_), _, 2) => json!({"user_id": "*"}),
            (_, Some(agent), 0) => json!({"agent_id": agent}),
            (None, _, 1) => json!({"agent_id": "*"}),
            (None, _, 2) => json!({"user_id": null}),
            _ => json!({"user_id": {"ne": "somebody"}}),
        };
        let both = if order { json!([named, filter]) } else { json!([filter, named]) };
        let filter = parse(&json!({"AND": both}));
        if !matches(&filter, &record) {
            return Ok(());
        }
        prop_assert!(filter.reach(&default_user()).contains(&owner(&record)));
    }

    #[test]
    fn nobody_is_reached_whom_the_filter_does_not_speak_of(filter in filter()) {
        let written = filter.to_string();
        // A key of metadata of that name counts here, as it does for mem0-mcp-server.
        let speaks_of = |field: &str| written.contains(&format!("\"{field}\""));
        let reach = parse(&filter).reach(&default_user());
        if !speaks_of("user_id") {
            prop_assert!(!reach.all_users);
            for owner in &reach.owners {
                match owner {
                    Owner::User(user) => prop_assert_eq!(user.as_str(), DEFAULT_USER),
                    Owner::Graph(_) => prop_assert!(speaks_of("agent_id")),
                }
            }
            prop_assert!(!reach.all_agents || speaks_of("agent_id"));
        }
        let allowed: BTreeSet<&str> = USERS.into_iter().collect();
        for owner in &reach.owners {
            if let Owner::User(user) = owner {
                prop_assert!(allowed.contains(user.as_str()) && written.contains(user.as_str())
                    || user.as_str() == DEFAULT_USER);
            }
        }
    }

    #[test]
    fn whatever_comes_is_understood_or_refused_in_a_few_words_with_advice(
        raw in any_json(), field in select(vec!["AND", "metadata", "user_id", "NOT", "created_at"])
    ) {
        let raw: Map<String, Value> = match raw {
            Value::Object(map) => map,
            other => Map::from_iter([(field.to_owned(), other)]),
        };
        match Filter::parse(Some(&raw)) {
            Err(wrong) => {
                let said = wrong.to_string();
                prop_assert!(said.chars().count() <= 800, "{}", said);
                prop_assert!(said.starts_with("filters") && !said.contains('\n'));
                prop_assert!(wrong.advice.len() > 5 && said.ends_with(&wrong.advice));
            }
            Ok(filter) => {
                let record = json!({
                    "ids": ["m1"], "memory": "é", "user_id": "ada", "categories": ["x"],
                    "metadata": raw,
                });
                matches(&filter, &record);
                filter.reach(&default_user());
                filter.within(&owner(&record));
                filter.sessions();
                filter.created_between();
                filter.ids();
            }
        }
    }
}

proptest! {
    // Few filters match: more of them are tried.
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_match_is_outside_the_sessions_the_times_and_the_ids_read_off(
        filter in prop_oneof![1 => filter().boxed(), 7 => readable_filter().boxed()], record in record()
    ) {
        let filter = parse(&filter);
        if !matches(&filter, &record) {
            return Ok(());
        }
        if let Some(sessions) = filter.sessions() {
            prop_assert!(record["run_id"].as_str().is_some_and(|run| sessions.contains(run)));
        }
        if let Some(ids) = filter.ids() {
            let has = |id: &Value| id.as_str().is_some_and(|id| ids.contains(id));
            prop_assert!(record["ids"].as_array().unwrap().iter().any(has));
        }
        let created = instant(&record["created_at"]);
        let (first, last) = filter.created_between();
        prop_assert!(first.is_none_or(|first| created.is_some_and(|time| first <= time)));
        prop_assert!(last.is_none_or(|last| created.is_some_and(|time| time <= last)));
    }
}
