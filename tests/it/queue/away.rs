//! Zep is away, and comes back.

use serde_json::{Value, json};

use super::{away, connect, contents, delivered, entries, hurried, queued, stored};
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;
use crate::common::wait_until;

fn said(content: &str) -> Value {
    json!({"user_id": "ann", "session_id": "monday",
           "messages": [{"role": "user", "content": content}]})
}

#[test]
fn a_write_is_safe_at_once_and_keeps_its_id() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    stored(&world, &mut client, said("before"));
    away(&service);
    let id = queued(&mut client, said("during"));
    let whose = json!({"memory_id": id, "user_id": "ann"});
    let shown = client.call("get_memory", whose.clone());
    assert_eq!(shown["memory"], "during");
    assert_eq!(
        (&shown["id"], &shown["pending"]),
        (&json!(id), &json!(true))
    );
    let event = json!({"event_id": id});
    assert_eq!(
        client.call("get_event_status", event.clone())["status"],
        "QUEUED"
    );

    service.calm();
    delivered(&world);
    let said = service.messages("monday");
    assert_eq!(contents(&said), ["before", "during"]);
    let shown = client.call("get_memory", whose);
    assert_eq!(shown["memory"], "during");
    assert_eq!(shown["pending"], Value::Null);
    assert_eq!(
        client.call("get_event_status", event)["status"],
        "SUCCEEDED"
    );
    client.call("delete_memory", json!({"memory_id": id}));
    assert_eq!(client.read_session("ann", "monday").len(), 1);
}

#[test]
fn what_waits_is_changed_and_deleted_before_it_is_sent() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    away(&service);
    let texts = ["has a cat", "has a dog", "has a bird"];
    let ids = texts.map(|text| queued(&mut client, json!({"user_id": "ann", "text": text})));
    client.call(
        "update_memory",
        json!({"memory_id": ids[0], "text": "has a tomcat"}),
    );
    client.call(
        "update_memory",
        json!({"memory_id": ids[2], "metadata": {"sure": true}}),
    );
    client.call("delete_memory", json!({"memory_id": ids[1]}));
    let turn = queued(&mut client, said("I said so"));
    let change = json!({"memory_id": turn, "text": "I did not"});
    client.refuses_argument("update_memory", change, "text");

    service.calm();
    delivered(&world);
    let mut there = service.texts("ann");
    there.sort_by_key(|text| text["content"].to_string());
    assert_eq!(contents(&there), ["has a bird", "has a tomcat"]);
    let error = client.refused("get_memory", json!({"memory_id": ids[1]}));
    assert_eq!(error["error"], "not_found", "{error}");
    for (id, text) in [(&ids[0], "has a tomcat"), (&ids[2], "has a bird")] {
        let shown = client.call("get_memory", json!({"memory_id": id}));
        assert_eq!(shown["memory"], text);
    }
    let sure = client.call("get_memory", json!({"memory_id": ids[2]}));
    assert_eq!(sure["metadata"], json!({"sure": true}));
    // An id that the queue gave stays valid after a change in Zep, too.
    client.call(
        "update_memory",
        json!({"memory_id": ids[0], "text": "has two cats"}),
    );
    let shown = client.call("get_memory", json!({"memory_id": ids[0]}));
    assert_eq!(shown["memory"], "has two cats");
}

#[test]
fn what_zep_has_is_changed_and_deleted_as_soon_as_it_answers() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    let mut add = |text: &str| {
        let call = json!({"user_id": "ann", "text": text});
        stored(&world, &mut client, call)
    };
    let (cat, dog) = (add("has a cat"), add("has a dog"));
    away(&service);
    let whose = |id: &str| json!({"memory_id": id, "user_id": "ann"});
    let mut change = whose(&cat);
    change["text"] = "has a tomcat".into();
    assert_eq!(client.call("update_memory", change)["status"], "QUEUED");
    assert_eq!(
        client.call("delete_memory", whose(&dog))["removed"],
        "queued"
    );
    let error = client.refused("get_memory", whose(&dog));
    assert_eq!(error["error"], "not_found", "{error}");

    service.calm();
    delivered(&world);
    assert_eq!(contents(&service.texts("ann")), ["has a tomcat"]);
}

#[test]
fn what_was_sent_without_an_answer_is_not_sent_twice() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    stored(&world, &mut client, said("before"));
    // Each write is done, and its answer lost.
    service.plan(&json!({"drop_answers": 1.0}));
    let id = queued(&mut client, said("ok"));
    queued(&mut client, said("ok"));
    client.call("delete_memory", json!({"memory_id": id, "user_id": "ann"}));
    service.calm();
    delivered(&world);
    // The first one is hidden, if it was sent.
    assert_eq!(
        contents(&client.read_session("ann", "monday")),
        ["before", "ok"]
    );
    let there = service.messages("monday");
    assert!(there.len() <= 3, "{there:?}");
}

#[test]
fn a_deletion_of_everything_empties_the_queue_first() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    stored(&world, &mut client, said("before"));
    away(&service);
    queued(&mut client, said("during"));
    queued(&mut client, json!({"user_id": "ann", "text": "has a cat"}));
    queued(&mut client, json!({"user_id": "bob", "text": "has a dog"}));
    // Zep's part cannot be done.
    client.refused("delete_all_memories", json!({"user_id": "ann"}));
    assert_eq!(entries(&world).len(), 1);
    service.calm();
    delivered(&world);
    assert_eq!(contents(&service.messages("monday")), ["before"]);
    assert_eq!(service.texts("ann").len(), 0);
    assert_eq!(contents(&service.texts("bob")), ["has a dog"]);

    away(&service);
    queued(&mut client, json!({"user_id": "eve", "text": "has a cow"}));
    client.refused("delete_entities", json!({"user_id": "eve"}));
    service.calm();
    delivered(&world);
    assert!(!service.users().contains(&"eve".to_owned()));
}

#[test]
fn the_next_process_sends_what_the_last_one_left() {
    let world = World::emulated();
    let service = Service::of(&world);
    away(&service);
    let mut client = connect(&world);
    let id = queued(&mut client, said("one"));
    queued(&mut client, said("two"));
    drop(client);
    service.calm();
    let mut other = connect(&world);
    delivered(&world);
    assert_eq!(contents(&service.messages("monday")), ["one", "two"]);
    assert_eq!(
        other.call("get_memory", json!({"memory_id": id}))["memory"],
        "one"
    );
}

#[test]
fn without_a_queue_a_call_tells_itself_what_happened() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut command = hurried(&world);
    let mut client = Client::connect(command.env("ZEP_MCP_QUEUE", "off"));
    away(&service);
    let error = client.refused("add_memory", said("during"));
    assert_eq!(error["error"], "zep_failed", "{error}");
    service.calm();
    assert!(service.threads().is_empty());
}

#[test]
fn several_processes_send_a_session_once_and_in_order() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut clients: Vec<Client> = (0..4).map(|_| connect(&world)).collect();
    stored(&world, &mut clients[0], said("0"));
    away(&service);
    for number in 1..=20 {
        let client = &mut clients[number % 4];
        queued(client, said(&number.to_string()));
    }
    service.calm();
    delivered(&world);
    let numbers: Vec<String> = (0..=20).map(|number: usize| number.to_string()).collect();
    assert_eq!(contents(&service.messages("monday")), numbers);
    wait_until("each reads it", || {
        let mut clients = clients.iter_mut();
        clients.all(|client| contents(&client.read_session("ann", "monday")) == numbers)
    });
}

/// Everything fails from the first request of a change on, from the second on, and so on: with the queue it
/// is finished by itself.
#[test]
fn a_change_or_deletion_that_is_interrupted_anywhere_is_finished() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    let faults = [
        json!({"kind": "drop_answer"}),
        json!({"kind": "fail_after", "status": 502}),
        json!({"kind": "fail", "status": 503}),
    ];
    for (number, fault) in faults.iter().enumerate() {
        for after in 0..6 {
            let user = format!("user-{number}-{after}");
            let mut add = |text: &str| {
                let call = json!({"user_id": user, "text": text});
                stored(&world, &mut client, call)
            };
            let (old, gone) = (add("old words"), add("words that go"));
            let order =
                json!({"after": after, "times": 100_000, "path": "/api/v2/", "fault": fault});
            service.next(&order);
            let change = json!({"memory_id": old, "user_id": user, "text": "new words"});
            client.call("update_memory", change);
            client.call("delete_memory", json!({"memory_id": gone, "user_id": user}));
            service.calm();
            delivered(&world);
            let left = service.texts(&user);
            assert_eq!(contents(&left), ["new words"], "{fault} after {after}");
        }
    }
}

/// A change gives a text another id in Zep: what was asked of it behind that is done to the new one.
#[test]
fn several_changes_and_a_deletion_of_one_text_are_all_made() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    let add = |client: &mut Client, text: &str| {
        let call = json!({"user_id": "ann", "text": text});
        stored(&world, client, call)
    };
    let (kept, gone) = (add(&mut client, "has a cat"), add(&mut client, "has a dog"));
    away(&service);
    let change = |id: &str, text: &str| json!({"user_id": "ann", "memory_id": id, "text": text});
    for text in ["has two cats", "has three cats"] {
        client.call("update_memory", change(&kept, text));
    }
    client.call("update_memory", change(&gone, "has two dogs"));
    client.call(
        "delete_memory",
        json!({"user_id": "ann", "memory_id": gone}),
    );
    service.calm();
    delivered(&world);
    assert_eq!(contents(&service.texts("ann")), ["has three cats"]);
    let shown = client.call("get_memory", json!({"user_id": "ann", "memory_id": kept}));
    assert_eq!(shown["memory"], "has three cats");
}

/// Where a session is shared nothing is deleted, and nothing that waits is lost.
#[test]
fn a_refused_deletion_leaves_the_queue_as_it_is() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    let say = |content: &str, app: Option<&str>| {
        let mut call = said(content);
        if let Some(app) = app {
            call["app_id"] = app.into();
        }
        call
    };
    stored(&world, &mut client, say("with an app", Some("diary")));
    stored(&world, &mut client, say("without", None));
    // Zep answers reads, and fails to take messages.
    let fault = json!({"kind": "fail", "status": 503});
    let messages = "/api/v2/threads/monday/messages";
    service.next(&json!({"times": 100_000, "method": "POST", "path": messages, "fault": fault}));
    queued(&mut client, say("waits", Some("diary")));
    let whose = json!({"user_id": "ann", "app_id": "diary"});
    let id = client.ask_tool("delete_all_memories", &whose);
    let error = outcome(&client.answer_to(id)).unwrap_err();
    assert_eq!(error["error"], "shared_scope", "{error}");
    service.calm();
    delivered(&world);
    let there = service.messages("monday");
    assert_eq!(contents(&there), ["with an app", "without", "waits"]);
}
