//! A living mem0. As a source: each memory arrives once, what is gone stays gone, and whatever mem0 does,
//! nothing is lost in silence. In use (`live`): each write happens once.

mod faults;
mod live;
mod platform;
mod qdrant;
mod server;

use serde_json::{Value, json};

use crate::common::mem0_stand_in::{KEY, StandIn};
use crate::common::program::World;

/// How a migration ended.
struct Moved {
    code: i32,
    report: Value,
    stderr: String,
}

impl Moved {
    /// The positions and reasons of what kept something from being migrated.
    fn errors(&self) -> Vec<String> {
        listed(&self.report["errors"])
    }

    fn warnings(&self) -> Vec<String> {
        listed(&self.report["warnings"])
    }

    /// Checks that all of so many memories arrived, and that the validation says so.
    #[track_caller]
    fn has_all(&self, count: u64) -> &Self {
        assert_eq!(self.code, 0, "{:#} {}", self.report, self.stderr);
        assert_eq!(self.report["success"], true, "{:#}", self.report);
        assert_eq!(self.report["memories_migrated"], count, "{:#}", self.report);
        assert_eq!(
            self.report["skipped"], 0,
            "each came once: {:#}",
            self.report
        );
        assert_eq!(
            self.report["validation"]["valid"], true,
            "{:#}",
            self.report
        );
        self
    }

    /// Checks that so many memories arrived, and that the run is no success for this one reason.
    #[track_caller]
    fn lacks(&self, count: u64, at: &str, reason: &str) -> &Self {
        assert_eq!(self.code, 1, "{:#} {}", self.report, self.stderr);
        assert_eq!(self.report["success"], false, "{:#}", self.report);
        assert_eq!(self.report["memories_migrated"], count, "{:#}", self.report);
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(errors[0].starts_with(at), "{at}: {errors:#?}");
        assert!(errors[0].contains(reason), "{reason}: {errors:#?}");
        self
    }
}

fn listed(troubles: &Value) -> Vec<String> {
    let text = |trouble: &Value| {
        let part = |field: &str| trouble[field].as_str().unwrap_or_default().to_owned();
        format!("{}: {} {}", part("position"), part("field"), part("reason"))
    };
    let troubles = troubles.as_array().expect("a list").iter();
    troubles.map(text).collect()
}

/// Migrates from a mem0 Platform with these arguments.
fn migrate(world: &World, mem0: &StandIn, arguments: &[&str]) -> Moved {
    let validate: &[&str] = match arguments.contains(&"--dry-run") {
        true => &[],
        false => &["--validate"],
    };
    run(world, &mem0.url, "mem0", &[arguments, validate].concat())
}

fn run(world: &World, url: &str, system: &str, arguments: &[&str]) -> Moved {
    let mut command = world.command();
    let address = match system {
        "qdrant" => "--qdrant-url",
        _ => "--mem0-url",
    };
    command
        .args(["migrate", "--from", system, address, url, "--json"])
        .args(arguments)
        .env("MEM0_API_KEY", KEY)
        .env("QDRANT_API_KEY", KEY);
    if !arguments.contains(&"--user") {
        command.arg("--all");
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        !format!("{stdout}{stderr}").contains(KEY),
        "a key was shown"
    );
    Moved {
        code: output.status.code().expect("it ended by itself"),
        report: serde_json::from_str(&stdout).unwrap_or(Value::Null),
        stderr,
    }
}

/// A mem0 with so many memories of a user.
fn with_memories(user: &str, count: usize) -> StandIn {
    let mem0 = StandIn::start();
    add(&mem0, user, count);
    mem0
}

fn add(mem0: &StandIn, user: &str, count: usize) {
    for _ in 0..count {
        mem0.add(json!({"user_id": user}));
    }
}

/// The texts of the memories that are stored for a user.
fn stored(world: &World, filters: Value) -> Vec<String> {
    let mut agent = world.connect();
    let page = agent.call(
        "get_memories",
        json!({"filters": filters, "page_size": 200}),
    );
    let text = |memory: &Value| memory["memory"].as_str().unwrap().to_owned();
    let mut texts: Vec<_> = page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    texts.sort();
    texts
}
