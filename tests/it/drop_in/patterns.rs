//! The filter patterns that mem0 documents, each among memories of several people: exactly the
//! matches are found, by listing and by searching.

use serde_json::{Value, json};

use super::{add, found, listed, texts, with};
use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    each_documented_pattern_finds_exactly_what_it_means,
    a_memory_is_found_by_its_id_and_by_that_of_what_it_was_drawn_from,
    an_owner_named_beside_the_filter_narrows_it,
    the_most_alike_of_several_people_come_first,
    bounds_are_kept_and_named,
    a_fact_of_a_changed_memory_is_matched_by_its_own_fields,
);

/// The owners' memories: all contain one common word.
fn people(world: &World) -> Client {
    let mut command = world.command();
    command.env("MEM0_DEFAULT_USER_ID", "me");
    let mut client = Client::connect(&mut command);
    for (text, more) in [
        (
            "walk 1 by the sea",
            json!({"created_at": "2023-05-01T08:00:00Z", "metadata": {"source": "email", "n": 1}}),
        ),
        (
            "walk 2 in the Alps",
            json!({"run_id": "trip", "created_at": "2024-02-03T10:00:00Z",
                   "metadata": {"categories": ["travel", "Sports"], "tags": ["red", "blue"]}}),
        ),
        (
            "walk 3 to work",
            json!({"user_id": "john", "app_id": "fit", "created_at": "2024-07-31T23:00:00Z",
                   "metadata": {"source": "chat", "n": 2, "nested": {"a": [1]}}}),
        ),
        (
            "walk 4 with the dog",
            json!({"user_id": "john", "run_id": "trip", "agent_id": "coach",
                   "created_at": "2023-12-31T23:59:59.5Z",
                   "metadata": {"categories": ["pets"], "source": "email"}}),
        ),
        (
            "walk 5 at night",
            json!({"user_id": "jane", "agent_id": "coach", "created_at": "2024-08-01T00:00:00Z"}),
        ),
        (
            "walk 6 is what people need",
            json!({"agent_id": "coach", "metadata": {"source": "email", "n": 3}}),
        ),
        (
            "walk 7 of a robot",
            json!({"agent_id": "Über robot", "app_id": "fit"}),
        ),
    ] {
        add(&mut client, text, &more);
    }
    client
}

/// The numbers of the memories that a filter finds, with either tool.
fn numbers(client: &mut Client, filters: &Value) -> Vec<u64> {
    let number = |text: &String| text[5..6].parse().unwrap();
    let listed = texts(&listed(client, filters, 3));
    let search = json!({"query": "walk", "filters": filters, "limit": 50});
    assert_eq!(texts(&found(client, search)), listed, "{filters}");
    listed.iter().map(number).collect()
}

fn each_documented_pattern_finds_exactly_what_it_means(world: &World) {
    let mut client = people(world);
    for (filters, numbers_found) in [
        // From the recorded tools' descriptions.
        (json!({"AND": [{"user_id": "john"}]}), &[3, 4][..]),
        (json!({"AND": [{"agent_id": "coach"}]}), &[6]),
        (
            json!({"AND": [{"user_id": "john"}, {"created_at": {"gte": "2024-01-01"}}]}),
            &[3],
        ),
        (
            json!({"AND": [{"user_id": {"in": ["john", "jane"]}}]}),
            &[3, 4, 5],
        ),
        (
            json!({"OR": [{"user_id": "john"}, {"agent_id": "coach"}]}),
            &[3, 4, 6],
        ),
        // Defaults, if no owner is named.
        (json!({}), &[1, 2]),
        (json!({"created_at": {"lt": "2024-01-01"}}), &[1]),
        (json!({"run_id": "trip"}), &[2]),
        (json!({"NOT": {"run_id": "trip"}}), &[1]),
        (json!({"agent_id": {"ne": "coach"}}), &[1, 2]),
        // Several at once, and side by side.
        (json!({"user_id": "john", "run_id": "trip"}), &[4]),
        (json!({"user_id": "john", "agent_id": "coach"}), &[4]),
        (
            json!({"AND": [{"user_id": "john"}, {"user_id": "jane"}]}),
            &[],
        ),
        (
            json!({"AND": [{"user_id": {"in": ["john", "jane"]}}, {"agent_id": "coach"}]}),
            &[4, 5],
        ),
        (json!({"user_id": ["jane", "me"]}), &[1, 2, 5]),
        (
            json!({"OR": [{"agent_id": "coach"}, {"agent_id": "Über robot"}]}),
            &[6, 7],
        ),
        (
            json!({"OR": [{"AND": [{"user_id": "john"}, {"app_id": "fit"}]},
                        {"AND": [{"user_id": "me"}, {"run_id": "trip"}]}]}),
            &[2, 3],
        ),
        // Any value.
        (json!({"user_id": "*"}), &[1, 2, 3, 4, 5]),
        (json!({"agent_id": "*", "user_id": "*"}), &[4, 5]),
        (json!({"agent_id": "*", "user_id": null}), &[6, 7]),
        (
            json!({"OR": [{"user_id": "*"}, {"agent_id": "*"}]}),
            &[1, 2, 3, 4, 5, 6, 7],
        ),
        (json!({"user_id": "*", "run_id": "*"}), &[2, 4]),
        (json!({"user_id": "*", "app_id": "*"}), &[3]),
        (
            json!({"AND": [{"user_id": "*"}, {"user_id": {"ne": "john"}}]}),
            &[1, 2, 5],
        ),
        (
            json!({"AND": [{"user_id": "*"}, {"NOT": {"user_id": "john"}}]}),
            &[1, 2, 5],
        ),
        // Times.
        (
            json!({"user_id": "*", "created_at": {"gte": "2024-07-01", "lte": "2024-07-31"}}),
            &[3],
        ),
        (
            json!({"user_id": "*", "created_at": {"gt": "2024-07-31T23:00:00Z"}}),
            &[5],
        ),
        (
            json!({"user_id": "*", "created_at": {"lte": "2023-12-31"}}),
            &[1, 4],
        ),
        (
            json!({"user_id": "*", "created_at": {"gte": "2024-08-01T02:00:00+02:00"}}),
            &[5],
        ),
        // Categories, words, fields.
        (json!({"categories": {"in": ["travel", "food"]}}), &[2]),
        (
            json!({"user_id": "*", "categories": {"contains": "SPORT"}}),
            &[2],
        ),
        (json!({"user_id": "*", "categories": "*"}), &[2, 4]),
        (
            json!({"user_id": "*", "NOT": {"categories": {"in": ["pets"]}}}),
            &[1, 2, 3, 5],
        ),
        (
            json!({"user_id": "*", "keywords": {"contains": "Alps"}}),
            &[2],
        ),
        (
            json!({"user_id": "*", "keywords": {"contains": "alps"}}),
            &[],
        ),
        (
            json!({"user_id": "*", "keywords": {"icontains": "NIGHT"}}),
            &[5],
        ),
        (
            json!({"user_id": "*", "metadata": {"source": "email"}}),
            &[1, 4],
        ),
        (
            json!({"user_id": "*", "metadata": {"source": {"ne": "email"}}}),
            &[2, 3, 5],
        ),
        (
            json!({"user_id": "*", "metadata": {"source": {"in": ["email", "chat"]}, "n": "*"}}),
            &[1, 3],
        ),
        (
            json!({"user_id": "*", "metadata": {"tags": {"contains": "red"}}}),
            &[2],
        ),
        (
            json!({"user_id": "*", "metadata": {"nested": {"a": [1]}}}),
            &[3],
        ),
        (
            json!({"agent_id": "coach", "metadata": {"n": {"gt": 2}}}),
            &[6],
        ),
        (
            json!({"OR": [{"user_id": "*"}, {"agent_id": "coach"}], "metadata": {"source": "email"}}),
            &[1, 4, 6],
        ),
        // Nested.
        (
            json!({"AND": [{"user_id": "*"}, {"OR": [
                {"AND": [{"run_id": "trip"}, {"NOT": [{"categories": "pets"}]}]},
                {"NOT": {"OR": [{"created_at": {"lt": "2024-08-01"}}, {"user_id": "me"}]}},
            ]}]}),
            &[2, 5],
        ),
        (json!({"NOT": {"NOT": {"user_id": "jane"}}}), &[5]),
        (json!({"user_id": "somebody else"}), &[]),
        (json!({"agent_id": "nobody", "run_id": "trip"}), &[]),
    ] {
        assert_eq!(numbers(&mut client, &filters), numbers_found, "{filters}");
    }
}

fn a_memory_is_found_by_its_id_and_by_that_of_what_it_was_drawn_from(world: &World) {
    let mut client = world.connect();
    let kept = add(&mut client, "walk 1", &json!({}));
    add(&mut client, "walk 2", &json!({}));
    let all = listed(&mut client, &json!({}), 10);
    let of_two = all
        .iter()
        .find(|memory| memory["memory"] == "walk 2")
        .unwrap();
    let two = of_two["id"].as_str().unwrap();
    assert_ne!(
        of_two["sources"],
        json!([two]),
        "a fact has an id of its own"
    );
    for (filters, numbers_found) in [
        (json!({"memory_ids": [kept]}), &[1][..]),
        (json!({"memory_ids": {"in": [kept, two]}}), &[1, 2]),
        (json!({"memory_ids": {"ne": two}}), &[1]),
        (json!({"NOT": {"memory_ids": [kept]}}), &[2]),
        (json!({"memory_ids": []}), &[]),
    ] {
        assert_eq!(numbers(&mut client, &filters), numbers_found, "{filters}");
    }
}

fn an_owner_named_beside_the_filter_narrows_it(world: &World) {
    let mut client = people(world);
    for (filters, named, count) in [
        (json!({}), json!({"user_id": "john"}), 2),
        (json!({"run_id": "trip"}), json!({"user_id": "john"}), 1),
        (json!({"user_id": "*"}), json!({"run_id": "trip"}), 2),
        (
            json!({"OR": [{"user_id": "john"}, {"user_id": "jane"}]}),
            json!({"agent_id": "coach"}),
            2,
        ),
        (json!({"user_id": "jane"}), json!({"user_id": "john"}), 0),
        (Value::Null, json!({"agent_id": "coach"}), 1),
        (Value::Null, json!({"user_id": "john", "app_id": "fit"}), 1),
    ] {
        let arguments = with(&json!({"filters": filters}), &named);
        let page = client.call("get_memories", arguments.clone());
        assert_eq!(page["count"], count, "{arguments}");
        let search = with(&json!({"query": "walk"}), &arguments);
        assert_eq!(found(&mut client, search).len(), count, "{arguments}");
    }
}

fn the_most_alike_of_several_people_come_first(world: &World) {
    let mut client = world.connect();
    for (user, text) in [
        ("ann", "Likes tea"),
        ("bob", "Plays the cello in an orchestra every Sunday"),
        ("cid", "Plays the piano"),
    ] {
        add(&mut client, text, &json!({"user_id": user}));
    }
    let everybody = json!({"query": "Who plays the cello in an orchestra?",
                           "filters": {"user_id": "*"}});
    let best = found(&mut client, everybody.clone());
    let users: Vec<&str> = best
        .iter()
        .map(|memory| memory["user_id"].as_str().unwrap())
        .collect();
    assert_eq!(users, ["bob", "cid"]);
    let scores: Vec<f64> = best
        .iter()
        .map(|memory| memory["score"].as_f64().unwrap())
        .collect();
    assert!(scores[0] > scores[1] && scores.iter().all(|score| (0.0..=1.0).contains(score)));
    let only = with(&everybody, &json!({"limit": 1}));
    assert_eq!(found(&mut client, only)[0]["user_id"], "bob");
    let least = f64::midpoint(scores[0], scores[1]);
    let alike = with(&everybody, &json!({"threshold": least}));
    assert_eq!(found(&mut client, alike).len(), 1);
}

fn bounds_are_kept_and_named(world: &World) {
    let mut client = world.connect();
    for n in 0..15 {
        add(&mut client, &format!("walk number {n}"), &json!({}));
    }
    let mut count = |more: Value| found(&mut client, with(&json!({"query": "walk"}), &more)).len();
    assert_eq!(count(json!({})), 10);
    assert_eq!(count(json!({"limit": 3})), 3);
    assert_eq!(count(json!({"top_k": 4})), 4);
    assert_eq!(count(json!({"limit": 2, "top_k": 4})), 2);
    assert_eq!(count(json!({"limit": 1000})), 15);
    assert_eq!(count(json!({"limit": 0})), 1);
    assert_eq!(count(json!({"top_k": -1})), 1);
    assert_eq!(count(json!({"limit": 50, "threshold": 0})), 15);
    for (wrong, named) in [
        (json!({"limit": "many"}), "limit"),
        (json!({"top_k": 0.5}), "top_k"),
        (json!({"threshold": 1.01}), "threshold"),
        (json!({"threshold": -0.1}), "threshold"),
        (json!({"query": " "}), "query"),
        (json!({"query": null}), "query"),
        (json!({"filters": []}), "filters"),
        (json!({"filters": "user_id"}), "filters"),
    ] {
        let arguments = with(&json!({"query": "walk"}), &wrong);
        client.refuses_argument("search_memories", arguments, named);
    }
    for (wrong, named) in [
        (json!({"page": "first"}), "page"),
        (json!({"page_size": 1.5}), "page_size"),
        (json!({"before": "soon"}), "before"),
        (json!({"filters": 7}), "filters"),
    ] {
        client.refuses_argument("get_memories", wrong, named);
    }
    let long = format!("walk {}", "whatever ".repeat(60));
    let answer = client.call("search_memories", json!({"query": long}));
    assert_eq!(answer["results"].as_array().unwrap().len(), 10);
    assert!(answer["note"].as_str().unwrap().contains("400"), "{answer}");
    let answer = client.call("search_memories", json!({"query": "walk"}));
    assert!(answer.get("note").is_none() && answer["truncated"] == false);
}

fn a_fact_of_a_changed_memory_is_matched_by_its_own_fields(world: &World) {
    let mut client = world.connect();
    let sad = json!({"created_at": "2024-01-01", "metadata": {"mood": "sad"}});
    add(&mut client, "walk 1", &sad);
    let id = listed(&mut client, &json!({}), 10)[0]["id"].clone();
    let change = json!({"memory_id": id, "text": "walk 9", "metadata": {"mood": "glad"}});
    client.call("update_memory", change);
    let now = &listed(&mut client, &json!({}), 10)[0];
    assert_eq!(now["metadata"], json!({"mood": "glad"}));
    for (filters, numbers_found) in [
        (json!({"metadata": {"mood": "glad"}}), &[9][..]),
        (json!({"metadata": {"mood": "sad"}}), &[]),
        (json!({"keywords": "walk 9"}), &[9]),
        (json!({"keywords": "walk 1"}), &[]),
        (json!({"updated_at": {"gt": "2025-01-01"}}), &[9]),
        (json!({"updated_at": {"lt": "2025-01-01"}}), &[]),
        (json!({"created_at": {"lt": "2025-01-01"}}), &[9]),
    ] {
        assert_eq!(numbers(&mut client, &filters), numbers_found, "{filters}");
    }
}
