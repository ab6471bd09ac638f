//! Filters and lists are restricted to what the caller may see before the backend is queried.

use serde_json::{Value, json};
use zep_mcp_server::memory::access::Role;

use super::world::{Backend, Outcome, Who, World, secret};

/// Filters that name only what alice may access.
fn wide() -> Vec<Value> {
    vec![
        json!({"user_id": "*"}),
        json!({"agent_id": "*"}),
        json!({"user_id": {"ne": "bob"}}),
        json!({"user_id": {"ne": "alice"}}),
        json!({"NOT": [{"user_id": "alice"}]}),
        json!({"NOT": [{"user_id": "bob"}]}),
        json!({"NOT": [{"user_id": "*"}]}),
        json!({"NOT": [{"agent_id": "spy"}, {"user_id": "bob"}]}),
        json!({"OR": [{"user_id": "*"}, {"agent_id": "*"}]}),
        json!({"OR": [{"user_id": "alice"}, {"agent_id": "*"}]}),
        json!({"OR": [{"user_id": "alice"}, {"NOT": [{"user_id": "alice"}]}]}),
        json!({"AND": [{"user_id": "*"}, {"NOT": [{"user_id": "alice"}]}]}),
        json!({"AND": [{"user_id": "*"}, {"run_id": "bob-talk"}]}),
        json!({"AND": [{"user_id": "*"}, {"run_id": {"ne": "alice-talk"}}]}),
        json!({"AND": [{"user_id": "*"}, {"app_id": {"ne": "x"}}]}),
        json!({"OR": [{"user_id": "alice"}, {"agent_id": "coach"}]}),
    ]
}

/// Filters that name something that she may not access.
fn reaching_out() -> Vec<Value> {
    vec![
        json!({"user_id": "bob"}),
        json!({"user_id": {"in": ["alice", "bob"]}}),
        json!({"agent_id": "spy"}),
        json!({"OR": [{"user_id": "alice"}, {"user_id": "bob"}]}),
        json!({"OR": [{"user_id": "alice"}, {"agent_id": "spy"}]}),
        json!({"AND": [{"user_id": "bob"}, {"run_id": "bob-talk"}]}),
        json!({"NOT": [{"NOT": [{"user_id": "bob"}]}]}),
        json!({"NOT": [{"user_id": {"ne": "bob"}}]}),
    ]
}

fn calls(filter: &Value) -> [(&'static str, Value); 2] {
    [
        (
            "search_memories",
            json!({"query": "likes turquoise crimson ochre sepia", "filters": filter, "limit": 50}),
        ),
        ("get_memories", json!({"filters": filter, "page_size": 200})),
    ]
}

fn hides(outcome: &Outcome, others: &[&str]) {
    for other in others {
        assert!(!outcome.text.contains(secret(other)), "{}", outcome.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_for_everybody_are_restricted_and_query_nobody_else() {
    for backend in [Backend::Embedded, Backend::Zep] {
        let world = World::new(backend).await;
        for role in Role::ALL {
            for filter in wide() {
                for (tool, arguments) in calls(&filter) {
                    world.listen();
                    let outcome = world.call(Who::Alices(role), tool, &arguments).await;
                    assert_eq!(outcome.error, None, "{filter}: {}", outcome.text);
                    hides(&outcome, &["bob", "spy"]);
                    for asked in world.asked() {
                        let elsewhere = [
                            "/users-ordered",
                            "/list-all",
                            "/bob/",
                            "\"bob\"",
                            "agent-spy",
                        ];
                        for place in elsewhere {
                            assert!(!asked.contains(place), "{filter}: {asked}");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_name_others_are_refused_with_the_reason() {
    for backend in [Backend::Embedded, Backend::Zep] {
        let world = World::new(backend).await;
        for filter in reaching_out() {
            for (tool, arguments) in calls(&filter) {
                world.listen();
                let outcome = world
                    .call(Who::Alices(Role::Operator), tool, &arguments)
                    .await;
                assert_eq!(
                    outcome.error.as_deref(),
                    Some("forbidden"),
                    "{filter}: {}",
                    outcome.text
                );
                assert!(outcome.text.contains("bob") || outcome.text.contains("spy"));
                assert_eq!(world.asked(), Vec::<String>::new(), "{filter}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_for_everybody_find_everybody() {
    let world = World::new(Backend::Embedded).await;
    let everybody = json!({"OR": [{"user_id": "*"}, {"agent_id": "*"}]});
    for (who, sees) in [
        (Who::Everybodys, ["alice", "bob", "coach", "spy"].as_slice()),
        (Who::AllUsers, ["alice", "bob"].as_slice()),
        (Who::AllAgents, ["alice", "coach", "spy"].as_slice()),
        (Who::Alices(Role::Reader), ["alice", "coach"].as_slice()),
    ] {
        for (tool, arguments) in calls(&everybody) {
            let outcome = world.call(who, tool, &arguments).await;
            for owner in ["alice", "bob", "coach", "spy"] {
                assert_eq!(
                    outcome.text.contains(secret(owner)),
                    sees.contains(&owner),
                    "{who:?} {tool} {owner}: {}",
                    outcome.text
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_entities_name_and_count_only_accessible_ones() {
    for backend in [Backend::Embedded, Backend::Zep] {
        let world = World::new(backend).await;
        for (who, names, counts) in [
            (
                Who::Alices(Role::Reader),
                vec!["alice", "alice-talk", "coach", "journal"],
                [1, 1, 1, 1],
            ),
            (
                Who::AllUsers,
                vec!["alice", "alice-talk", "bob", "bob-talk"],
                [2, 0, 0, 2],
            ),
            (
                Who::AllAgents,
                vec!["alice", "alice-talk", "coach", "spy"],
                [1, 2, 0, 1],
            ),
            (
                Who::Everybodys,
                vec![
                    "alice",
                    "alice-talk",
                    "bob",
                    "bob-talk",
                    "coach",
                    "journal",
                    "ledger",
                    "spy",
                ],
                [2, 2, 2, 2],
            ),
        ] {
            world.listen();
            let list = world.call(who, "list_entities", &json!({})).await;
            assert_eq!(list.error, None, "{}", list.text);
            let mut found: Vec<&str> = list.answer["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entity| entity["name"].as_str().unwrap())
                .collect();
            found.sort_unstable();
            assert_eq!(found, names, "{who:?}");
            for (total, count) in ["total_users", "total_agents", "total_apps", "total_runs"]
                .iter()
                .zip(counts)
            {
                assert_eq!(list.answer[total], count, "{who:?} {total}: {}", list.text);
            }
            if matches!(who, Who::Alices(_)) {
                for asked in world.asked() {
                    assert!(
                        !asked.contains("bob") && !asked.contains("users-ordered"),
                        "{asked}"
                    );
                }
            }
        }
    }
}
