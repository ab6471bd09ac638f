//! A search for few matches among very many memories finds them at a bounded cost, and the answer
//! says where a bound was reached.

use serde_json::{Value, json};

use super::service::requests;
use super::{add, found, texts, with};
use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    three_old_memories_are_found_among_hundreds,
    three_old_turns_of_a_long_session_are_found,
    a_search_that_cannot_look_at_all_says_so,
);

/// Turns that match better, are newer, and are too many to read.
fn talk(client: &mut Client, session: &str, count: usize) {
    let turns: Vec<Value> = (0..count)
        .map(|n| json!({"role": "user", "content": format!("Walk, walk, walk, number {n}")}))
        .collect();
    let arguments = json!({"user_id": "ann", "run_id": session, "messages": turns});
    client.call("add_memory", arguments);
}

fn rare(client: &mut Client, more: &Value) -> Vec<String> {
    (0..3)
        .map(|n| {
            let text = format!("A long walk of which hardly anybody knows, the {n}th of its kind");
            let rare = json!({
                "user_id": "ann", "metadata": {"topic": "rare"},
                "created_at": format!("2019-01-0{}T10:00:00Z", n + 1),
            });
            add(client, &text, &with(&rare, more));
            text
        })
        .collect()
}

fn question(filters: &Value) -> Value {
    json!({"query": "walk", "filters": filters})
}

fn three_old_memories_are_found_among_hundreds(world: &World) {
    let mut client = world.connect();
    let expected = rare(&mut client, &json!({}));
    for session in ["a", "b", "c"] {
        talk(&mut client, session, 150);
    }
    for filters in [
        json!({"user_id": "ann", "metadata": {"topic": "rare"}}),
        json!({"user_id": "ann", "created_at": {"lt": "2020-01-01"}}),
        json!({"user_id": "ann", "keywords": {"icontains": "HARDLY"}}),
        json!({"user_id": "ann", "run_id": null}),
    ] {
        let answer = client.call("search_memories", question(&filters));
        let results = answer["results"].as_array().unwrap();
        assert_eq!(texts(results), expected, "{filters}");
        assert_eq!(answer["truncated"], false, "{filters}");
    }
}

fn three_old_turns_of_a_long_session_are_found(world: &World) {
    let mut client = world.connect();
    let expected = rare(&mut client, &json!({"run_id": "long"}));
    talk(&mut client, "long", 400);
    talk(&mut client, "other", 100);
    for filters in [
        json!({"user_id": "ann", "run_id": "long", "metadata": {"topic": "rare"}}),
        json!({"AND": [{"user_id": "ann"}, {"run_id": "long"}, {"created_at": {"lt": "2020-01-01"}}]}),
    ] {
        let answer = client.call("search_memories", question(&filters));
        let results = answer["results"].as_array().unwrap();
        assert_eq!(texts(results), expected, "{filters}");
        assert_eq!(answer["truncated"], false, "{filters}");
    }
    let all = json!({"user_id": "ann", "run_id": "long"});
    let most = found(&mut client, with(&question(&all), &json!({"limit": 50})));
    assert_eq!(most.len(), 50);
    assert!(most.iter().all(|memory| memory["run_id"] == "long"));
}

fn a_search_that_cannot_look_at_all_says_so(world: &World) {
    let mut client = world.connect();
    rare(&mut client, &json!({}));
    for session in ["a", "b", "c"] {
        talk(&mut client, session, 700);
    }
    let topic = json!({"user_id": "ann", "metadata": {"topic": "rare"}});
    let answer = client.call("search_memories", question(&topic));
    assert_eq!(answer["truncated"], true, "{answer}");
    assert!(answer["note"].as_str().unwrap().contains("not everything"));
    let nothing_narrows = json!({"user_id": "ann"});
    let answer = client.call("search_memories", question(&nothing_narrows));
    assert_eq!(answer["truncated"], false, "{answer}");
    // A listing reads further.
    let page = client.call("get_memories", json!({"filters": topic}));
    assert_eq!(
        (&page["count"], &page["truncated"]),
        (&json!(3), &json!(false))
    );
}

#[test]
fn a_search_costs_no_more_requests_than_it_must() {
    let world = World::emulated();
    let mut client = world.connect();
    rare(&mut client, &json!({}));
    rare(&mut client, &json!({"run_id": "a"}));
    for session in ["a", "b", "c"] {
        talk(&mut client, session, 150);
    }
    add(&mut client, "A walk", &json!({"user_id": "bob"}));
    let mut cost = |filters: Value, most: u64| {
        let made = requests(&world, || {
            client.call("search_memories", question(&filters));
        });
        let count = made.values().sum::<u64>();
        assert!(count <= most, "{filters}: {made:?}");
    };
    // The first search after a write looks whether Zep has processed everything.
    cost(json!({"user_id": "ann"}), 3);
    cost(json!({"user_id": "bob"}), 4);
    // The facts and their sources.
    cost(json!({"user_id": "ann"}), 2);
    cost(json!({"OR": [{"user_id": "ann"}, {"user_id": "ann"}]}), 2);
    cost(
        json!({"user_id": "ann", "metadata": {"topic": {"ne": "rare"}}}),
        2,
    );
    // Few facts: texts are searched, too.
    cost(json!({"user_id": "bob"}), 3);
    cost(json!({"user_id": {"in": ["ann", "bob"]}}), 5);
    // 456 episodes on ten pages, and the narrowed search with its sources.
    cost(json!({"user_id": "ann", "metadata": {"topic": "rare"}}), 15);
    // Down to the requested time and no further.
    cost(
        json!({"user_id": "ann", "metadata": {"topic": "none"}, "created_at": {"gte": "2025-01-01T00:00:00Z"}}),
        14,
    );
    // A session is read on its own.
    cost(
        json!({"user_id": "ann", "run_id": "a", "metadata": {"topic": "rare"}}),
        7,
    );
}
