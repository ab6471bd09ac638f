//! Deletions beside changes and additions of the same memories, and deletions whose caller is gone:
//! what was deleted is gone whole, and does not come back.

use serde_json::{Value, json};

use super::{add, listed, shown};
use crate::common::on_both_backends;
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;
use crate::common::wait_until;

on_both_backends!(
    what_is_deleted_while_it_is_changed_is_gone,
    what_is_added_while_everything_is_deleted_is_whole_or_gone,
);

/// More requests than a call of these tests makes.
const MOST_REQUESTS: usize = 40;

/// Longer than all other requests of a call.
const HELD_MS: u64 = 400;

/// Three parts and two.
fn old_text() -> String {
    "Marker of old. ".repeat(1_600)
}
fn new_text() -> String {
    "Marker of new. ".repeat(1_000)
}

fn what_is_deleted_while_it_is_changed_is_gone(world: &World) {
    let mut client = world.connect();
    for n in 0..20 {
        let user = format!("user-{n}");
        let id = add(&mut client, json!({"text": old_text(), "user_id": user}));
        let change = json!({"memory_id": id, "text": new_text(), "user_id": user});
        let deletion = json!({"memory_id": id, "user_id": user});
        let mut calls = [("update_memory", &change), ("delete_memory", &deletion)];
        if n % 2 == 1 {
            calls.reverse();
        }
        let asked = calls.map(|(tool, arguments)| (tool, client.ask_tool(tool, arguments)));
        for (tool, id) in asked {
            let answer = outcome(&client.answer_to(id));
            refused_only_as_gone(tool, &answer);
        }
        assert!(shown(&mut client, &user, "marker").is_empty(), "{n}");
        assert!(shown(&mut world.connect(), &user, "marker").is_empty());
    }
}

/// A deletion succeeds, and a change may come too late.
fn refused_only_as_gone(tool: &str, answer: &Result<Value, Value>) {
    if let Err(error) = answer {
        assert_eq!(
            (tool, &error["error"]),
            ("update_memory", &json!("not_found"))
        );
    }
}

fn what_is_added_while_everything_is_deleted_is_whole_or_gone(world: &World) {
    let mut client = world.connect();
    for n in 0..10 {
        let user = format!("user-{n}");
        add(
            &mut client,
            json!({"text": "Marker before", "user_id": user}),
        );
        let text = json!({"text": old_text(), "user_id": user});
        let turns: Vec<Value> = (0..3)
            .map(|_| json!({"role": "user", "content": "Marker. ".repeat(1_000)}))
            .collect();
        let turns = json!({"messages": turns, "user_id": user, "session_id": user});
        let everything = json!({"user_id": user});
        let mut calls = [
            ("add_memory", &text),
            ("delete_all_memories", &everything),
            ("add_memory", &turns),
        ];
        calls.rotate_left(n % 3);
        let asked = calls.map(|(tool, arguments)| client.ask_tool(tool, arguments));
        for id in asked {
            outcome(&client.answer_to(id)).unwrap();
        }
        let texts = client.search(json!({"query": "marker", "user_id": user, "scope": "episodes"}));
        let alone: Vec<&Value> = texts
            .iter()
            .filter(|text| text["session_id"].is_null())
            .map(|text| &text["memory"])
            .collect();
        assert!(
            alone.is_empty() || alone == [&json!(old_text())],
            "{n}: {} texts are left",
            alone.len()
        );
        let sessions = client.call("list_sessions", json!({"user_id": user}));
        if sessions["total_count"] == 1 {
            let read = client.read_session(&user, &user);
            assert!(
                matches!(read.len(), 0 | 3),
                "{n}: {} of 3 turns",
                read.len()
            );
            for turn in read {
                assert_eq!(turn["content"], "Marker. ".repeat(1_000));
            }
        }
    }
}

/// Makes a call and holds its requests up, one in each round; makes the second call meanwhile.
/// Checks the outcomes after each round.
struct Meeting<'a> {
    flags: &'a [&'a str],
    make: fn(&mut Client, &str) -> String,
    first: fn(&str, &str) -> (&'static str, Value),
    second: fn(&str, &str) -> (&'static str, Value),
}

/// A world between the calls of a meeting and its check.
struct Met<'a> {
    world: &'a World,
    service: &'a Service,
    user: String,
    first: Result<Value, Value>,
    second: Result<Value, Value>,
}

impl Meeting<'_> {
    fn at_every_request(&self, check: impl Fn(&Met)) {
        let world = World::emulated_with(self.flags);
        let service = Service::of(&world);
        let mut client = world.connect();
        for after in 0..MOST_REQUESTS {
            let user = format!("user-{after}");
            let id = (self.make)(&mut client, &user);
            service.count_anew();
            service.next(&json!({
                "after": after, "path": "/api/v2/", "fault": {"kind": "latency", "ms": HELD_MS},
            }));
            let (tool, arguments) = (self.first)(&id, &user);
            let asked = client.ask_tool(tool, &arguments);
            let mut first = None;
            wait_until("a request is held up, or the call is over", || {
                first = client.answered(asked);
                first.is_some() || service.counted()["latency"] == 1
            });
            let is_over = first.is_some() && service.counted()["latency"] != 1;
            let (tool, arguments) = (self.second)(&id, &user);
            let second_asked = client.ask_tool(tool, &arguments);
            let first = outcome(&first.unwrap_or_else(|| client.answer_to(asked)));
            let second = outcome(&client.answer_to(second_asked));
            service.calm();
            if is_over {
                assert!(after > 3, "nothing was held up");
                return;
            }
            check(&Met {
                world: &world,
                service: &service,
                user,
                first,
                second,
            });
        }
        panic!("a call takes more than {MOST_REQUESTS} requests");
    }
}

fn old_one(client: &mut Client, user: &str) -> String {
    add(client, json!({"text": old_text(), "user_id": user}))
}

fn change(id: &str, user: &str) -> (&'static str, Value) {
    let change = json!({"memory_id": id, "text": new_text(), "user_id": user});
    ("update_memory", change)
}

fn deletion(id: &str, user: &str) -> (&'static str, Value) {
    ("delete_memory", json!({"memory_id": id, "user_id": user}))
}

fn everything(_: &str, user: &str) -> (&'static str, Value) {
    ("delete_all_memories", json!({"user_id": user}))
}

fn no_text_is_left(met: &Met) {
    assert!(met.service.texts(&met.user).is_empty(), "{}", met.user);
    let left = shown(&mut met.world.connect(), &met.user, "marker");
    assert!(left.is_empty(), "{}", met.user);
}

#[test]
fn a_change_that_a_deletion_meets_does_not_bring_the_text_back() {
    let meeting = Meeting {
        flags: &[],
        make: old_one,
        first: change,
        second: deletion,
    };
    meeting.at_every_request(|met| {
        refused_only_as_gone("update_memory", &met.first);
        assert_eq!(met.second.as_ref().unwrap()["removed"], "all");
        no_text_is_left(met);
    });
}

#[test]
fn a_deletion_that_a_change_meets_is_not_undone() {
    let meeting = Meeting {
        flags: &[],
        make: old_one,
        first: deletion,
        second: change,
    };
    meeting.at_every_request(|met| {
        assert_eq!(met.first.as_ref().unwrap()["removed"], "all");
        assert_eq!(met.second.as_ref().unwrap_err()["error"], "not_found");
        no_text_is_left(met);
    });
}

#[test]
fn a_change_that_a_deletion_of_everything_meets_does_not_bring_the_text_back() {
    let meeting = Meeting {
        flags: &[],
        make: old_one,
        first: change,
        second: everything,
    };
    meeting.at_every_request(|met| {
        assert!(met.second.is_ok(), "{:?}", met.second);
        no_text_is_left(met);
    });
}

#[test]
fn a_turn_that_is_deleted_while_its_fields_change_stays_hidden() {
    fn turn(client: &mut Client, user: &str) -> String {
        let said = json!([{"role": "user", "content": "Marker. ".repeat(1_000)}]);
        add(
            client,
            json!({"messages": said, "user_id": user, "session_id": user}),
        )
    }
    fn fields(id: &str, user: &str) -> (&'static str, Value) {
        let change = json!({"memory_id": id, "metadata": {"secret": 1}, "user_id": user});
        ("update_memory", change)
    }
    for (first, second) in [
        (
            fields as fn(&str, &str) -> _,
            deletion as fn(&str, &str) -> _,
        ),
        (deletion, fields),
    ] {
        let meeting = Meeting {
            flags: &["--episode-deletion", "keeps-message"],
            make: turn,
            first,
            second,
        };
        meeting.at_every_request(|met| {
            for message in met.service.messages(&met.user) {
                let metadata = message["metadata"].to_string();
                assert!(
                    metadata.contains("deleted") && !metadata.contains("secret"),
                    "{metadata}"
                );
            }
            let mut client = met.world.connect();
            assert!(client.read_session(&met.user, &met.user).is_empty());
            assert!(shown(&mut client, &met.user, "marker").is_empty());
        });
    }
}

#[test]
fn what_is_being_added_when_everything_is_deleted_is_gone_whole() {
    let meeting = Meeting {
        flags: &[],
        make: old_one,
        first: |_, user| {
            let turns = vec![json!({"role": "user", "content": "Marker. ".repeat(16_000)}); 2];
            let call = json!({"messages": turns, "user_id": user, "session_id": user});
            ("add_memory", call)
        },
        second: everything,
    };
    meeting.at_every_request(|met| {
        assert!(met.first.is_ok() && met.second.is_ok());
        no_text_is_left(met);
        assert_eq!(
            met.service
                .threads()
                .iter()
                .filter(|(_, user)| *user == met.user)
                .count(),
            0
        );
    });
}

#[test]
fn what_is_added_while_everything_is_being_deleted_stays_whole() {
    let meeting = Meeting {
        flags: &[],
        make: old_one,
        first: everything,
        second: |_, user| ("add_memory", json!({"text": new_text(), "user_id": user})),
    };
    meeting.at_every_request(|met| {
        assert!(met.first.is_ok() && met.second.is_ok());
        let texts = met.service.texts(&met.user);
        assert_eq!(texts.len(), 2, "{texts:?}");
        let left = shown(&mut met.world.connect(), &met.user, "marker");
        assert!(left.iter().all(|text| !text.contains("old")));
    });
}

/// Makes a deletion, holds up its requests, one in each round, and leaves it there. Afterwards
/// either all of the `whole` parts are stored, or nothing.
fn abandoned(whole: usize, tool: &str, make: impl Fn(&mut Client, &str), leave: fn(Client, u64)) {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut deleted = 0;
    for after in 0..MOST_REQUESTS {
        let user = format!("user-{after}");
        let mut client = world.connect();
        make(&mut client, &user);
        let id = service.texts(&user)[0]["uuid"].clone();
        assert_eq!(service.texts(&user).len(), whole);
        service.count_anew();
        service.next(&json!({
            "after": after, "path": "/api/v2/", "fault": {"kind": "latency", "ms": HELD_MS},
        }));
        let arguments = match tool {
            "delete_memory" => json!({"memory_id": id, "user_id": user}),
            _ => json!({"user_id": user}),
        };
        let asked = client.ask_tool(tool, &arguments);
        let mut answer = None;
        wait_until("a request is held up, or the call is over", || {
            answer = client.answered(asked);
            answer.is_some() || service.counted()["latency"] == 1
        });
        if answer.is_some() && service.counted()["latency"] != 1 {
            assert!(deleted > 2, "it was never carried on");
            return;
        }
        // It ends once everything begun is finished.
        leave(client, asked);
        service.calm();
        let left = match service.users().contains(&user) {
            true => service.texts(&user).len(),
            false => 0,
        };
        assert!(left == 0 || left == whole, "{after}: {left} of {whole}");
        deleted += usize::from(left == 0);
    }
    panic!("a deletion takes more than {MOST_REQUESTS} requests");
}

fn long_one(client: &mut Client, user: &str) {
    old_one(client, user);
}

fn several(client: &mut Client, user: &str) {
    for n in 0..4 {
        add(
            client,
            json!({"text": format!("Marker {n}"), "user_id": user}),
        );
    }
}

fn cancel(mut client: Client, asked: u64) {
    client.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": asked},
    }));
    client.close();
}

fn close(client: Client, _: u64) {
    client.close();
}

#[test]
fn a_deletion_that_is_cancelled_is_finished_or_not_begun() {
    abandoned(3, "delete_memory", long_one, cancel);
}

#[test]
fn a_deletion_whose_client_is_gone_is_finished_or_not_begun() {
    abandoned(3, "delete_memory", long_one, close);
}

#[test]
fn a_deletion_of_everything_that_is_cancelled_is_finished() {
    abandoned(4, "delete_all_memories", several, cancel);
}

#[test]
fn a_text_that_was_changed_before_is_not_deleted_by_its_old_id() {
    let world = World::emulated();
    let mut client = world.connect();
    let id = add(
        &mut client,
        json!({"text": "Marker of old", "user_id": "ann"}),
    );
    client.call(
        "update_memory",
        json!({"memory_id": id, "text": "Marker of new"}),
    );
    let error = client.refused("delete_memory", json!({"memory_id": id}));
    assert_eq!(error["error"], "not_found");
    assert_eq!(listed(&mut client, "ann").len(), 1);
}
