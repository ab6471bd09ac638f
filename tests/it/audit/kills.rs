//! Servers that are killed while they write the trail.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{directory, entries, is_intact};
use crate::common::program::{Client, World};

/// How often servers are killed; more with `KILLS`.
const KILLS: usize = 6;

#[test]
fn what_was_answered_is_in_the_trail_whenever_a_server_is_killed() {
    let kills = std::env::var("KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let world = World::embedded();
    let mut rng = fastrand::Rng::with_seed(20_261_129);
    let mut answered = 0;
    for _ in 0..kills {
        let mut clients: [Client; 2] = [world.connect(), world.connect()];
        let ids: Vec<Vec<u64>> = clients
            .iter_mut()
            .map(|client| {
                let ask = |number: usize| {
                    let call = json!({"user_id": "ann", "query": format!("cat {number}")});
                    client.ask_tool("search_memory", &call)
                };
                (0..200).map(ask).collect()
            })
            .collect();
        // After some answers, at any instant.
        for (client, ids) in clients.iter_mut().zip(&ids) {
            for id in &ids[..rng.usize(1..20)] {
                client.answer_to(*id);
                answered += 1;
            }
        }
        thread::sleep(Duration::from_millis(rng.u64(..50)));
        for (client, ids) in clients.iter_mut().zip(&ids) {
            client.kill();
            answered += ids
                .iter()
                .filter(|id| client.answered(**id).is_some())
                .count();
        }
        drop(clients);
        let trail = directory(&world);
        is_intact(&trail);
        let entered = super::entries_on(&trail, "search_memory");
        assert!(entered.len() >= answered, "{} of {answered}", entered.len());
    }
    assert!(answered > 0);
    let trail = directory(&world);
    let mut requests: Vec<_> = entries(&trail)
        .iter()
        .map(|entry| entry["request"].to_string())
        .collect();
    let all = requests.len();
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), all, "none is there twice");
}
