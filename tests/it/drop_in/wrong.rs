//! Filters that cannot be understood: the answer says where and what, quotes it once, and the
//! server continues whatever it receives.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::add;
use crate::common::filters::any_json;
use crate::common::on_both_backends;
use crate::common::program::{World, outcome};

on_both_backends!(
    an_error_in_a_filter_names_its_place_and_quotes_it,
    whatever_a_filter_is_made_of_the_server_answers_and_goes_on,
);

fn an_error_in_a_filter_names_its_place_and_quotes_it(world: &World) {
    let mut client = world.connect();
    for (filters, path, quoted) in [
        (json!({"sender": "x"}), "filters.sender", "\"sender\""),
        (
            json!({"AND": [{"user_id": "a"}, {"userid": "x"}]}),
            "filters.AND[1].userid",
            "\"userid\"",
        ),
        (
            json!({"OR": [{"created_at": {"gte": "yesterday"}}]}),
            "filters.OR[0].created_at.gte",
            "\"yesterday\"",
        ),
        (
            json!({"created_at": {"$gte": "2024-01-01"}}),
            "filters.created_at[\"$gte\"]",
            "\"$gte\"",
        ),
        (
            json!({"AND": {"user_id": "a"}}),
            "filters.AND",
            "{\"user_id\":\"a\"}",
        ),
        (
            json!({"AND": ["a"]}),
            "filters.AND[0]",
            "\"a\" is no condition",
        ),
        (json!({"user_id": 7}), "filters.user_id", "7 is no text"),
        (
            json!({"NOT": {"run_id": {"in": "r"}}}),
            "filters.NOT.run_id.in",
            "\"r\" is no list",
        ),
        (
            json!({"metadata": {"k": {"nin": ["a"]}}}),
            "filters.metadata.k.nin",
            "\"nin\"",
        ),
        (
            json!({"user_id": {"in": ["*"]}}),
            "filters.user_id.in[0]",
            "\"*\"",
        ),
        (json!({"metadata": 5}), "filters.metadata", "5"),
    ] {
        for tool in ["search_memories", "get_memories"] {
            let mut arguments = json!({"filters": filters});
            if tool == "search_memories" {
                arguments["query"] = json!("walk");
            }
            let error = client.refused(tool, arguments.clone());
            assert_eq!(error["error"], "invalid_argument");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.starts_with(path), "{path} is not where: {detail}");
            assert!(detail.contains(quoted), "{quoted} is not in: {detail}");
            assert!(!detail.contains("`\""), "quoted twice: {detail}");
            // Owners named beside it do not change the error.
            arguments["user_id"] = json!("ann");
            assert_eq!(client.refused(tool, arguments), error);
        }
    }
}

fn whatever_a_filter_is_made_of_the_server_answers_and_goes_on(world: &World) {
    let mut client = world.connect();
    add(&mut client, "walk", &json!({}));
    let mut runner = TestRunner::deterministic();
    let mut understood = 0;
    for n in 0..200 {
        let filters = match any_json().new_tree(&mut runner).unwrap().current() {
            map @ Value::Object(_) => map,
            other => json!({["AND", "metadata", "user_id", "NOT"][n % 4]: other}),
        };
        for (tool, arguments) in [
            ("get_memories", json!({"filters": filters})),
            (
                "search_memories",
                json!({"filters": filters, "query": "walk"}),
            ),
        ] {
            let asked = client.ask_tool(tool, &arguments);
            match outcome(&client.answer_to(asked)) {
                Ok(_) => understood += 1,
                Err(error) => {
                    assert_eq!(error["error"], "invalid_argument", "{arguments}: {error}");
                    let detail = error["detail"].as_str().unwrap();
                    assert!(detail.chars().count() < 900, "{detail}");
                }
            }
        }
    }
    assert!(understood > 0);
    assert_eq!(client.call("get_memories", json!({}))["count"], 1);
}
