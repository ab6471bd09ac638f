//! Servers that are killed at any instant while Zep comes and goes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;

use super::{connect, contents, delivered};
use crate::common::program::{World, outcome};
use crate::common::service::Service;

/// How often a server is killed; more with `KILLS`.
const KILLS: usize = 8;
const SESSIONS: [&str; 3] = ["monday", "tuesday", "wednesday"];

/// The files of this name below the directory of a world.
pub(super) fn files(world: &World, name: &str) -> Vec<PathBuf> {
    fn look(directory: &Path, name: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, name, found);
            } else if path.file_name().is_some_and(|file| file == name) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    look(world.directory(), name, &mut found);
    found
}

/// What was answered, as stored or as queued, is in Zep at the end: once, and in order.
#[test]
fn what_was_promised_is_kept_whenever_the_server_is_killed() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let kills = number("KILLS").unwrap_or(KILLS);
    let mut rng = Rng::with_seed(number("KILLS_SEED").unwrap_or(20_261_129) as u64);
    let world = World::emulated();
    let service = Service::of(&world);
    let mut promised: HashMap<&str, Vec<String>> = HashMap::new();
    let mut said = 0;
    for _ in 0..kills {
        let plan = match rng.u8(..4) {
            0 => json!({}),
            1 => json!({"fail": [{"rate": 0.5, "status": 503}], "latency_ms": 20}),
            2 => json!({"drop_answers": 0.3, "drop_requests": 0.3, "seed": rng.u32(..)}),
            _ => json!({"restarts": {"every_ms": 200, "down_ms": 150}}),
        };
        service.plan(&plan);
        let mut client = connect(&world);
        for _ in 0..rng.usize(1..6) {
            let session = SESSIONS[rng.usize(..SESSIONS.len())];
            said += 1;
            let content = format!("said {said}");
            let call = json!({"user_id": "ann", "session_id": session,
                              "messages": [{"role": "user", "content": content}]});
            let id = client.ask_tool("add_memory", &call);
            if rng.u8(..4) == 0 {
                // Killed while it is at it: nothing is promised, but it may be there.
                thread::sleep(Duration::from_millis(rng.u64(..40)));
                break;
            }
            outcome(&client.answer_to(id)).unwrap();
            promised.entry(session).or_default().push(content);
        }
        drop(client);
    }
    service.calm();
    let mut last = connect(&world);
    delivered(&world);
    for session in SESSIONS {
        let stored = match service
            .threads()
            .iter()
            .any(|(thread, _)| thread == session)
        {
            true => service.messages(session),
            false => Vec::new(),
        };
        let stored = contents(&stored);
        let mut once = stored.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), stored.len(), "doubled in {session}: {stored:?}");
        let promised = promised.remove(session).unwrap_or_default();
        let mut rest = stored.iter();
        for content in &promised {
            assert!(
                rest.any(|there| there == content),
                "{content} is missing or out of order in {session}: {stored:?}"
            );
        }
        if !stored.is_empty() {
            assert_eq!(contents(&last.read_session("ann", session)), stored);
        }
    }
}
