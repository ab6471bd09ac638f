//! `get_session` and `list_sessions`: whole records, in order, page by page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::on_both_backends;
use crate::common::program::{Client, World};

on_both_backends!(
    five_hundred_messages_are_read_in_pages_of_any_size,
    the_newest_messages_are_read_by_last,
    messages_of_one_kind_are_read_alone,
    a_summary_counts_the_whole_session,
    the_context_of_a_session_comes_with_it_on_request,
    a_cursor_that_is_not_ours_is_refused,
    a_page_goes_on_where_it_ended_while_others_write,
    a_session_that_is_not_there_is_said_to_be_so,
    sessions_are_listed_newest_first,
);

/// What `session_of_five_hundred` stores: every 37th is split into parts, one of them into more
/// than one request holds.
fn turns_of_five_hundred() -> Vec<Value> {
    (0..500)
        .map(|n| {
            let long = match n {
                111 => 40,
                n if n % 37 == 0 => 3,
                _ => 0,
            };
            let content = format!("Turn {n}. {}", "All work and no play. ".repeat(long * 190));
            let kind = ["user", "assistant"][n % 2];
            json!({"role": kind, "content": content.trim_end()})
        })
        .collect()
}

fn session_of_five_hundred(client: &mut Client) -> Vec<Value> {
    let turns = turns_of_five_hundred();
    for (n, some) in turns.chunks(100).enumerate() {
        let kind = ["messages", "progress_notes"][n % 2];
        client.call(
            "add_memory",
            json!({"messages": some, "user_id": "ann", "session_id": "long", "memory_type": kind}),
        );
    }
    turns
}

fn five_hundred_messages_are_read_in_pages_of_any_size(world: &World) {
    let mut client = world.connect();
    let turns = session_of_five_hundred(&mut client);
    for limit in [1, 7, 30, 50, 199, 200] {
        // A page size of one costs one call per message: enough of them to meet split ones.
        let read = if limit == 1 {
            let mut all = Vec::new();
            let mut arguments = json!({"user_id": "ann", "session_id": "long", "limit": 1});
            for _ in 0..120 {
                let page = client.call("get_session", arguments.clone());
                assert_eq!(page["messages"].as_array().unwrap().len(), 1);
                all.push(page["messages"][0].clone());
                arguments["cursor"] = page["next_cursor"].clone();
            }
            all
        } else {
            let all = client.read_session_by("ann", "long", limit);
            assert_eq!(all.len(), turns.len(), "in pages of {limit}");
            all
        };
        let ids: BTreeSet<_> = read
            .iter()
            .map(|message| message["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), read.len(), "in pages of {limit}");
        for (message, turn) in read.iter().zip(&turns) {
            assert_eq!(message["content"], turn["content"], "in pages of {limit}");
            assert_eq!(
                (&message["role"], &message["incomplete"]),
                (&turn["role"], &json!(false))
            );
        }
    }
    // Pages are full, unless a long record ends them early.
    let page = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "long"}),
    );
    assert!(page["messages"].as_array().unwrap().len() >= 40);
}

fn the_newest_messages_are_read_by_last(world: &World) {
    let mut client = world.connect();
    let turns = session_of_five_hundred(&mut client);
    for last in [1, 2, 20, 57, 200] {
        let arguments = json!({"user_id": "ann", "session_id": "long", "last": last});
        let page = client.call("get_session", arguments);
        let read = page["messages"].as_array().unwrap();
        assert_eq!(read.len(), last);
        for (message, turn) in read.iter().zip(&turns[turns.len() - last..]) {
            assert_eq!(
                (&message["content"], &message["incomplete"]),
                (&turn["content"], &json!(false))
            );
        }
        assert_eq!(page["next_cursor"], Value::Null);
    }
    let few = json!([{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]);
    client.call(
        "add_memory",
        json!({"messages": few, "user_id": "ann", "session_id": "few"}),
    );
    let page = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "few", "last": 50}),
    );
    assert_eq!(page["messages"].as_array().unwrap().len(), 2);
}

fn messages_of_one_kind_are_read_alone(world: &World) {
    let mut client = world.connect();
    let turns = session_of_five_hundred(&mut client);
    let of_kind: Vec<_> = turns.chunks(100).skip(1).step_by(2).flatten().collect();
    let mut arguments = json!({"user_id": "ann", "session_id": "long", "memory_type": "progress_notes", "limit": 30});
    let mut read = Vec::new();
    loop {
        let page = client.call("get_session", arguments.clone());
        read.extend(page["messages"].as_array().unwrap().iter().cloned());
        match &page["next_cursor"] {
            Value::Null => break,
            cursor => arguments["cursor"] = cursor.clone(),
        }
    }
    assert_eq!(read.len(), 200);
    for (message, turn) in read.iter().zip(of_kind) {
        assert_eq!(message["content"], turn["content"]);
        assert_eq!(message["memory_type"], "progress_notes");
    }
    let last = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "long", "memory_type": "progress_notes", "last": 5}),
    );
    let last: Vec<_> = last["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["content"])
        .collect();
    assert_eq!(
        last,
        (395..400).map(|n| &turns[n]["content"]).collect::<Vec<_>>()
    );
    let none = json!({"user_id": "ann", "session_id": "long", "memory_type": "insights"});
    assert_eq!(client.call("get_session", none)["messages"], json!([]));
}

fn a_summary_counts_the_whole_session(world: &World) {
    let mut client = world.connect();
    session_of_five_hundred(&mut client);
    let early =
        json!([{"role": "user", "content": "Before", "created_at": "2001-02-03T04:05:06Z"}]);
    client.call(
        "add_memory",
        json!({"messages": early, "user_id": "ann", "session_id": "long"}),
    );
    let page = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "long", "limit": 1, "summary": true}),
    );
    let summary = &page["summary"];
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
    assert_eq!(summary["message_count"], 501);
    let counts = json!({"conversation": 300, "progress_notes": 200, "none": 1});
    assert_eq!(summary["by_memory_type"], counts);
    assert_eq!(summary["first_message_at"], "2001-02-03T04:05:06Z");
    assert!(summary["last_message_at"].as_str().unwrap() > "2020");
    assert!(
        page["total_count"].as_u64().unwrap() > 501,
        "parts are counted: {page}"
    );
    let plain = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "long"}),
    );
    assert_eq!(
        (&plain["summary"], &plain["context"]),
        (&Value::Null, &Value::Null)
    );
}

fn the_context_of_a_session_comes_with_it_on_request(world: &World) {
    let mut client = world.connect();
    client.call(
        "add_memory",
        json!({"text": "Ann is allergic to walnuts", "user_id": "ann"}),
    );
    client.call(
        "add_memory",
        json!({"text": "Walnuts?", "user_id": "ann", "session_id": "s"}),
    );
    let arguments = json!({"user_id": "ann", "session_id": "s", "include_context": true});
    let page = client.call("get_session", arguments);
    assert!(
        page["context"]
            .as_str()
            .unwrap()
            .contains("allergic to walnuts"),
        "{page}"
    );
}

fn a_cursor_that_is_not_ours_is_refused(world: &World) {
    let mut client = world.connect();
    let turns: Vec<_> = (0..10)
        .map(|n| json!({"role": "user", "content": format!("Turn {n}")}))
        .collect();
    client.call(
        "add_memory",
        json!({"messages": turns, "user_id": "ann", "session_id": "s"}),
    );
    let page = client.call(
        "get_session",
        json!({"user_id": "ann", "session_id": "s", "limit": 4}),
    );
    let ours = page["next_cursor"].as_str().unwrap();
    let (place, id) = ours.split_once('.').unwrap();
    for cursor in [
        "",
        "4",
        "x",
        "-1",
        "4.",
        ".",
        "4.x",
        &format!("0.{id}"),
        &format!("-4.{id}"),
        &format!("{id}.{place}"),
        &format!("99999999999999999999.{id}"),
        "4.00000000-0000-4000-8000-000000000000",
        "2000000000.00000000-0000-4000-8000-000000000000",
    ] {
        let arguments = json!({"user_id": "ann", "session_id": "s", "cursor": cursor});
        client.refuses_argument("get_session", arguments, "cursor");
    }
    let arguments = json!({"user_id": "ann", "session_id": "s", "cursor": ours});
    let next = client.call("get_session", arguments);
    assert_eq!(next["messages"][0]["content"], "Turn 4");
}

fn a_page_goes_on_where_it_ended_while_others_write(world: &World) {
    let mut client = world.connect();
    let mut arguments = json!({"user_id": "ann", "session_id": "s", "limit": 3});
    let add = |client: &mut Client, n: usize| {
        let text = format!("Turn {n}");
        client.call(
            "add_memory",
            json!({"text": text, "user_id": "ann", "session_id": "s"}),
        );
    };
    (0..6).for_each(|n| add(&mut client, n));
    let mut read = Vec::new();
    for n in 6..10 {
        let page = client.call("get_session", arguments.clone());
        read.extend(page["messages"].as_array().unwrap().iter().cloned());
        match &page["next_cursor"] {
            Value::Null => break,
            cursor => arguments["cursor"] = cursor.clone(),
        }
        add(&mut client, n);
    }
    let read: Vec<_> = read
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = (0..read.len()).map(|n| format!("Turn {n}")).collect();
    assert_eq!(read, expected);
    // Six, and those that arrived before the last page.
    assert_eq!(read.len(), 8);
}

fn a_session_that_is_not_there_is_said_to_be_so(world: &World) {
    let mut client = world.connect();
    client.call(
        "add_memory",
        json!({"text": "hello", "user_id": "ann", "session_id": "s"}),
    );
    for (user, session) in [
        ("ann", "t"),
        ("nobody", "s"),
        ("ann", "default"),
        ("ann", "S"),
    ] {
        let error = client.refused(
            "get_session",
            json!({"user_id": user, "session_id": session}),
        );
        assert_eq!(error["error"], "no_such_session");
        let detail = error["detail"].as_str().unwrap();
        assert!(
            detail.contains(session) && detail.contains(user),
            "{detail}"
        );
        assert!(detail.contains("list_sessions"), "{detail}");
    }
}

fn sessions_are_listed_newest_first(world: &World) {
    let mut client = world.connect();
    for n in 0..25 {
        let turns: Vec<_> = (0..=n % 3)
            .map(|m| json!({"role": "user", "content": "hello", "created_at": format!("2024-01-0{}T00:00:00Z", m + 1)}))
            .collect();
        let session = format!("session {n}");
        client.call(
            "add_memory",
            json!({"messages": turns, "user_id": "ann", "session_id": session}),
        );
    }
    let page = |client: &mut Client, arguments: Value| {
        let mut all = json!({"user_id": "ann"});
        all.as_object_mut()
            .unwrap()
            .extend(arguments.as_object().unwrap().clone());
        let list = client.call("list_sessions", all);
        assert_eq!(
            (&list["user_id"], &list["total_count"]),
            (&json!("ann"), &json!(25))
        );
        list["sessions"].as_array().unwrap().clone()
    };
    let all = page(&mut client, json!({"limit": 100}));
    for (session, n) in all.iter().zip((0..25).rev()) {
        assert_eq!(session["session_id"], format!("session {n}"));
        assert_eq!(session["message_count"], n % 3 + 1);
        assert_eq!(
            session["last_used_at"],
            format!("2024-01-0{}T00:00:00Z", n % 3 + 1)
        );
        assert!(session["created_at"].is_string());
    }
    assert_eq!(page(&mut client, json!({})), all[..20]);
    assert_eq!(
        page(&mut client, json!({"limit": 7, "offset": 20})),
        all[20..]
    );
    assert!(page(&mut client, json!({"offset": 25})).is_empty());
    let nobody = client.call("list_sessions", json!({"user_id": "nobody"}));
    assert_eq!(
        (&nobody["total_count"], &nobody["sessions"]),
        (&json!(0), &json!([]))
    );
}
