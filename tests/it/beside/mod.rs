//! mem0 beside Zep, or in its place: as seen by agents, in what each of them holds at the end, and in what is
//! sent to mem0.

mod kept;
mod only;
mod phased;
mod year;

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::common::mem0_stand_in::{KEY, StandIn};
use crate::common::program::{Client, World};
use crate::common::wait_until;

/// A server with a mem0, and with Zep behind the emulator.
pub struct Both {
    world: World,
    mem0: StandIn,
}

impl Both {
    pub fn new() -> Self {
        Self {
            world: World::emulated(),
            mem0: StandIn::start(),
        }
    }

    /// Somebody whose memories are in mem0.
    pub fn remembers(&self, user: &str, texts: &[&str]) -> Vec<String> {
        let add = |text: &&str| {
            self.mem0
                .add(json!({"user_id": user, "memory": text, "run_id": "monday"}))
        };
        texts.iter().map(add).collect()
    }

    pub fn command(&self, backend: &str) -> Command {
        let mut command = self.world.command();
        command
            .env("MEMORY_BACKEND", backend)
            .env("MEM0_API_KEY", KEY)
            .env("MEM0_BASE_URL", &self.mem0.url);
        command
    }

    pub fn connect(&self, backend: &str) -> Client {
        Client::connect(&mut self.command(backend))
    }

    /// Runs the program with these arguments.
    fn run(&self, backend: &str, arguments: &[&str]) -> Output {
        self.command(backend).args(arguments).output().unwrap()
    }

    /// Moves these users, or everybody.
    #[track_caller]
    fn migrate(&self, users: &[&str]) -> Value {
        let mut arguments = vec!["migrate", "--from", "mem0", "--json"];
        match users {
            [] => arguments.push("--all"),
            users => users
                .iter()
                .for_each(|user| arguments.extend(["--user", user])),
        }
        let output = self.run("phased", &arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text} {:?}", output.stderr))
    }

    /// Waits until nothing waits for Zep, and mem0 was told everything.
    fn settle(&self, backend: &str) {
        wait_until("nothing waits", || {
            let output = self.run(backend, &["queue", "flush", "--wait", "60"]);
            output.status.success()
        });
    }

    /// The texts that mem0 has of somebody, sorted.
    fn in_mem0(&self, user: &str) -> Vec<String> {
        let state = self.mem0.state();
        let own = state
            .memories
            .iter()
            .filter(|memory| memory["user_id"] == user);
        let mut texts: Vec<String> = own
            .map(|memory| memory["memory"].as_str().unwrap().to_owned())
            .collect();
        texts.sort();
        texts
    }
}

/// The texts of memories, sorted.
fn texts(memories: &Value) -> Vec<String> {
    let list = memories.as_array().unwrap();
    let mut texts: Vec<String> = list
        .iter()
        .map(|memory| memory["memory"].as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    texts
}

/// What the list of somebody's memories has, sorted; with the backend that each names.
pub fn listed(client: &mut Client, user: &str) -> (Vec<String>, Vec<Value>) {
    let page = client.call("get_memories", json!({"user_id": user, "page_size": 200}));
    let backends = page["results"].as_array().unwrap().iter();
    let mut backends: Vec<Value> = backends.map(|memory| memory["backend"].clone()).collect();
    backends.dedup();
    (texts(&page["results"]), backends)
}
