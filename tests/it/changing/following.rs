//! The state of Zep's processing; and what an operator's log holds of all this.

use serde_json::{Value, json};

use super::{add, add_all, facts_of};
use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    the_latest_events_are_listed_newest_first,
    an_event_is_a_memory_by_its_id,
    logs_hold_nothing_that_was_said_and_no_names,
);

fn the_latest_events_are_listed_newest_first(world: &World) {
    let mut client = world.connect();
    let nobody = client.call("list_events", json!({"user_id": "ann"}));
    assert_eq!(
        (&nobody["count"], &nobody["results"]),
        (&json!(0), &json!([]))
    );
    let mut ids = Vec::new();
    for n in 0..70 {
        let session = if n % 2 == 0 { json!("s") } else { Value::Null };
        let time = format!("2024-01-01T00:{:02}:{:02}Z", n / 60, n % 60);
        ids.push(add(
            &mut client,
            json!({"text": format!("Marker {n}"), "user_id": "ann",
                                         "session_id": session, "created_at": time}),
        ));
    }
    add(&mut client, json!({"text": "Marker", "agent_id": "bot"}));
    ids.reverse();
    for (limit, count) in [
        (json!(null), 20),
        (json!(1), 1),
        (json!(50), 50),
        (json!(100), 70),
    ] {
        let events = client.call("list_events", json!({"user_id": "ann", "limit": limit}));
        assert_eq!(
            (&events["count"], &events["next"]),
            (&json!(count), &Value::Null)
        );
        for (event, id) in events["results"].as_array().unwrap().iter().zip(&ids) {
            assert_eq!((&event["id"], &event["event_id"]), (&json!(id), &json!(id)));
            assert_eq!(
                (&event["status"], &event["event_type"]),
                (&json!("SUCCEEDED"), &json!("ADD"))
            );
            assert_eq!(event["user_id"], "ann");
            assert_eq!(event["results"], json!([{"id": id, "event": "ADD"}]));
            assert_eq!(
                event["kind"],
                if event["session_id"] == "s" {
                    "message"
                } else {
                    "episode"
                }
            );
        }
    }
    for limit in [json!(0), json!(101), json!(-1)] {
        let events = client.call("list_events", json!({ "limit": limit }));
        assert!(events["notes"].to_string().contains("`limit`"), "{events}");
    }
    client.refuses_argument("list_events", json!({"limit": "all"}), "limit");
    let own = client.call("list_events", json!({"agent_id": "bot"}));
    assert_eq!(
        (&own["count"], &own["results"][0]["user_id"]),
        (&json!(1), &Value::Null)
    );
}

fn an_event_is_a_memory_by_its_id(world: &World) {
    let mut client = world.connect();
    let text = add(
        &mut client,
        json!({"text": "Marker 😀. ".repeat(2_000), "user_id": "ann"}),
    );
    let turn = add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "session_id": "s"}),
    );
    let fact = facts_of(&mut client, "ann", &turn)[0]["id"].clone();
    for (id, kind) in [
        (json!(text), "episode"),
        (json!(turn), "message"),
        (fact, "fact"),
    ] {
        for whose in [
            json!({"event_id": id}),
            json!({"event_id": id, "user_id": "ann"}),
        ] {
            let event = client.call("get_event_status", whose);
            assert_eq!((&event["event_id"], &event["kind"]), (&id, &json!(kind)));
            assert_eq!(
                (&event["status"], &event["user_id"]),
                (&json!("SUCCEEDED"), &json!("ann"))
            );
        }
    }
}

#[test]
fn what_zep_is_still_working_on_is_pending_until_it_is_done() {
    let world = World::emulated_with(&["--processing-delay", "600000"]);
    let mut client = world.connect();
    let text = add(
        &mut client,
        json!({"text": "Marker. ".repeat(2_000), "user_id": "ann"}),
    );
    let turn = add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "session_id": "s"}),
    );
    let status = |client: &mut Client, id: &str| {
        client.call("get_event_status", json!({"event_id": id}))["status"].clone()
    };
    assert_eq!(
        (status(&mut client, &text), status(&mut client, &turn)),
        (json!("PENDING"), json!("PENDING"))
    );
    let events = client.call("list_events", json!({"user_id": "ann"}));
    assert_eq!(events["count"], 3);
    for event in events["results"].as_array().unwrap() {
        assert_eq!(event["status"], "PENDING");
    }
    world.behave(&json!({"processing_delay_ms": 0}));
    for id in [&text, &turn] {
        assert_eq!(status(&mut client, id), "SUCCEEDED");
    }
    assert_eq!(
        client.call("list_events", json!({"user_id": "ann"}))["results"][0]["status"],
        "SUCCEEDED"
    );
    // Pending memories can be read, changed and deleted, too.
    world.behave(&json!({"processing_delay_ms": 600_000}));
    let fresh = add(&mut client, json!({"text": "Fresh", "user_id": "ann"}));
    let changed = client.call(
        "update_memory",
        json!({"memory_id": fresh, "text": "Fresher"}),
    );
    let id = changed["id"].as_str().unwrap();
    assert_eq!(status(&mut client, id), "PENDING");
    assert_eq!(
        client.call("delete_memory", json!({"memory_id": id}))["removed"],
        "all"
    );
    assert_eq!(
        client.refused("get_event_status", json!({"event_id": id}))["error"],
        "not_found"
    );
}

fn logs_hold_nothing_that_was_said_and_no_names(world: &World) {
    let mut client = Client::connect(world.command().env("LOG_LEVEL", "info"));
    let said = json!([{"role": "user", "content": "Xylophone words", "name": "Xylophone Smith"}]);
    let secret = json!({"xylophone": "xylophone"});
    let ids = add_all(
        &mut client,
        json!({"messages": said, "user_id": "ann", "session_id": "s", "metadata": secret}),
    );
    let text = add(
        &mut client,
        json!({"text": "Xylophone text", "user_id": "ann", "metadata": secret}),
    );
    let fact = facts_of(&mut client, "ann", &text)[0]["id"].clone();
    client.call(
        "migrate_user",
        json!({"user": {"id": "jane", "name": "Xylophone", "email": "xylophone@example.com"},
                                       "data": {"memories": [{"memory": "xylophone"}]}}),
    );
    for id in [json!(ids[0]), json!(text), fact] {
        client.call("get_memory", json!({"memory_id": id}));
        client.call(
            "update_memory",
            json!({"memory_id": id, "metadata": {"of": "xylophone"}}),
        );
    }
    let changed = client.call(
        "update_memory",
        json!({"memory_id": text, "text": "xylophone again"}),
    );
    client.refused(
        "update_memory",
        json!({"memory_id": ids[0], "text": "xylophone"}),
    );
    client.refused(
        "update_memory",
        json!({"memory_id": "xylophone", "text": "xylophone"}),
    );
    client.refused("delete_all_memories", json!({"xylophone": "xylophone"}));
    client.call(
        "search_memories",
        json!({"query": "xylophone", "user_id": "ann"}),
    );
    client.call("delete_memory", json!({"memory_id": changed["id"]}));
    client.call("list_entities", json!({}));
    client.call("list_events", json!({"user_id": "ann"}));
    client.call("delete_all_memories", json!({"user_id": "ann"}));
    client.call("delete_entities", json!({"user_id": "jane"}));
    let ended = client.close();
    assert!(ended.stderr.contains("delete_entities"), "{}", ended.stderr);
    assert!(
        !ended.stderr.to_lowercase().contains("xylophone"),
        "{}",
        ended.stderr
    );
}
