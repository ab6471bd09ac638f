//! `search_memory`: facts with their sources' fields, stored texts, entities, the context.

use serde_json::{Value, json};

use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    a_fact_carries_what_its_source_was_stored_with,
    a_search_in_a_session_finds_only_what_was_said_there,
    a_fact_of_a_session_is_found_among_many_others,
    a_search_for_what_an_agent_or_app_stored_finds_only_that,
    a_long_record_is_found_by_any_part_and_shown_whole_once,
    nothing_is_shown_twice,
    limits_are_kept,
    a_least_likeness_is_kept,
    a_context_block_holds_what_matters,
    entities_are_found_by_name,
    a_question_that_is_too_long_is_shortened_and_the_answer_says_so,
    an_unknown_user_has_nothing_to_find,
);

fn memories(found: &[Value]) -> Vec<&str> {
    found
        .iter()
        .map(|memory| memory["memory"].as_str().unwrap())
        .collect()
}

fn add(client: &mut Client, text: &str, more: Value) -> String {
    let mut arguments = json!({"text": text, "user_id": "ann"});
    arguments
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let added = client.call("add_memory", arguments);
    added["results"][0]["id"].as_str().unwrap().to_owned()
}

fn a_fact_carries_what_its_source_was_stored_with(world: &World) {
    let mut client = world.connect();
    let metadata = json!({"source": {"form": 7}, "tags": [], "checked": true});
    let id = add(
        &mut client,
        "Keeps bees on the roof",
        json!({
            "session_id": "tuesday", "created_at": "2023-04-05T06:07:08.9Z", "metadata": metadata,
        }),
    );
    add(&mut client, "Sold the bees", json!({}));
    let found = client.search(json!({"query": "Who keeps bees on a roof?", "user_id": "ann"}));
    assert_eq!(found.len(), 2);
    let fact = &found[0];
    assert_eq!(
        (&fact["kind"], &fact["user_id"]),
        (&json!("fact"), &json!("ann"))
    );
    assert!(
        fact["memory"]
            .as_str()
            .unwrap()
            .contains("Keeps bees on the roof"),
        "{fact}"
    );
    assert_eq!(
        (&fact["session_id"], &fact["metadata"]),
        (&json!("tuesday"), &metadata)
    );
    assert_eq!(fact["created_at"], "2023-04-05T06:07:08.9Z");
    assert_eq!(
        (&fact["sources"], &fact["invalid_at"]),
        (&json!([id]), &Value::Null)
    );
    assert!(fact["score"].is_number() && fact["id"].is_string());
    assert_eq!(
        (&found[1]["session_id"], &found[1]["metadata"]),
        (&Value::Null, &json!({}))
    );
}

fn a_search_in_a_session_finds_only_what_was_said_there(world: &World) {
    let mut client = world.connect();
    for session in ["one", "two"] {
        for n in 0..3 {
            add(
                &mut client,
                &format!("Garden note {n} of {session}"),
                json!({"session_id": session}),
            );
        }
    }
    add(&mut client, "Garden note of no session", json!({}));
    for scope in ["facts", "episodes"] {
        let found = client.search(json!({
            "query": "garden", "user_id": "ann", "session_id": "two", "scope": scope,
        }));
        assert_eq!(found.len(), 3, "{scope}: {found:?}");
        for memory in found {
            assert!(
                memory["memory"].as_str().unwrap().ends_with("of two"),
                "{memory}"
            );
            assert_eq!(memory["session_id"], "two");
        }
        let unknown =
            json!({"query": "garden", "user_id": "ann", "session_id": "three", "scope": scope});
        assert!(client.search(unknown).is_empty());
    }
}

fn a_fact_of_a_session_is_found_among_many_others(world: &World) {
    let mut client = world.connect();
    add(
        &mut client,
        "The garden of this one place has tulips",
        json!({"session_id": "rare"}),
    );
    let turns: Vec<Value> = (0..80)
        .map(|n| json!({"role": "user", "content": format!("Garden garden tulips tulips {n}")}))
        .collect();
    client.call(
        "add_memory",
        json!({"messages": turns, "user_id": "ann", "session_id": "common"}),
    );
    let found =
        client.search(json!({"query": "garden tulips", "user_id": "ann", "session_id": "rare"}));
    assert_eq!(
        memories(&found),
        ["The garden of this one place has tulips"]
    );
}

fn a_search_for_what_an_agent_or_app_stored_finds_only_that(world: &World) {
    let mut client = world.connect();
    for (agent, app) in [("cook", "home"), ("cook", "work"), ("coach", "home")] {
        add(
            &mut client,
            &format!("Soup by {agent} at {app}"),
            json!({"agent_id": agent, "app_id": app}),
        );
    }
    add(
        &mut client,
        "Soup by nobody",
        json!({"metadata": {"agent_id": "cook", "app_id": "home"}}),
    );
    let mut found = |more: Value| {
        let mut arguments = json!({"query": "soup", "user_id": "ann"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        client.search(arguments).len()
    };
    for scope in ["facts", "episodes"] {
        assert_eq!(found(json!({"scope": scope})), 4);
        assert_eq!(found(json!({"scope": scope, "agent_id": "cook"})), 2);
        assert_eq!(found(json!({"scope": scope, "app_id": "home"})), 2);
        assert_eq!(
            found(json!({"scope": scope, "agent_id": "coach", "app_id": "home"})),
            1
        );
        assert_eq!(
            found(json!({"scope": scope, "agent_id": "coach", "app_id": "work"})),
            0
        );
    }
}

fn a_long_record_is_found_by_any_part_and_shown_whole_once(world: &World) {
    let mut client = world.connect();
    let filler = "The rain went on and the river rose. ".repeat(150);
    let diary = format!("{filler}We met the zebra. {filler}We fed the zebra. {filler}");
    let id = add(
        &mut client,
        &diary,
        json!({"session_id": "s", "metadata": {"pages": [1, [2]]}}),
    );
    let arguments = json!({"query": "zebra", "user_id": "ann", "scope": "episodes"});
    let found = client.search(arguments);
    assert_eq!(found.len(), 1);
    assert!(found[0]["memory"] == diary.as_str(), "it is not whole");
    assert_eq!(
        (&found[0]["id"], &found[0]["kind"]),
        (&json!(id), &json!("message"))
    );
    assert_eq!(
        (&found[0]["session_id"], &found[0]["metadata"]),
        (&json!("s"), &json!({"pages": [1, [2]]}))
    );
}

fn nothing_is_shown_twice(world: &World) {
    let mut client = world.connect();
    for n in 0..4 {
        add(
            &mut client,
            &format!("Chess club number {n}"),
            json!({"session_id": "s"}),
        );
    }
    let long = format!("Chess. {}Chess again.", "A move. ".repeat(1_500));
    add(&mut client, &long, json!({"session_id": "s"}));
    let found = client.search(json!({"query": "chess", "user_id": "ann", "limit": 50}));
    // A source of a shown fact is not shown beside it.
    let cited: Vec<_> = found
        .iter()
        .flat_map(|memory| memory["sources"].as_array().into_iter().flatten())
        .collect();
    let mut ids: Vec<_> = found.iter().map(|memory| &memory["id"]).collect();
    ids.extend(&cited);
    let count = ids.len();
    ids.sort_unstable_by_key(|id| id.as_str().unwrap().to_owned());
    ids.dedup();
    assert_eq!(ids.len(), count, "{found:?}");
    assert!(found.len() >= 5);
}

fn limits_are_kept(world: &World) {
    let mut client = world.connect();
    let turns: Vec<Value> = (0..60)
        .map(|n| json!({"role": "user", "content": format!("Walk number {n} by the sea")}))
        .collect();
    client.call(
        "add_memory",
        json!({"messages": turns, "user_id": "ann", "session_id": "s"}),
    );
    for scope in ["facts", "episodes"] {
        let mut count = |more: Value| {
            let mut arguments = json!({"query": "walk sea", "user_id": "ann", "scope": scope});
            arguments
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            client.search(arguments).len()
        };
        assert_eq!(count(json!({})), 10);
        for limit in [1, 3, 50] {
            assert_eq!(count(json!({"limit": limit})), limit);
        }
    }
}

fn a_least_likeness_is_kept(world: &World) {
    let mut client = world.connect();
    add(&mut client, "Plays the cello in an orchestra", json!({}));
    add(&mut client, "Once saw an orchestra", json!({}));
    for scope in ["facts", "episodes"] {
        let mut found = |least: f64| {
            client.search(json!({
                "query": "plays cello orchestra", "user_id": "ann", "scope": scope, "min_score": least,
            }))
        };
        let all = found(0.0);
        assert_eq!(all.len(), 2);
        let scores: Vec<f64> = all
            .iter()
            .map(|memory| memory["score"].as_f64().unwrap())
            .collect();
        assert!(scores[0] > scores[1] && scores.iter().all(|score| (0.0..=1.0).contains(score)));
        let best = found((scores[0] + scores[1]) / 2.0);
        assert_eq!(memories(&best), ["Plays the cello in an orchestra"]);
        assert_eq!(found(scores[0]).len(), 1);
    }
}

fn a_context_block_holds_what_matters(world: &World) {
    let mut client = world.connect();
    add(
        &mut client,
        "Is learning to sail",
        json!({"session_id": "s"}),
    );
    add(&mut client, "Bakes rye bread", json!({"session_id": "t"}));
    let ask = json!({"query": "sail", "user_id": "ann", "scope": "context"});
    let answer = client.call("search_memory", ask);
    let context = answer["context"].as_str().unwrap();
    assert!(
        context.contains("learning to sail") && !context.contains("rye"),
        "{context}"
    );
    assert_eq!(answer["results"], json!([]));
    let ask = json!({"query": "sail", "user_id": "ann", "scope": "context", "session_id": "t"});
    let answer = client.call("search_memory", ask);
    assert!(
        answer["context"].as_str().unwrap().contains("rye bread"),
        "{answer}"
    );
}

fn entities_are_found_by_name(world: &World) {
    let mut client = world.connect();
    let turns = json!([
        {"role": "user", "content": "My sister Magdalena lives in Porto", "name": "Ann Okafor"},
        {"role": "assistant", "content": "How nice for Magdalena!"},
    ]);
    client.call(
        "add_memory",
        json!({"messages": turns, "user_id": "ann", "session_id": "s"}),
    );
    let found = client.search(json!({"query": "Okafor", "user_id": "ann", "scope": "entities"}));
    for entity in &found {
        assert_eq!(
            (&entity["kind"], &entity["sources"]),
            (&json!("entity"), &Value::Null)
        );
    }
    assert!(
        memories(&found).iter().any(|name| name.contains("Okafor")),
        "{found:?}"
    );
}

fn a_question_that_is_too_long_is_shortened_and_the_answer_says_so(world: &World) {
    let mut client = world.connect();
    add(&mut client, "The boiler is serviced in March", json!({}));
    let long = format!("boiler serviced {}", "whatever ".repeat(100));
    for query in [
        long,
        format!("boiler {}", "x".repeat(1_000)),
        format!("boiler {}", "😀".repeat(500)),
    ] {
        let answer = client.call("search_memory", json!({"query": query, "user_id": "ann"}));
        assert!(
            answer["note"]
                .as_str()
                .unwrap()
                .contains("shortened to 400"),
            "{answer}"
        );
        assert_eq!(answer["results"].as_array().unwrap().len(), 1);
    }
    let short = client.call(
        "search_memory",
        json!({"query": "boiler", "user_id": "ann"}),
    );
    assert_eq!(short["note"], Value::Null);
    // Any characters make a valid query.
    for query in [
        "\"",
        "boiler AND (",
        "NEAR(",
        "*",
        "'; --",
        "😀",
        "the",
        "\u{0}",
        "-boiler",
        "a:b",
    ] {
        client.call("search_memory", json!({"query": query, "user_id": "ann"}));
    }
}

fn an_unknown_user_has_nothing_to_find(world: &World) {
    let mut client = world.connect();
    for scope in ["facts", "episodes", "entities", "context"] {
        let answer = client.call(
            "search_memory",
            json!({"query": "tea", "user_id": "nobody", "scope": scope}),
        );
        assert_eq!(
            (&answer["results"], &answer["context"]),
            (&json!([]), &Value::Null)
        );
    }
}
