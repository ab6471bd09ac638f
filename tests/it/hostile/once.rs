//! Once means once: the same call several times at once, in one process and in two.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::memory::access::Caller;
use zep_mcp_server::memory::import::{Imported, StoredParts};
use zep_mcp_server::memory::model::{Owner, Place, RecordId, Scope, SessionId, TimeOrigin, UserId};
use zep_mcp_server::memory::{MemoryService, NewMemories};
use zep_mcp_server::zep::v3::ZepCloud;
use zep_mcp_server::zep::{Connection, Zep};

use crate::common::on_both_backends;
use crate::common::program::{API_KEY, Client, World, outcome};

on_both_backends!(
    a_call_that_is_sent_three_times_at_once_stores_one_memory,
    a_long_text_that_is_sent_three_times_at_once_is_stored_once,
    a_key_that_is_used_for_two_texts_at_once_stores_one_of_them_whole,
    a_migration_does_not_repeat_what_a_call_stored_since_it_looked,
);

/// Calls for each place that a memory can go to.
fn calls(key: &str) -> [Value; 4] {
    let turns: Vec<Value> = (0..3)
        .map(|n| json!({"role": "user", "content": format!("Turn {n} of {key}")}))
        .collect();
    [
        json!({"text": format!("Text {key}"), "user_id": "ann"}),
        json!({"text": format!("Text {key}"), "agent_id": "cook"}),
        json!({"text": format!("Text {key}"), "user_id": "ann", "session_id": "s"}),
        json!({"messages": turns, "user_id": "ann"}),
    ]
    .map(|mut call| {
        call["idempotency_key"] = json!(key);
        call
    })
}

fn ids(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().unwrap().iter();
    results
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

fn listed(client: &mut Client, whose: Value) -> Vec<String> {
    let mut arguments = json!({"page_size": 200});
    arguments
        .as_object_mut()
        .unwrap()
        .extend(whose.as_object().unwrap().clone());
    let answer = client.call("get_memories", arguments);
    assert_eq!(answer["count"], answer["results"].as_array().unwrap().len());
    let results = answer["results"].as_array().unwrap().iter();
    results
        .map(|one| one["memory"].as_str().unwrap().to_owned())
        .collect()
}

fn a_call_that_is_sent_three_times_at_once_stores_one_memory(world: &World) {
    const KEYS: usize = 5;
    let mut client = world.connect();
    for place in 0..4 {
        let sent: Vec<[u64; 3]> = (0..KEYS)
            .map(|n| {
                let call = &calls(&format!("{place}-{n}"))[place];
                [(); 3].map(|()| client.ask_tool("add_memory", call))
            })
            .collect();
        for same in sent {
            let answers = same.map(|id| outcome(&client.answer_to(id)).unwrap());
            let [one, two, three] = answers.each_ref().map(ids);
            assert_eq!((&one, &one), (&two, &three), "{answers:?}");
        }
    }
    assert_eq!(client.read_session("ann", "s").len(), KEYS);
    assert_eq!(client.read_session("ann", "default").len(), 3 * KEYS);
    let of_ann = listed(&mut client, json!({"user_id": "ann"}));
    let of_cook = listed(&mut client, json!({"agent_id": "cook"}));
    for (all, count) in [(of_ann, 5 * KEYS), (of_cook, KEYS)] {
        assert_eq!(all.len(), count, "{all:?}");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), count);
    }
}

fn long(word: &str) -> String {
    format!("{word} is said. ").repeat(12_015 / (word.len() + 10))
}

fn a_long_text_that_is_sent_three_times_at_once_is_stored_once(world: &World) {
    let mut client = world.connect();
    let call = json!({"text": long("walnut"), "user_id": "ann", "idempotency_key": "k"});
    let sent = [(); 3].map(|()| client.ask_tool("add_memory", &call));
    let answers = sent.map(|id| ids(&outcome(&client.answer_to(id)).unwrap()));
    assert_eq!((&answers[0], &answers[0]), (&answers[1], &answers[2]));
    let shown = client.call("get_memory", json!({"memory_id": answers[0][0]}));
    assert_eq!(shown["memory"], call["text"]);
}

fn a_key_that_is_used_for_two_texts_at_once_stores_one_of_them_whole(world: &World) {
    let mut client = world.connect();
    let texts = [long("walnut"), long("almond")];
    let sent = texts.each_ref().map(|text| {
        let call = json!({"text": text, "user_id": "ann", "idempotency_key": "k"});
        client.ask_tool("add_memory", &call)
    });
    let answers = sent.map(|id| outcome(&client.answer_to(id)));
    let stored: Vec<usize> = (0..2).filter(|&n| answers[n].is_ok()).collect();
    assert_eq!(stored.len(), 1, "{answers:?}");
    let refused = answers[1 - stored[0]].as_ref().unwrap_err();
    assert_eq!(refused["error"], "invalid_argument", "{refused}");
    let id = &ids(answers[stored[0]].as_ref().unwrap())[0];
    let shown = client.call("get_memory", json!({"memory_id": id}));
    assert_eq!(shown["memory"], json!(texts[stored[0]]));
}

fn service(world: &World) -> MemoryService {
    let zep: Arc<dyn Zep> = match world.backend() {
        "zep" => {
            let key = SecretString::from(API_KEY);
            let patience = Duration::from_secs(60);
            let to = Connection::new(world.address(), key, patience).unwrap();
            Arc::new(ZepCloud::new(to))
        }
        _ => {
            let path = world.directory().join("memory.db");
            Arc::new(LocalZep::open(&path, Behavior::default()).unwrap())
        }
    };
    MemoryService::new(zep, UserId::new("ann").unwrap())
}

fn a_migration_does_not_repeat_what_a_call_stored_since_it_looked(world: &World) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (service, caller) = (service(world), Caller::Operator);
        let user = UserId::new("ann").unwrap();
        let owner = Owner::User(user.clone());
        for session in [None, Some(SessionId::new("s").unwrap())] {
            let key = RecordId::new(if session.is_some() { "turn" } else { "text" }).unwrap();
            let place = match &session {
                Some(session) => Place::Session(user.clone(), session.clone()),
                None => Place::Graph(owner.clone()),
            };
            let live = NewMemories {
                scope: Scope {
                    user: Some(user.clone()),
                    session,
                    ..Scope::default()
                },
                text: Some("Likes tea".into()),
                idempotency_key: Some(key.clone()),
                ..NewMemories::default()
            };
            let migrated = Imported {
                id: key,
                speaker: None,
                content: "Likes tea".into(),
                created_at: Timestamp::UNIX_EPOCH,
                time: TimeOrigin::Given,
                updated: None,
                kind: None,
                source: "mem0".into(),
                instead_of: None,
                agent: None,
                app: None,
                metadata: Map::new(),
            };
            let turn = service.import_turn(&caller, &owner).await.unwrap();
            // It looked when nothing was there.
            let looked = Some(StoredParts::default());
            let import = service.import(&caller, &turn, &place, vec![migrated], looked);
            let (added, imported) = tokio::join!(service.add(&caller, live), import);
            added.unwrap();
            imported.unwrap();
            let mut stored = match &place {
                Place::Session(..) => {
                    let threads = service.sessions_of(&caller, &user).await.unwrap().unwrap();
                    let thread = service.thread_among(&user, place.session().unwrap(), &threads);
                    let thread = thread.unwrap();
                    let mut scan = service.scan_thread(&caller, &user, &thread).unwrap();
                    scan.next().await.unwrap().unwrap()
                }
                Place::Graph(owner) => {
                    let mut scan = service.scan_graph(&caller, owner).unwrap();
                    scan.next().await.unwrap().unwrap()
                }
            };
            assert_eq!(stored.len(), 1, "{stored:?}");
            assert_eq!(stored.pop().unwrap().content, "Likes tea");
        }
    });
}

#[test]
fn two_processes_with_the_same_keys_at_once_store_each_memory_once() {
    const KEYS: usize = 160;
    let world = World::embedded();
    let mut clients = [world.connect(), world.connect()];
    let sent: Vec<[u64; 2]> = (0..KEYS)
        .map(|n| {
            // Texts and turns, one by one, so that both processes are at the same key.
            let call = &calls(&format!("key-{n}"))[n % 4];
            clients
                .each_mut()
                .map(|client| client.ask_tool("add_memory", call))
        })
        .collect();
    for same in sent {
        let [one, two] = [0, 1].map(|n| outcome(&clients[n].answer_to(same[n])).unwrap());
        assert_eq!(ids(&one), ids(&two), "{one} {two}");
    }
    let file = world.directory().join("data").join("memory.db");
    let file = rusqlite::Connection::open(file).unwrap();
    let (rows, records): (usize, usize) = file
        .query_row(
            "SELECT count(*), count(DISTINCT metadata ->> '$.zm_id') FROM episode",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!((rows, records), (KEYS / 4 * 6, KEYS / 4 * 6));
}
