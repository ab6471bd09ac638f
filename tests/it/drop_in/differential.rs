//! Random filters on random memories of several users and agents: the list is exactly what a plain
//! evaluation of the filter finds within reach, and a search finds nothing else.

use std::collections::BTreeSet;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use zep_mcp_server::memory::filter::Filter;
use zep_mcp_server::memory::model::{AgentId, Owner, UserId};

use super::{add, found, listed, texts};
use crate::common::filters::{self, DEFAULT_USER, IDS, plain};
use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(random_filters_find_what_the_plain_evaluation_finds_and_no_other_owners);

const MEMORIES: usize = 300;
const FILTERS: usize = 60;
/// The time of undated memories: later than all times in filters, as today is.
const NOW: &str = "2099-01-01T00:00:00Z";

/// Stores random memories; returns each in the form of the plain evaluation.
fn store(client: &mut Client, runner: &mut TestRunner) -> Vec<Value> {
    (0..MEMORIES)
        .map(|n| {
            let mut record = filters::record().new_tree(runner).unwrap().current();
            // Half of all belong to one user, so that a search does not see all of theirs.
            if n % 2 == 0 && record["user_id"].is_string() {
                record["user_id"] = json!(DEFAULT_USER);
            }
            let text = format!("The walrus {n} {}", record["memory"].as_str().unwrap());
            let text = text.trim();
            let categories = record["categories"].as_array().unwrap().clone();
            if !categories.is_empty() {
                record["metadata"]["categories"] = json!(categories);
            }
            let more = json!({
                "user_id": record["user_id"], "agent_id": record["agent_id"],
                "app_id": record["app_id"], "run_id": record["run_id"],
                "created_at": record["created_at"], "metadata": record["metadata"],
            });
            add(client, text, &more);
            record["memory"] = json!(text);
            if record["created_at"].is_null() {
                record["created_at"] = json!(NOW);
            }
            record["updated_at"] = record["created_at"].clone();
            record["ids"] = json!([format!("other {n}")]);
            record
        })
        .collect()
}

fn owner(record: &Value) -> Owner {
    match record["user_id"].as_str() {
        Some(user) => Owner::User(UserId::new(user).unwrap()),
        None => {
            let agent = AgentId::new(record["agent_id"].as_str().unwrap()).unwrap();
            Owner::Graph(agent.graph())
        }
    }
}

/// A filter with the ids of real memories instead of the pool's.
fn with_real_ids(filter: &Value, real: &[(&str, String)]) -> Value {
    match filter {
        Value::String(text) => match real.iter().find(|(name, _)| name == text) {
            Some((_, id)) => json!(id),
            None => filter.clone(),
        },
        Value::Array(items) => items.iter().map(|item| with_real_ids(item, real)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), with_real_ids(value, real)))
            .collect(),
        other => other.clone(),
    }
}

fn random_filters_find_what_the_plain_evaluation_finds_and_no_other_owners(world: &World) {
    let mut command = world.command();
    command.env("MEM0_DEFAULT_USER_ID", DEFAULT_USER);
    let mut client = Client::connect(&mut command);
    let mut runner = TestRunner::deterministic();
    let mut records = store(&mut client, &mut runner);

    // All memories of all owners are listed, with everything they were stored with.
    let all = listed(
        &mut client,
        &json!({"OR": [{"user_id": "*"}, {"agent_id": "*"}]}),
        200,
    );
    assert_eq!(all.len(), MEMORIES);
    let mut real = Vec::new();
    for (n, record) in records.iter_mut().enumerate() {
        let memory = all
            .iter()
            .find(|memory| memory["memory"] == record["memory"])
            .unwrap_or_else(|| panic!("{record} is not listed"));
        for field in [
            "user_id",
            "agent_id",
            "app_id",
            "run_id",
            "categories",
            "metadata",
        ] {
            // A list tells the run as mem0 does, as the session.
            let told = if field == "run_id" {
                "session_id"
            } else {
                field
            };
            assert_eq!(memory[told], record[field], "{field} of {memory}");
        }
        if record["created_at"] != NOW {
            assert_eq!(memory["created_at"], record["created_at"]);
        }
        if n < IDS.len() {
            record["ids"] = json!([IDS[n]]);
            real.push((IDS[n], memory["id"].as_str().unwrap().to_owned()));
        }
    }

    let default_user = UserId::new(DEFAULT_USER).unwrap();
    let mut some = 0;
    for n in 0..FILTERS {
        let mut filter = filters::filter().new_tree(&mut runner).unwrap().current();
        // A third reach all owners, so that not all filters concern one.
        if n % 3 == 0 {
            let everybody = json!({"OR": [{"user_id": "*"}, {"agent_id": "*"}]});
            filter = json!({"AND": [everybody, filter]});
        }
        let reach = Filter::parse(filter.as_object())
            .unwrap()
            .reach(&default_user);
        let expected: BTreeSet<&str> = records
            .iter()
            .filter(|record| plain::eval(&filter, record) && reach.contains(&owner(record)))
            .map(|record| record["memory"].as_str().unwrap())
            .collect();
        let asked = with_real_ids(&filter, &real);

        let memories = listed(&mut client, &asked, 100);
        let there: Vec<&str> = expected.iter().copied().collect();
        assert_eq!(texts(&memories), there, "listing {asked}");
        if !asked.to_string().contains("\"user_id\"") {
            let mut users = memories.iter().map(|memory| &memory["user_id"]);
            assert!(users.all(|user| user.is_null() || user == DEFAULT_USER));
        }

        let search = json!({"query": "walrus", "limit": 50, "filters": asked});
        let found = texts(&found(&mut client, search));
        assert!(
            found.iter().all(|text| expected.contains(text.as_str())),
            "searching {asked}: {found:?}"
        );
        assert_eq!(found.len(), expected.len().min(50), "searching {asked}");
        some += usize::from(!expected.is_empty());
    }
    assert!(some > FILTERS / 4, "most filters find nothing: {some}");
}
