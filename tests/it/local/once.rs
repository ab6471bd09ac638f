//! A record is stored once: the file itself refuses a second one. Zep's HTTP API, which knows no marks,
//! keeps doubles.

use serde_json::{Value, json};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::zep::{
    Error, Graphs, NewEpisode, NewMessage, Owner, PartNo, RecordMark, Threads,
};

use super::{Home, message, note, object, of};
use crate::common::program::{Client, World};

fn marked(record: &str, text: &str) -> NewMessage {
    NewMessage {
        mark: Some(RecordMark::whole(record)),
        ..message(text)
    }
}

fn part(record: &str, number: u32, total: u32, text: &str) -> NewEpisode {
    NewEpisode {
        mark: Some(RecordMark {
            record: record.into(),
            part: PartNo { number, total },
        }),
        ..note(text)
    }
}

#[tokio::test]
async fn a_second_record_of_one_id_is_refused_and_nothing_of_its_call_is_stored() {
    let (home, person, thread) = Home::with_thread(Behavior::default()).await;
    let owner = of(&person);
    home.zep
        .add_messages(&thread, &[marked("r", "one")])
        .await
        .unwrap();
    let both = [marked("s", "two"), marked("r", "one")];
    let refused = home.again().add_messages(&thread, &both).await;
    assert!(
        matches!(refused, Err(Error::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(home.contents(&thread).await, ["one"]);
    // The same id at another place, or of another owner, is another record.
    let other = home.thread("other", &person).await;
    home.zep
        .add_messages(&other, &[marked("r", "one")])
        .await
        .unwrap();
    let bob = of(&home.user("bob").await);
    for owner in [&owner, &bob] {
        home.zep
            .add_episode(owner, &part("r", 1, 1, "text"))
            .await
            .unwrap();
        // A part of another split of it, too.
        for again in [part("r", 1, 1, "text"), part("r", 1, 2, "te")] {
            let refused = home.again().add_episode(owner, &again).await;
            assert!(
                matches!(refused, Err(Error::Conflict { .. })),
                "{refused:?}"
            );
        }
        home.zep
            .add_episode(owner, &part("p", 1, 2, "a"))
            .await
            .unwrap();
        home.zep
            .add_episode(owner, &part("p", 2, 2, "b"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_was_deleted_may_be_stored_again() {
    let (home, person, thread) = Home::with_thread(Behavior::default()).await;
    let text = part("r", 1, 1, "text");
    let stored = home.zep.add_episode(&of(&person), &text).await.unwrap();
    home.zep.delete_episode(&stored.uuid).await.unwrap();
    home.zep.add_episode(&of(&person), &text).await.unwrap();
    let turn = [marked("r", "one")];
    home.zep.add_messages(&thread, &turn).await.unwrap();
    home.zep.delete_thread(&thread).await.unwrap();
    home.thread("t", &person).await;
    home.zep.add_messages(&thread, &turn).await.unwrap();
    assert_eq!(home.contents(&thread).await, ["one"]);
}

#[tokio::test]
async fn what_arrives_without_a_mark_may_be_stored_twice_as_in_zep() {
    let (home, person, thread) = Home::with_thread(Behavior::default()).await;
    let metadata = object(json!({"zm_id": "r"}));
    let raw = NewMessage {
        metadata: metadata.clone(),
        ..message("one")
    };
    for _ in 0..2 {
        home.zep
            .add_messages(&thread, std::slice::from_ref(&raw))
            .await
            .unwrap();
        home.note(&of(&person), "text", Value::from(metadata.clone()))
            .await;
    }
    assert_eq!(home.contents(&thread).await, ["one", "one"]);
    assert_eq!(home.find(&of(&person), "text").await.len(), 2);
}

#[tokio::test]
async fn a_record_that_arrived_without_a_mark_is_not_stored_again_with_one() {
    let (home, person, thread) = Home::with_thread(Behavior::default()).await;
    let raw = NewMessage {
        metadata: object(json!({"zm_id": "r"})),
        ..message("one")
    };
    home.zep.add_messages(&thread, &[raw]).await.unwrap();
    home.note(
        &of(&person),
        "text",
        json!({"zm_id": "r", "zm_part": "2/2"}),
    )
    .await;
    let refused = home.zep.add_messages(&thread, &[marked("r", "one")]).await;
    assert!(
        matches!(refused, Err(Error::Conflict { .. })),
        "{refused:?}"
    );
    let again = part("r", 2, 2, "text");
    let refused = home.zep.add_episode(&of(&person), &again).await;
    assert!(
        matches!(refused, Err(Error::Conflict { .. })),
        "{refused:?}"
    );
    // Another part of it, and the same record in another session.
    let other = part("r", 1, 2, "te");
    home.zep.add_episode(&of(&person), &other).await.unwrap();
    let elsewhere = home.thread("elsewhere", &person).await;
    let turn = [marked("r", "one")];
    home.zep.add_messages(&elsewhere, &turn).await.unwrap();
}

/// What arrives through Zep's HTTP API on the same file may repeat what was stored once.
#[test]
fn copies_that_came_into_the_file_otherwise_are_shown_once_at_any_page_size() {
    let world = World::embedded();
    let mut client = world.connect();
    let mut said: Vec<String> = Vec::new();
    let mut say = |client: &mut Client, turns: std::ops::Range<usize>| {
        let turns: Vec<String> = turns.map(|n| format!("turn {n}")).collect();
        let turn = |turn: &String| json!({"role": "user", "content": turn});
        let messages: Vec<Value> = turns.iter().map(turn).collect();
        let new = json!({"user_id": "ann", "session_id": "monday", "messages": messages});
        client.call("add_memory", new);
        said.extend(turns);
    };
    say(&mut client, 0..30);
    let zep = LocalZep::open(
        &world.directory().join("data/memory.db"),
        Behavior::default(),
    );
    let zep = zep.unwrap();
    let copy = async |which: std::ops::Range<usize>| {
        let thread = super::thread("monday");
        let page = zep.all_messages(&thread).await.unwrap();
        let copies: Vec<NewMessage> = page.messages[which]
            .iter()
            .map(|there| NewMessage {
                created_at: there.created_at,
                metadata: there.metadata.clone().unwrap(),
                ..message(&there.content)
            })
            .collect();
        zep.add_messages(&thread, &copies).await.unwrap();
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    say(&mut client, 30..50);
    runtime.block_on(copy(2..5));
    say(&mut client, 50..80);
    runtime.block_on(copy(40..42));
    say(&mut client, 80..82);
    for limit in [1, 2, 3, 4, 5, 20, 35, 50, 81, 82, 100, 200] {
        // Another process knows nothing of what this one read.
        let mut other = world.connect();
        let last = json!({"user_id": "ann", "session_id": "monday", "last": limit});
        let newest = other.call("get_session", last);
        let pages = world.connect().read_session_by("ann", "monday", limit);
        for (read, expected) in [
            (
                newest["messages"].as_array().unwrap(),
                &said[said.len().saturating_sub(limit)..],
            ),
            (&pages, &said[..]),
        ] {
            let read: Vec<&str> = read
                .iter()
                .map(|one| one["content"].as_str().unwrap())
                .collect();
            assert_eq!(read, expected, "{limit}");
        }
    }
}

/// The file as a release with layout 1 left it.
pub(super) fn as_layout_1(home: &Home) {
    let file = rusqlite::Connection::open(home.path()).unwrap();
    file.execute_batch(
        "DROP INDEX episode_once; ALTER TABLE episode DROP COLUMN once;
         PRAGMA user_version = 1",
    )
    .unwrap();
}

async fn texts(home: &Home, owner: &Owner) -> Vec<String> {
    let pages = home
        .zep
        .episodes(owner, zep_mcp_server::zep::TimeOrder::OldestFirst, 50);
    let all = pages.all().await.unwrap();
    all.into_iter().map(|episode| episode.content).collect()
}

#[tokio::test]
async fn doubles_of_an_older_file_are_removed_where_nothing_but_their_time_tells_them_apart() {
    let (home, person, thread) = Home::with_thread(Behavior::default()).await;
    let owner = of(&person);
    let raw = |name: &str, text: &str, metadata: Value| NewMessage {
        name: Some(name.into()),
        metadata: object(metadata),
        ..message(text)
    };
    let turns = [
        raw("Ann", "first", json!({"zm_id": "a"})),
        raw("Ann", "first", json!({"zm_id": "a"})),
        raw("Ann", "other words", json!({"zm_id": "a"})),
        raw("Ann", "first", json!({"zm_id": "a", "mood": "calm"})),
        raw("Bob", "first", json!({"zm_id": "a"})),
        raw("Ann", "first", json!({"zm_id": "b"})),
        raw("Ann", "first", json!({})),
        raw("Ann", "first", json!({})),
        raw("Ann", "part", json!({"zm_id": "c", "zm_part": "1/2"})),
        raw("Ann", "part", json!({"zm_id": "c", "zm_part": "2/2"})),
        raw("Ann", "part", json!({"zm_id": "c", "zm_part": "2/2"})),
    ];
    let added = home.zep.add_messages(&thread, &turns).await.unwrap();
    let mut notes = Vec::new();
    for (text, record) in [("tea", "d"), ("tea", "d"), ("nuts", "e"), ("nuts", "e")] {
        let stored = home.note(&owner, text, json!({"zm_id": record})).await;
        notes.push(stored.uuid);
    }
    // Somebody deleted a fact of one of two equal texts since.
    let fact = home.find(&owner, "nuts").await;
    assert_eq!(fact.len(), 2);
    let facts = home.zep.search(&owner, &super::question("nuts")).await;
    let facts = facts.unwrap().edges;
    let of_later = facts
        .iter()
        .find(|fact| fact.episodes == [notes[3].clone()]);
    home.zep.delete_fact(&of_later.unwrap().uuid).await.unwrap();
    as_layout_1(&home);

    let page = home.again().all_messages(&thread).await.unwrap();
    let kept: Vec<_> = page.messages.iter().map(|one| one.uuid.clone()).collect();
    let expected: Vec<_> = [0, 2, 3, 4, 5, 6, 7, 8, 9]
        .map(|n: usize| Some(added.message_uuids[n].clone()))
        .into();
    assert_eq!(kept, expected);
    let mut left = texts(&home, &owner).await;
    left.retain(|text| text == "tea" || text == "nuts");
    assert_eq!(left, ["tea", "nuts", "nuts"]);
    assert_eq!(home.find(&owner, "tea").await, ["tea"]);
    // The earliest counts from now on.
    for record in ["d", "e"] {
        let again = home.zep.add_episode(&owner, &part(record, 1, 1, "x")).await;
        assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    }
    let again = home
        .zep
        .add_messages(&thread, &[marked("a", "first")])
        .await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    // Its speakers are still counted right: the last message of each takes their entity along.
    home.zep.delete_thread(&thread).await.unwrap();
    let nodes = home
        .zep
        .list_nodes(&owner, &zep_mcp_server::local::Listing::default())
        .await
        .unwrap();
    assert_eq!(nodes.items.len(), 1, "the user alone");
}
