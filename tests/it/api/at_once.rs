//! Many applications that write at the same time.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::Api;
use crate::common::program::World;

/// Applications that write at once.
const WRITERS: usize = 100;
/// How often each does.
const TURNS: usize = 4;

#[test]
fn a_hundred_writers_are_each_answered_rightly_and_stored_once_in_order() {
    let world = World::embedded();
    let api = Api::of(&world);
    let user = api.user();
    let url = format!("{}/api/memory/messages", api.server.url);
    let write = async |writer: usize| {
        let mut ids = Vec::new();
        for turn in 0..TURNS {
            let role = match (writer + turn) % 5 {
                0 => "nobody",
                _ => "user",
            };
            let new = json!({
                "user_id": user, "session_id": format!("session-{writer}"), "role": role,
                "content": format!("turn {turn}"),
            });
            let sent = api.client.post(&url).body(new.to_string());
            let sent = sent.send().await.unwrap();
            let status = sent.status().as_u16();
            let answer: Value = serde_json::from_str(&sent.text().await.unwrap()).unwrap();
            match role {
                "nobody" => assert_eq!(status, 422, "{answer}"),
                _ => {
                    assert_eq!(status, 201, "{answer}");
                    ids.push(answer["memory_id"].as_str().unwrap().to_owned());
                }
            }
        }
        ids
    };
    let written = api.runtime.block_on(join_all((0..WRITERS).map(write)));
    let different: BTreeSet<&String> = written.iter().flatten().collect();
    assert_eq!(different.len(), written.iter().map(Vec::len).sum::<usize>());
    for (writer, ids) in written.iter().enumerate() {
        let history = api.get(&format!("/api/v1/memory/session-{writer}/history"));
        let messages = history["messages"].as_array().unwrap();
        let stored: Vec<(&Value, &Value)> = messages
            .iter()
            .map(|message| (&message["id"], &message["content"]))
            .collect();
        let turns = (0..TURNS).filter(|turn| (writer + turn) % 5 != 0);
        let expected: Vec<(Value, Value)> = ids
            .iter()
            .zip(turns)
            .map(|(id, turn)| (json!(id), json!(format!("turn {turn}"))))
            .collect();
        let expected: Vec<(&Value, &Value)> = expected.iter().map(|(a, b)| (a, b)).collect();
        assert_eq!(stored, expected, "session {writer}");
    }
}
