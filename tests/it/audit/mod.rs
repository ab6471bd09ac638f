//! The audit trail: who did what to whose memories is in it, exactly once and without content; a change
//! of it is found; and what happens where it cannot be written.

mod commands;
mod doors;
mod files;
mod full;
mod handmade;
mod kills;
mod many;
mod question;
mod routes;
mod tampering;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use zep_mcp_server::audit::{Action, Door, Options, Trail, Who};

use crate::common::program::World;

/// The directory of a world's trail.
fn directory(world: &World) -> PathBuf {
    let places = [
        "data",
        ".local/share/zep-mcp-server",
        "Library/Application Support/zep-mcp-server",
    ];
    let places = places.map(|place| world.directory().join(place).join("audit"));
    let found = places.into_iter().find(|place| place.exists());
    found.expect("a trail")
}

/// The files of a trail, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "jsonl"));
    files.sort();
    files
}

/// The entries of a trail.
fn entries(directory: &Path) -> Vec<Value> {
    let texts = files(directory)
        .into_iter()
        .map(|file| fs::read_to_string(file).unwrap());
    let texts: String = texts.collect();
    texts
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The entries of a trail on tools, routes and commands of this name.
fn entries_on(directory: &Path, call: &str) -> Vec<Value> {
    let mut found = entries(directory);
    found.retain(|entry| entry["call"] == call);
    found
}

/// Runs `audit` with these arguments on a trail.
fn audit(world: &World, directory: &Path, arguments: &[&str]) -> Output {
    let mut command = world.command();
    command
        .args(["audit", "--trail"])
        .arg(directory)
        .args(arguments);
    command.output().unwrap()
}

/// What `audit verify` reports, and its exit code.
fn verified(directory: &Path) -> (Value, i32) {
    let output = audit(&World::embedded(), directory, &["verify", "--json"]);
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (report, output.status.code().unwrap())
}

fn is_intact(directory: &Path) -> Value {
    let (report, code) = verified(directory);
    assert_eq!(code, 0, "{report:#}");
    report
}

/// Writes a trail of this many entries, in files of about this length.
async fn written(directory: &Path, count: usize, max_bytes: u64) -> Trail {
    let trail = Trail::new(Options {
        max_bytes,
        ..Options::new(directory.to_owned(), true, 2_190)
    });
    for number in 0..count {
        enter(&trail, number).await;
    }
    trail
}

/// Adds an entry to a trail.
async fn enter(trail: &Trail, number: usize) {
    let request = Some(format!("request-{number}"));
    let who = Who::operator();
    let call = trail.begin(&who, Door::Mcp, "search_memory", Action::Read, request);
    call.await.unwrap().end("ok").await;
}
