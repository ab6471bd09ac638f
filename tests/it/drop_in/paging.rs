//! Following `next` through a list while it changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::service::requests;
use super::{add, arguments_in, in_order, texts, with};
use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    who_follows_next_sees_every_memory_once_whatever_arrives_meanwhile,
    who_follows_next_with_another_server_misses_nothing,
    previous_leads_back,
    what_is_deleted_meanwhile_is_left_out_and_nothing_else,
);

const MEMORIES: usize = 25;

fn first() -> Value {
    json!({"filters": {"user_id": "ann"}, "page_size": 10, "sources": true})
}

fn fill(client: &mut Client) -> Vec<String> {
    (0..MEMORIES)
        .map(|n| {
            let text = format!("number {n:02}");
            let day = format!("2023-01-{:02}", n + 1);
            add(client, &text, &json!({"user_id": "ann", "created_at": day}));
            text
        })
        .collect()
}

/// New memories while a list is read: of today, of long ago, and of a day in between.
fn arrive(client: &mut Client, n: usize) {
    for more in [
        json!({}),
        json!({"created_at": "1999-01-01"}),
        json!({"created_at": "2023-01-24T12:00:00Z"}),
        json!({"created_at": "2023-01-24T13:00:00Z", "run_id": "s"}),
    ] {
        let more = with(&more, &json!({"user_id": "ann"}));
        add(client, &format!("late {n}"), &more);
    }
}

fn follow(client: &mut Client, page: &Value, link: &str) -> Option<Value> {
    let arguments = arguments_in(page[link].as_str()?);
    Some(client.call("get_memories", with(&first(), &arguments)))
}

fn results(page: &Value) -> &[Value] {
    page["results"].as_array().unwrap()
}

fn who_follows_next_sees_every_memory_once_whatever_arrives_meanwhile(world: &World) {
    let mut client = world.connect();
    let all = fill(&mut client);
    let mut page = client.call("get_memories", first());
    let mut seen = results(&page).to_vec();
    let mut n = 0;
    while page["next"].is_string() {
        arrive(&mut client, n);
        n += 1;
        page = follow(&mut client, &page, "next").unwrap();
        assert_eq!(page["count"], MEMORIES);
        seen.extend(results(&page).iter().cloned());
    }
    assert_eq!(n, 2);
    assert_eq!(texts(&seen), all);
    let now = client.call("get_memories", first());
    assert_eq!(now["count"], MEMORIES + 8);
}

/// A server that did not make the list cannot tell when an old text arrived: it may show one twice,
/// but omits none.
fn who_follows_next_with_another_server_misses_nothing(world: &World) {
    let mut client = world.connect();
    let all = fill(&mut client);
    let mut page = client.call("get_memories", first());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut note = |page: &Value| {
        for text in in_order(results(page)) {
            *seen.entry(text).or_default() += 1;
        }
    };
    note(&page);
    arrive(&mut client, 0);
    while page["next"].is_string() {
        page = follow(&mut world.connect(), &page, "next").unwrap();
        note(&page);
    }
    for text in &all {
        assert!(seen.contains_key(text), "{text} was left out: {seen:?}");
    }
    let twice = seen.values().filter(|times| **times > 1).count();
    assert!(twice <= 2, "{seen:?}");
}

fn previous_leads_back(world: &World) {
    let mut client = world.connect();
    fill(&mut client);
    let one = client.call("get_memories", first());
    let two = follow(&mut client, &one, "next").unwrap();
    arrive(&mut client, 0);
    let three = follow(&mut client, &two, "next").unwrap();
    assert_eq!(results(&three).len(), 5);
    assert_eq!(
        follow(&mut client, &three, "previous").unwrap()["results"],
        two["results"]
    );
    let back = follow(&mut client, &two, "previous").unwrap();
    assert_eq!(back["results"], one["results"]);
    assert_eq!(back["previous"], Value::Null);
}

fn what_is_deleted_meanwhile_is_left_out_and_nothing_else(world: &World) {
    let mut client = world.connect();
    fill(&mut client);
    let one = client.call("get_memories", first());
    for memory in results(&one) {
        let source = &memory["sources"][0];
        client.call("delete_memory", json!({"memory_id": source}));
    }
    let two = follow(&mut client, &one, "next").unwrap();
    let expected: Vec<String> = (5..15).rev().map(|n| format!("number {n:02}")).collect();
    assert_eq!(in_order(results(&two)), expected);
    assert!(results(&follow(&mut client, &two, "previous").unwrap()).is_empty());
}

#[test]
fn the_pages_behind_the_first_cost_few_requests() {
    let world = World::emulated();
    let mut client = world.connect();
    fill(&mut client);
    let mut page = Value::Null;
    let made = requests(&world, || page = client.call("get_memories", first()));
    assert!(made.values().sum::<u64>() <= 4, "{made:?}");
    while page["next"].is_string() {
        let made = requests(&world, || {
            page = follow(&mut client, &page, "next").unwrap()
        });
        assert!(made.values().sum::<u64>() <= 3, "{made:?}");
    }
}
