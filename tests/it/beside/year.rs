//! A year of phases in short: users are moved in batches while agents write throughout, and servers are
//! killed. Nobody's memories are in two places or none. `YEAR_USERS` sets how many users (60).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::{Both, listed};
use crate::common::program::Client;
use crate::common::service::Service;

/// How many servers agents use at the same time.
const SERVERS: usize = 3;

fn users() -> usize {
    let users = std::env::var("YEAR_USERS").ok();
    users.map_or(60, |users| users.parse().unwrap())
}

/// What was promised to whom.
type Promised = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// Writes for random users until the year is over; its server is killed now and then.
fn agent(both: &Both, number: usize, promised: &Promised, over: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let names: Vec<String> = (0..users()).map(|n| format!("user-{n}")).collect();
    let mut client: Option<Client> = None;
    let mut n = 0;
    while !over.load(Ordering::Relaxed) {
        let server = client.get_or_insert_with(|| {
            let mut command = both.command("phased");
            command.env("ZEP_MCP_WRITE_WAIT_MS", "500");
            Client::connect(&mut command)
        });
        let user = &names[random.usize(..names.len())];
        n += 1;
        let text = format!("agent {number} said {n}");
        server.call("add_memory", json!({"user_id": user, "text": text}));
        let mut all = promised.lock().unwrap();
        all.entry(user.clone()).or_default().push(text);
        drop(all);
        if random.u8(..) < 6 {
            // Its child ends with it, by SIGKILL.
            client = None;
        }
    }
}

#[test]
fn nobodys_memories_are_in_two_places_or_none() {
    let both = Both::new();
    let promised = Promised::default();
    // Two thirds are in mem0 already.
    for n in (0..users()).filter(|n| n % 3 != 0) {
        let user = format!("user-{n}");
        let texts: Vec<String> = (0..3)
            .map(|n| format!("{user} said {n} long ago"))
            .collect();
        let given: Vec<&str> = texts.iter().map(String::as_str).collect();
        both.remembers(&user, &given);
        promised.lock().unwrap().insert(user, texts);
    }
    let over = AtomicBool::new(false);
    let mut moved = 0;
    thread::scope(|scope| {
        for number in 0..SERVERS {
            let (both, promised, over) = (&both, &promised, &over);
            scope.spawn(move || agent(both, number, promised, over));
        }
        // A third of all users, in batches.
        let batch: Vec<String> = (0..users())
            .filter(|n| n % 3 == 1)
            .map(|n| format!("user-{n}"))
            .collect();
        for batch in batch.chunks(batch.len().div_ceil(4)) {
            let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
            let report = both.migrate(&batch);
            assert_eq!(report["success"], true, "{report:#}");
            assert_eq!(report["validation"]["valid"], true, "{report:#}");
            moved += batch.len();
        }
        over.store(true, Ordering::Relaxed);
    });
    both.settle("phased");

    let status = both.run("phased", &["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let left = users() / 3;
    assert!(moved >= left, "{moved}");
    assert_eq!(status["users_moving"], 0, "{status}");
    let service = Service::of(&both.world);
    let mut client = both.connect("phased");
    for (user, texts) in promised.lock().unwrap().iter_mut() {
        texts.sort();
        let (all, backends) = listed(&mut client, user);
        assert_eq!(&all, texts, "{user}: all of it, once");
        let number: usize = user.trim_start_matches("user-").parse().unwrap();
        let is_mem0s = number % 3 == 2;
        assert_eq!(
            backends,
            [if is_mem0s { json!("mem0") } else { Value::Null }],
            "{user}"
        );
        if is_mem0s {
            assert_eq!(&both.in_mem0(user), texts, "{user}");
            assert!(
                !service.users().contains(user),
                "{user} is not in Zep at all"
            );
        }
    }
}
