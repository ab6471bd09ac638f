//! Writes that Zep carries out after they were given up and sent again: shown once everywhere.

use serde_json::{Value, json};

use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;
use crate::common::wait_until;

const READ: &str = "GET /api/v2/threads/{thread_id}/messages";

fn say(client: &mut Client, contents: &[&str]) -> Value {
    let turns: Vec<Value> = contents
        .iter()
        .map(|content| json!({"role": "user", "content": content}))
        .collect();
    let arguments = json!({"user_id": "ann", "session_id": "monday", "messages": turns});
    add(client, arguments)
}

/// Adds, and repeats with the key while it is in doubt: a short time-out may be too short for a busy
/// machine.
fn add(client: &mut Client, mut arguments: Value) -> Value {
    for _ in 0..20 {
        let id = client.ask_tool("add_memory", &arguments);
        match outcome(&client.answer_to(id)) {
            Ok(answer) => return answer,
            Err(error) if error["error"] == "partly_stored" => {
                arguments["idempotency_key"] = error["idempotency_key"].clone();
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it cannot be stored");
}

/// What a late write does: stores these again, as they are.
fn arrives_again(service: &Service, stored: &[Value]) {
    let fields = ["role", "content", "name", "created_at", "metadata"];
    let again: Vec<Value> = stored
        .iter()
        .map(|message| {
            let there = fields.into_iter().filter(|key| !message[key].is_null());
            there.map(|key| (key, message[key].clone())).collect()
        })
        .collect();
    let path = ["threads", "monday", "messages"];
    let (status, answer) = service.call("POST", &path, Some(&json!({"messages": again})));
    assert_eq!(status, 200, "{answer}");
}

fn text_arrives_again(service: &Service, stored: &Value) {
    let body = json!({
        "user_id": "ann", "type": "text", "data": stored["content"],
        "created_at": stored["created_at"], "metadata": stored["metadata"],
    });
    let (status, answer) = service.call("POST", &["graph"], Some(&body));
    assert!(status < 300, "{answer}");
}

fn contents(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect()
}

fn newest(client: &mut Client, count: usize) -> (Vec<String>, u64) {
    let arguments = json!({"user_id": "ann", "session_id": "monday", "last": count});
    let page = client.call("get_session", arguments);
    let messages = page["messages"].as_array().unwrap();
    let said = contents(messages).into_iter().map(str::to_owned).collect();
    (said, page["total_count"].as_u64().unwrap())
}

#[test]
fn a_turn_that_arrives_long_after_its_repeat_is_shown_once_at_any_page_size() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = Client::connect(world.command().env("ZEP_TIMEOUT_SECS", "1"));
    say(&mut client, &["before"]);
    service.next(&json!({
        "method": "POST", "path": "/api/v2/threads/monday/messages",
        "fault": {"kind": "late_write", "ms": 4_000},
    }));
    let turns = ["twice", "one", "two", "three", "four", "five", "six"];
    for turn in turns {
        say(&mut client, &[turn]);
    }
    service.calm();
    let said: Vec<&str> = ["before"].into_iter().chain(turns).collect();
    for limit in 1..=10 {
        let read = client.read_session_by("ann", "monday", limit);
        assert_eq!(contents(&read), said, "pages of {limit}");
        let (read, _) = newest(&mut client, limit);
        assert_eq!(
            read,
            said[said.len().saturating_sub(limit)..],
            "the newest {limit}"
        );
    }
}

#[test]
fn calls_that_arrive_again_behind_many_turns_are_shown_once_in_pages_and_counts() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    let long = "long ".repeat(1_800);
    let long = long.trim_end();
    say(&mut client, &["first", long, "ok", "ok"]);
    let stored = service.messages("monday");
    assert_eq!(stored.len(), 6, "the long one has three parts");
    let turns: Vec<String> = (0..60).map(|n| format!("turn {n}")).collect();
    for some in turns.chunks(20) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        say(&mut client, &some);
    }
    arrives_again(&service, &stored);
    say(&mut client, &["last"]);
    arrives_again(&service, &stored[4..]);

    let mut said = vec!["first", long, "ok", "ok"];
    said.extend(turns.iter().map(String::as_str));
    said.push("last");
    for limit in [1, 2, 3, 5, 7, 50, 65, 70, 200] {
        // Another process knows nothing of what this one read.
        let mut other = world.connect();
        let read = other.read_session_by("ann", "monday", limit);
        assert_eq!(contents(&read), said, "pages of {limit}");
        let mut other = world.connect();
        let (read, total) = newest(&mut other, limit);
        assert_eq!(
            read,
            said[said.len().saturating_sub(limit)..],
            "the newest {limit}"
        );
        assert_eq!(total, said.len() as u64 + 2, "parts count, doubles do not");
    }
    let arguments = json!({"user_id": "ann", "session_id": "monday", "summary": true});
    let page = client.call("get_session", arguments);
    assert_eq!(page["summary"]["message_count"], said.len());
    let list = client.call("list_sessions", json!({"user_id": "ann"}));
    assert_eq!(list["sessions"][0]["message_count"], said.len() + 2);
    for (word, count) in [("first", 1), ("ok", 2), ("long", 1)] {
        let query = json!({"user_id": "ann", "query": word, "scope": "episodes", "limit": 50});
        let mut found = client.search(query);
        // The turns around a match are found with it.
        found.retain(|memory| memory["memory"].as_str().unwrap().starts_with(word));
        assert_eq!(found.len(), count, "{word}");
    }
}

/// The caller's own times say nothing of the order of arrival.
#[test]
fn turns_of_equal_and_older_times_are_shown_once_and_none_is_lost() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    let mut said: Vec<String> = Vec::new();
    let mut add = |client: &mut Client, day: usize, call: usize| {
        let turns: Vec<String> = (0..3)
            .map(|n| format!("day {day} call {call}.{n}"))
            .collect();
        let messages: Vec<Value> = turns
            .iter()
            .map(|turn| json!({"role": "user", "content": turn, "created_at": format!("2024-05-{day:02}T00:00:00Z")}))
            .collect();
        let arguments = json!({"user_id": "ann", "session_id": "monday", "messages": messages});
        client.call("add_memory", arguments);
        said.extend(turns);
    };
    for (call, day) in [9, 9, 9, 10, 10, 3, 3, 10, 11].into_iter().enumerate() {
        add(&mut client, day, call);
        if call == 4 || call == 7 {
            let stored = service.messages("monday");
            arrives_again(&service, &stored[9..12]);
        }
    }
    for limit in 1..=said.len() {
        let read = world.connect().read_session_by("ann", "monday", limit);
        assert_eq!(contents(&read), said, "pages of {limit}");
        let (read, _) = newest(&mut world.connect(), limit);
        assert_eq!(read, said[said.len() - limit..], "the newest {limit}");
    }
}

#[test]
fn a_page_costs_one_request_where_nothing_arrived_twice() {
    let world = World::emulated();
    let mut client = world.connect();
    let turns: Vec<String> = (0..90).map(|n| format!("turn {n}")).collect();
    for some in turns.chunks(30) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        say(&mut client, &some);
    }
    let mut costs = |arguments: Value| {
        let before = world.requests_to(READ);
        let page = client.call("get_session", arguments);
        (world.requests_to(READ) - before, page)
    };
    let mut arguments = json!({"user_id": "ann", "session_id": "monday", "last": 3});
    assert_eq!(costs(arguments.clone()).0, 1);
    arguments["last"] = Value::Null;
    arguments["limit"] = 20.into();
    let (first, page) = costs(arguments.clone());
    arguments["cursor"] = page["next_cursor"].clone();
    let (second, page) = costs(arguments.clone());
    // The first one learns what Zep's cursor counts.
    arguments["cursor"] = page["next_cursor"].clone();
    let (third, _) = costs(arguments);
    assert_eq!((first, third), (1, 1), "{second}");
}

#[test]
fn a_text_that_arrives_again_is_listed_found_changed_and_deleted_once() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    let long = "long ".repeat(2_500);
    for text in ["Ann likes tea", "Ann has a cat", long.trim_end()] {
        client.call("add_memory", json!({"user_id": "ann", "text": text}));
    }
    let listed = |client: &mut Client, page_size: usize| {
        let mut all = Vec::new();
        for page in 1.. {
            let arguments = json!({
                "filters": {"user_id": "ann"}, "page": page, "page_size": page_size,
            });
            let answer = client.call("get_memories", arguments);
            let memories = answer["results"].as_array().unwrap();
            all.extend(memories.iter().map(|memory| memory["memory"].to_string()));
            if answer["next"].is_null() {
                assert_eq!(answer["count"], all.len());
                break;
            }
        }
        all.sort();
        all
    };
    let events = |client: &mut Client| {
        let events = client.call("list_events", json!({"user_id": "ann"}));
        events["results"].as_array().unwrap().len()
    };
    let (whole, stored) = (listed(&mut client, 100), events(&mut client));
    assert!(whole.len() >= 3, "{whole:?}");
    for text in service.texts("ann") {
        if text["content"] != "Ann has a cat" {
            text_arrives_again(&service, &text);
        }
    }
    assert_eq!(service.texts("ann").len(), 7);
    for page_size in 1..=4 {
        assert_eq!(listed(&mut client, page_size), whole);
    }
    assert_eq!(events(&mut client), stored);
    for scope in ["facts", "episodes"] {
        let query = json!({"user_id": "ann", "query": "tea", "scope": scope});
        assert_eq!(client.search(query).len(), 1, "{scope}");
    }

    // A change and a deletion reach both.
    let query = json!({"user_id": "ann", "query": "tea", "scope": "episodes"});
    let id = client.search(query)[0]["id"].clone();
    let changed = client.call(
        "update_memory",
        json!({"user_id": "ann", "memory_id": id, "metadata": {"sure": true}}),
    );
    let teas = |service: &Service| -> Vec<Value> {
        let mut texts = service.texts("ann");
        texts.retain(|text| text["content"].as_str().unwrap().contains("likes"));
        texts
    };
    let there = teas(&service);
    assert_eq!(there.len(), 2);
    assert!(
        there.iter().all(|text| text["metadata"]["sure"] == true),
        "{there:?}"
    );
    let id = &changed["id"];
    client.call("delete_memory", json!({"user_id": "ann", "memory_id": id}));
    assert_eq!(teas(&service).len(), 0);
}

#[test]
fn a_change_and_a_deletion_of_a_turn_reach_what_arrived_again() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    let said = say(&mut client, &["twice", "once"]);
    let id = said["results"][0]["id"].clone();
    arrives_again(&service, &service.messages("monday")[..1]);
    say(&mut client, &["after"]);
    let change = json!({"user_id": "ann", "memory_id": id, "metadata": {"sure": true}});
    client.call("update_memory", change);
    let there = service.messages("monday");
    for copy in [&there[0], &there[2]] {
        assert_eq!(copy["metadata"]["sure"], true, "{there:?}");
    }
    client.call("delete_memory", json!({"user_id": "ann", "memory_id": id}));
    for limit in 1..=4 {
        let read = world.connect().read_session_by("ann", "monday", limit);
        assert_eq!(contents(&read), ["once", "after"], "pages of {limit}");
    }
}

/// Soon and often, so that one look comes after the late write on any machine.
const SOON: &str = "1,2,3,5,8,13,21,34,55,89";

/// Sends a turn and a text whose first writes arrive after they were sent again.
fn arrives_late(world: &World, service: &Service) -> Client {
    let mut client = Client::connect(
        world
            .command()
            .env("ZEP_TIMEOUT_SECS", "1")
            .env("ZEP_RECHECK_SECS", SOON),
    );
    say(&mut client, &["before"]);
    client.call(
        "add_memory",
        json!({"user_id": "ann", "text": "Ann likes tea"}),
    );
    for path in ["/api/v2/threads/monday/messages", "/api/v2/graph"] {
        service.next(&json!({
            "method": "POST", "path": path, "fault": {"kind": "late_write", "ms": 2_500},
        }));
    }
    say(&mut client, &["twice"]);
    client.call(
        "add_memory",
        json!({"user_id": "ann", "text": "Ann has a cat"}),
    );
    say(&mut client, &["after"]);
    client
}

/// Waits until each is there once, as far as Zep allows.
fn becomes_single(service: &Service) {
    wait_until("the doubles are removed", || {
        let mut turns = service.messages("monday");
        turns.retain(|turn| {
            let id = turn["uuid"].as_str().unwrap();
            let (status, _) = service.call("GET", &["graph", "episodes", id], None);
            let marks = turn["metadata"]["zm_x"].as_str().unwrap_or_default();
            status != 404 || !marks.contains("double")
        });
        contents(&turns) == ["before", "twice", "after"] && service.texts("ann").len() == 2
    });
}

#[test]
fn the_double_of_a_late_write_is_removed_later() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = arrives_late(&world, &service);
    service.calm();
    becomes_single(&service);
    for limit in 1..=4 {
        let read = client.read_session_by("ann", "monday", limit);
        assert_eq!(
            contents(&read),
            ["before", "twice", "after"],
            "pages of {limit}"
        );
    }
    let listed = client.call("get_memories", json!({"filters": {"user_id": "ann"}}));
    let cats = listed["results"].as_array().unwrap().iter();
    let cats = cats.filter(|memory| memory["memory"].as_str().unwrap().contains("cat"));
    assert_eq!(cats.count(), 1, "{listed}");
}

#[test]
fn another_process_removes_the_double_if_the_first_one_has_ended() {
    let world = World::emulated();
    let service = Service::of(&world);
    drop(arrives_late(&world, &service));
    service.calm();
    let _other = Client::connect(world.command().env("ZEP_RECHECK_SECS", SOON));
    becomes_single(&service);
}

#[test]
fn what_was_deleted_before_its_first_write_arrives_does_not_stay() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = arrives_late(&world, &service);
    let query = json!({"user_id": "ann", "query": "cat", "scope": "episodes"});
    let cat = client.search(query)[0]["id"].clone();
    client.call("delete_memory", json!({"user_id": "ann", "memory_id": cat}));
    service.calm();
    wait_until("the late copy is removed", || {
        service.texts("ann").len() == 1
    });
}
