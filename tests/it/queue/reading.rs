//! What was written is read at once, and what is known is read while Zep is away.

use serde_json::{Value, json};

use super::{away, connect, contents, delivered, queued, stored};
use crate::common::program::{Client, World};
use crate::common::service::Service;
use crate::common::wait_until;

fn found(client: &mut Client, arguments: Value) -> Vec<String> {
    let answer = client.call("search_memory", arguments);
    let texts = answer["results"].as_array().unwrap().iter();
    texts
        .map(|result| result["memory"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_waits_is_in_its_session_in_lists_and_in_searches() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    let say = |content: &str| {
        json!({"user_id": "ann", "session_id": "monday",
        "messages": [{"role": "user", "content": content}]})
    };
    stored(&world, &mut client, say("before"));
    away(&service);
    queued(&mut client, say("I keep bees"));
    queued(
        &mut client,
        json!({"user_id": "ann", "session_id": "tuesday", "text": "It rains"}),
    );
    queued(
        &mut client,
        json!({"user_id": "bob", "text": "Bob keeps bees, too"}),
    );

    // Zep does not answer: what is known is shown, and said to be all that is.
    let read = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    let messages = read["messages"].as_array().unwrap();
    assert_eq!(messages.last().unwrap()["content"], "I keep bees", "{read}");
    assert_eq!(messages.last().unwrap()["pending"], true);
    assert_eq!(
        (&read["pending_count"], &read["stale"]),
        (&json!(1), &json!(true))
    );
    assert!(read["stale_since"].is_string(), "{read}");
    let listed = client.call("list_sessions", json!({"user_id": "ann"}));
    assert_eq!(listed["stale"], true, "{listed}");
    for tool in ["search_memory", "search_memories"] {
        let found = client.call(tool, json!({"user_id": "ann", "query": "bees"}));
        assert_eq!(found["stale"], true, "{found}");
        assert_eq!(found["results"].as_array().unwrap().len(), 1, "{found}");
        assert_eq!(found["results"][0]["memory"], "I keep bees");
        assert_eq!(found["results"][0]["pending"], true);
    }
    let context = json!({"user_id": "ann", "query": "bees", "scope": "context"});
    let context = client.call("search_memory", context);
    assert!(
        context["context"].as_str().unwrap().contains("I keep bees"),
        "{context}"
    );
    let list = client.call("get_memories", json!({"user_id": "ann"}));
    let list = list["results"].as_array().unwrap().iter();
    let waiting = list.filter(|memory| memory["pending"] == true);
    assert_eq!(waiting.count(), 2);

    service.calm();
    delivered(&world);
    let read = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    assert_eq!(
        contents(read["messages"].as_array().unwrap()),
        ["before", "I keep bees"]
    );
    assert_eq!(read["stale"], Value::Null, "{read}");
    let found = found(&mut client, json!({"user_id": "ann", "query": "bees"}));
    let bees = found.iter().filter(|text| *text == "I keep bees");
    assert_eq!(bees.count(), 1, "{found:?}");
}

#[test]
fn what_zep_has_not_extracted_yet_is_found_and_nothing_twice() {
    let world = World::emulated_with(&["--processing-delay", "60000"]);
    let mut client = world.connect();
    client.call(
        "add_memory",
        json!({"user_id": "ann", "session_id": "monday",
               "messages": [{"role": "user", "content": "I went hiking in the Alps"},
                            {"role": "assistant", "content": "How nice"}]}),
    );
    client.call(
        "add_memory",
        json!({"user_id": "ann", "text": "Ann has a cat"}),
    );
    client.call("add_memory", json!({"user_id": "bob", "text": "Bob hikes"}));
    for scope in ["facts", "episodes"] {
        let query = json!({"user_id": "ann", "query": "Where does she hike?", "scope": scope});
        assert_eq!(
            found(&mut client, query),
            ["I went hiking in the Alps"],
            "{scope}"
        );
    }
    let query = json!({"user_id": "ann", "query": "cat", "scope": "context"});
    let context = client.call("search_memory", query);
    assert!(
        context["context"]
            .as_str()
            .unwrap()
            .contains("Ann has a cat"),
        "{context}"
    );
    let list = client.call("get_memories", json!({"user_id": "ann"}));
    assert_eq!(list["count"], 3, "{list}");
    let narrowed = json!({"query": "cat", "filters": {"user_id": "ann"}});
    let narrowed = client.call("search_memories", narrowed);
    assert_eq!(
        narrowed["results"].as_array().unwrap().len(),
        1,
        "{narrowed}"
    );
    // Another session's reader does not see it.
    let other = json!({"user_id": "ann", "session_id": "tuesday", "query": "hike"});
    assert!(found(&mut client, other).is_empty());
}

#[test]
fn while_zep_is_away_what_was_written_and_read_lately_is_shown() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    let bees = json!({"user_id": "ann", "session_id": "monday",
                      "messages": [{"role": "user", "content": "I keep bees"}]});
    stored(&world, &mut client, bees);
    let dog = json!({"user_id": "ann", "text": "Ann has a dog"});
    stored(&world, &mut client, dog);
    client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    client.search(json!({"user_id": "ann", "query": "dog"}));
    away(&service);
    let read = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "monday"}),
    );
    assert_eq!(
        contents(read["messages"].as_array().unwrap()),
        ["I keep bees"]
    );
    assert_eq!(read["stale"], true, "{read}");
    let found = found(
        &mut client,
        json!({"user_id": "ann", "query": "Which animal has she, a cat or a dog?"}),
    );
    assert!(found.contains(&"Ann has a dog".to_owned()), "{found:?}");
    let others = client.call("search_memory", json!({"user_id": "bob", "query": "dog"}));
    assert_eq!(others["results"], json!([]), "{others}");
}

#[test]
fn what_another_process_deleted_is_not_shown_while_zep_is_away() {
    let world = World::emulated();
    let service = Service::of(&world);
    let (mut client, mut other) = (connect(&world), connect(&world));
    let cat = json!({"user_id": "ann", "text": "Ann has a cat"});
    let id = stored(&world, &mut client, cat);
    let ask = json!({"user_id": "ann", "query": "cat"});
    assert_eq!(client.search(ask.clone()).len(), 1);
    other.call("delete_memory", json!({"user_id": "ann", "memory_id": id}));
    delivered(&world);
    away(&service);
    wait_until("Zep is away", || {
        client.call("search_memory", ask.clone())["stale"] == true
    });
    let found = client.call("search_memory", ask);
    assert_eq!(found["results"], json!([]), "{found}");
}
