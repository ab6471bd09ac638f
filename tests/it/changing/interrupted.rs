//! Changing a text takes several requests. If everything fails from any of them on, either the old
//! or the new text is shown, whole; nothing is lost, and repeating the call finishes it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{add, found, listed, shown};
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;
use crate::common::wait_until;

/// More requests than a change makes.
const MOST_REQUESTS: u32 = 40;

#[test]
fn a_change_whose_answers_are_lost_neither_loses_nor_doubles() {
    at_every_request(&json!({"kind": "drop_answer"}), SHORT);
}

#[test]
fn a_change_that_is_answered_with_errors_though_it_is_done_neither_loses_nor_doubles() {
    at_every_request(&json!({"kind": "fail_after", "status": 500}), SHORT);
}

#[test]
fn a_change_that_is_refused_from_some_request_on_neither_loses_nor_doubles() {
    at_every_request(&json!({"kind": "fail", "status": 401}), SHORT);
}

#[test]
fn a_change_that_lands_late_neither_loses_nor_doubles() {
    at_every_request(&json!({"kind": "late_write", "ms": 200}), SHORT);
}

#[test]
fn a_change_of_long_texts_whose_answers_are_lost_neither_loses_nor_doubles() {
    at_every_request(&json!({"kind": "drop_answer"}), LONG);
}

#[test]
fn a_change_of_long_texts_that_is_refused_from_some_request_on_neither_loses_nor_doubles() {
    at_every_request(&json!({"kind": "fail", "status": 401}), LONG);
}

#[test]
fn a_change_of_long_texts_that_is_answered_with_errors_though_it_is_done_neither_loses_nor_doubles()
{
    at_every_request(&json!({"kind": "fail_after", "status": 502}), LONG);
}

/// How often the old and the new words occur.
type Times = (usize, usize);
const SHORT: Times = (1, 1);
/// Three parts and two.
const LONG: Times = (1_600, 1_000);

/// Everything fails in this way from the first request on, from the second on, and so on.
fn at_every_request(fault: &Value, (old_times, new_times): Times) {
    let world = World::emulated();
    let service = Service::of(&world);
    let old = "Marker of old. ".repeat(old_times);
    let new = "Marker of new. ".repeat(new_times);
    let mut client = Client::connect(world.unqueued().env("ZEP_TIMEOUT_SECS", "4"));
    for after in 0..MOST_REQUESTS {
        let user = format!("user-{after}");
        let fields = json!({"kept": {"n": after}});
        let id = add(
            &mut client,
            json!({"text": old, "user_id": user, "metadata": fields, "created_at": "2024-01-01"}),
        );
        service
            .next(&json!({"after": after, "times": 100_000, "path": "/api/v2/", "fault": fault}));
        let change = json!({"memory_id": id, "text": new, "user_id": user});
        let asked = client.ask_tool("update_memory", &change);
        let first = outcome(&client.answer_to(asked));
        service.calm();
        let untouched = first.is_ok()
            && !service
                .counted()
                .to_string()
                .contains(fault["kind"].as_str().unwrap());
        // All readers see one of the two, whole.
        let sees = |client: &mut Client| {
            let words = shown(client, &user, "marker");
            assert!(
                !words.is_empty(),
                "{after}: nothing is seen after {first:?}"
            );
            let is_old = words.iter().any(|text| text.contains("old"));
            let is_new = words.iter().any(|text| text.contains("new"));
            assert!(is_old != is_new, "{after}: both are seen after {first:?}");
            let question = json!({"query": "marker", "user_id": user, "scope": "episodes"});
            for text in client.search(question) {
                let whole = if is_old { &old } else { &new };
                assert!(
                    text["memory"] == whole.as_str(),
                    "{after}: it is not whole after {first:?}"
                );
                assert_eq!(text["metadata"], fields);
                assert_eq!(text["created_at"], "2024-01-01T00:00:00Z");
            }
            is_new
        };
        let seen = sees(&mut client);
        if first.is_ok() {
            assert!(seen, "{after}: the old one is seen after {first:?}");
        }
        let is_there = |word: &str| {
            let texts = service.texts(&user);
            texts
                .iter()
                .any(|part| part["content"].as_str().unwrap().contains(word))
        };
        // Reading finishes a deletion in the background.
        wait_until("the old one is deleted", || !(seen && is_there("old")));
        let was_new = sees(&mut world.connect());
        let asked = client.ask_tool("update_memory", &change);
        match outcome(&client.answer_to(asked)) {
            Ok(again) => assert_eq!(again["previous_id"], json!(id), "{after}: {again}"),
            // It was finished before.
            Err(error) => {
                assert_eq!(error["error"], "not_found", "{after}: {error}");
                assert!(
                    was_new || sees(&mut client),
                    "{after}: lost after {first:?}"
                );
            }
        }
        assert!(sees(&mut world.connect()), "{after}: the old one is back");
        // Nothing else of it remains.
        assert!(!is_there("old"), "{after}: the old one stays");
        let records: HashSet<String> = service
            .texts(&user)
            .iter()
            .map(|part| part["metadata"]["zm_id"].to_string())
            .collect();
        assert_eq!(records.len(), 1, "{after}: {records:?}");
        // Deleting it leaves nothing, late writes included.
        let now = new_id(&mut client, &user);
        let gone = json!({"memory_id": now, "user_id": user});
        assert_eq!(client.call("delete_memory", gone)["removed"], "all");
        assert!(service.texts(&user).is_empty(), "{after}");
        service.count_anew();
        if untouched {
            assert!(after > 3, "the faults never came");
            return;
        }
    }
    panic!("a change takes more than {MOST_REQUESTS} requests");
}

fn new_id(client: &mut Client, user: &str) -> Value {
    let question = json!({"query": "marker", "user_id": user, "scope": "episodes"});
    client.search(question)[0]["id"].clone()
}

/// Stores an old text and its replacement, as an interrupted change leaves them; returns their ids.
fn both_there(service: &Service, client: &mut Client, old: &str, new: &str) -> (String, String) {
    let id = add(client, json!({"text": old, "user_id": "ann"}));
    service.next(
        &json!({"method": "DELETE", "times": 100_000, "fault": {"kind": "fail", "status": 403}}),
    );
    let change = json!({"memory_id": id, "text": new});
    let error = client.refused("update_memory", change);
    assert_eq!(error["error"], "unfinished", "{error}");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains("same call again"), "{detail}");
    service.calm();
    let new_id = service
        .texts("ann")
        .iter()
        .find(|part| {
            part["metadata"]["zm_x"]
                .as_str()
                .is_some_and(|x| x.contains("replaces"))
                && part["metadata"]["zm_part"]
                    .as_str()
                    .is_none_or(|part| part.starts_with("1/"))
        })
        .map(|part| part["uuid"].as_str().unwrap().to_owned())
        .unwrap();
    (id, new_id)
}

#[test]
fn a_reader_of_both_sees_the_new_text_and_finishes_the_deletion() {
    for reader in [
        "get_memories",
        "search_memories",
        "search_memory",
        "episodes",
    ] {
        let world = World::emulated();
        let service = Service::of(&world);
        let mut client = world.connect();
        let long = |word: &str| format!("Marker of {word}. ").repeat(1_500);
        let (old, new) = (long("old"), long("new"));
        both_there(&service, &mut client, &old, &new);
        let parts = service.texts("ann").len();
        assert_eq!(parts, 6);
        wait_until("a reader finishes the deletion", || {
            let memories = match reader {
                "get_memories" => listed(&mut client, "ann"),
                "search_memories" => found(&mut client, "ann", "marker"),
                "episodes" => {
                    client.search(json!({"query": "marker", "user_id": "ann", "scope": "episodes"}))
                }
                _ => client.search(json!({"query": "marker", "user_id": "ann", "limit": 50})),
            };
            assert!(!memories.is_empty(), "{reader}");
            for memory in memories {
                assert!(
                    memory["memory"].as_str().unwrap().contains("new"),
                    "{reader}"
                );
            }
            service.texts("ann").len() == 3
        });
    }
}

#[test]
fn an_old_one_does_not_come_back_when_its_new_one_is_changed_or_deleted() {
    for long in [false, true] {
        let text = |word: &str| format!("Marker of {word}. ").repeat(if long { 1_500 } else { 1 });
        let world = World::emulated();
        let service = Service::of(&world);
        let mut client = world.connect();
        let (_, new) = both_there(&service, &mut client, &text("old"), &text("new"));
        let third = client.call(
            "update_memory",
            json!({"memory_id": new, "text": text("third")}),
        );
        assert_eq!(third["previous_id"], json!(new));
        let words = shown(&mut client, "ann", "marker");
        assert!(
            words.iter().all(|word| word.contains("third")),
            "it came back"
        );

        let world = World::emulated();
        let service = Service::of(&world);
        let mut client = world.connect();
        let (_, new) = both_there(&service, &mut client, &text("old"), &text("new"));
        let deleted = client.call("delete_memory", json!({"memory_id": new}));
        assert_eq!(deleted["removed"], "all");
        assert!(service.texts("ann").is_empty(), "it came back");
        assert!(shown(&mut client, "ann", "marker").is_empty());
    }
}
