//! Writes that are safe while Zep is away: the queue, seen from a client, from the command line, and in
//! what Zep holds at the end.

mod away;
mod command;
mod kills;
mod limits;
mod reading;
mod sealed;

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::common::program::{Client, World};
use crate::common::service::Service;
use crate::common::wait_until;

/// How long calls wait for Zep here, in milliseconds. Nothing depends on it but the time of the tests.
const WAIT_MS: &str = "150";

/// The command of a server that does not wait long for Zep.
fn hurried(world: &World) -> Command {
    let mut command = world.command();
    command
        .env("ZEP_MCP_WRITE_WAIT_MS", WAIT_MS)
        .env("ZEP_TIMEOUT_SECS", "3");
    command
}

fn connect(world: &World) -> Client {
    Client::connect(&mut hurried(world))
}

/// Zep fails every request.
fn away(service: &Service) {
    service.plan(&json!({"fail": [{"rate": 1.0, "status": 503}]}));
}

/// Adds a memory that is queued; gives its id.
fn queued(client: &mut Client, arguments: Value) -> String {
    let answer = client.call("add_memory", arguments);
    assert_eq!(answer["status"], "QUEUED", "{answer}");
    answer["results"][0]["id"].as_str().unwrap().to_owned()
}

/// Adds a memory that Zep has then; gives its id, or the queue's.
fn stored(world: &World, client: &mut Client, arguments: Value) -> String {
    let answer = client.call("add_memory", arguments);
    delivered(world);
    answer["results"][0]["id"].as_str().unwrap().to_owned()
}

/// Runs `queue` with these arguments.
fn queue(world: &World, arguments: &[&str]) -> Output {
    let mut command = hurried(world);
    command.arg("queue").args(arguments).output().unwrap()
}

/// The entries of the queue.
fn entries(world: &World) -> Vec<Value> {
    let output = queue(world, &["list", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until Zep has everything.
fn delivered(world: &World) {
    wait_until("everything is delivered", || entries(world).is_empty());
}

fn contents(messages: &[Value]) -> Vec<&str> {
    let contents = messages.iter();
    contents
        .map(|message| message["content"].as_str().unwrap())
        .collect()
}
