//! A long text is one memory of the embedded store, whole, by any of its ids.

use serde_json::{Value, json};
use zep_mcp_server::local::{Behavior, Listing};
use zep_mcp_server::zep::{Graphs, NewEpisode, PartNo, RecordMark};

use super::{Home, note, of};
use crate::common::program::{Client, World};

/// 12,015 characters, with blanks that no part can hold.
fn long_text() -> String {
    let filler = "The rain went on and the river rose. ";
    let blanks = " ".repeat(700);
    let told = format!("We met the zebra.{blanks}{}", filler.repeat(200));
    let end = "We fed the okapi.";
    let room = 12_015 - told.chars().count() - end.len();
    let rest: String = filler.chars().cycle().take(room).collect();
    format!("{told}{rest}{end}")
}

fn memories(client: &mut Client) -> Vec<Value> {
    let answer = client.call("get_memories", json!({"user_id": "ann", "sources": true}));
    let memories = answer["results"].as_array().unwrap().clone();
    assert_eq!(answer["count"], memories.len());
    memories
}

fn ids_of(memory: &Value) -> Vec<Value> {
    let mut ids = memory["sources"].as_array().unwrap().clone();
    ids.push(memory["id"].clone());
    ids
}

#[test]
fn a_long_memory_is_listed_found_and_got_whole_by_any_id() {
    let text = long_text();
    assert_eq!(text.chars().count(), 12_015);
    for place in [
        json!({"text": text}),
        json!({"messages": [{"role": "user", "content": text}], "session_id": "s"}),
    ] {
        let world = World::embedded();
        let mut client = world.connect();
        let mut call = place;
        call["user_id"] = json!("ann");
        call["metadata"] = json!({"mood": "calm", "deep": {"er": 1}});
        let added = client.call("add_memory", call);
        client.call("add_memory", json!({"text": "Short", "user_id": "ann"}));
        let listed = memories(&mut client);
        assert_eq!(listed.len(), 2, "{listed:#?}");
        let fact = listed.iter().find(|one| one["memory"] != "Short").unwrap();
        assert!(fact["memory"] == text.as_str(), "it is a piece");
        assert_eq!(fact["metadata"], json!({"mood": "calm", "deep": {"er": 1}}));
        assert!(ids_of(fact).contains(&added["results"][0]["id"]));
        for word in ["zebra", "okapi"] {
            let found = client.search(json!({"query": word, "user_id": "ann"}));
            assert_eq!(found.len(), 1, "{word}: {found:#?}");
            assert!(found[0]["memory"] == text.as_str(), "{word}: it is a piece");
            let filter = json!({"query": word, "filters": {"AND": [
                {"user_id": "ann"}, {"keywords": {"contains": word}}]}});
            let found = client.call("search_memories", filter);
            assert_eq!(found["results"].as_array().unwrap().len(), 1, "{word}");
            assert!(found["results"][0]["memory"] == text.as_str(), "{word}");
        }
        for id in ids_of(fact) {
            let got = client.call("get_memory", json!({"memory_id": id}));
            assert!(got["memory"] == text.as_str(), "{id}: it is a piece");
        }
    }
}

#[test]
fn a_long_memory_is_changed_and_deleted_whole_by_any_id() {
    let text = long_text();
    let of_parts = 2;
    for nth in 0..=of_parts {
        let world = World::embedded();
        let mut client = world.connect();
        client.call("add_memory", json!({"text": text, "user_id": "ann"}));
        let id = ids_of(&memories(&mut client)[0])[nth].clone();
        let changed = client.call("update_memory", json!({"memory_id": id, "text": "Okapis"}));
        assert_eq!(changed["memory"], "Okapis");
        let listed = memories(&mut client);
        assert_eq!(listed.len(), 1, "{listed:#?}");
        assert_eq!(listed[0]["memory"], "Okapis");
        client.call("delete_memory", json!({"memory_id": changed["id"]}));

        client.call("add_memory", json!({"text": text, "user_id": "bob"}));
        let fact = client.search(json!({"query": "okapi", "user_id": "bob"}));
        let id = ids_of(&fact[0])[nth].clone();
        let deleted = client.call("delete_memory", json!({"memory_id": id}));
        let left = client.search(json!({"query": "rain zebra okapi", "user_id": "bob"}));
        if nth < of_parts {
            assert_eq!(deleted["removed"], "all");
            assert!(left.is_empty(), "{left:#?}");
        } else {
            // The fact alone: its text stays, whole.
            assert_eq!(deleted["removed"], "fact_only");
            assert_eq!(deleted["sources"], fact[0]["sources"]);
            assert_eq!((left.len(), &left[0]["kind"]), (1, &json!("episode")));
            assert!(left[0]["memory"] == text.as_str(), "it is a piece");
        }
    }
}

#[tokio::test]
async fn the_facts_of_parts_in_an_older_file_become_one_and_a_changed_one_stays() {
    let home = Home::new();
    let owner = of(&home.user("u").await);
    let mut facts = Vec::new();
    for record in ["r", "s"] {
        for number in 1..=3 {
            let part = NewEpisode {
                mark: Some(RecordMark {
                    record: record.into(),
                    part: PartNo { number, total: 3 },
                }),
                ..note(&format!("{record} {number}. "))
            };
            // Without a mark of its own, as a fact is drawn from each part.
            let plain = NewEpisode {
                metadata: RecordMark::encode(part.mark.as_ref(), &part.metadata),
                mark: None,
                ..part
            };
            home.zep.add_episode(&owner, &plain).await.unwrap();
        }
    }
    let all = home.zep.list_facts(&owner, &Listing::default()).await;
    for fact in all.unwrap().items {
        facts.push((fact.fact, fact.uuid));
    }
    assert_eq!(facts.len(), 6);
    facts.sort_by(|one, other| one.0.cmp(&other.0));
    let changed = serde_json::from_value(json!({"fact": "changed"})).unwrap();
    home.zep.update_fact(&facts[4].1, &changed).await.unwrap();
    super::once::as_layout_1(&home);

    let zep = zep_mcp_server::local::LocalZep::open(&home.path(), Behavior::default()).unwrap();
    let now = zep.list_facts(&owner, &Listing::default()).await.unwrap();
    let mut now: Vec<_> = now.items.into_iter().map(|fact| fact.fact).collect();
    now.sort();
    assert_eq!(now, ["changed", "r 1. r 2. r 3. ", "s 1. s 2. s 3. "]);
    // The ids of the pieces lead to the whole.
    for (_, id) in &facts[..3] {
        let found = zep.facts_by_id(&owner, std::slice::from_ref(id)).await;
        assert_eq!(found.unwrap()[0].fact, "r 1. r 2. r 3. ");
        assert_eq!(zep.fact(id).await.unwrap().fact, "r 1. r 2. r 3. ");
    }
}
