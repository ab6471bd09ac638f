//! `status`: the same in a terminal.

use std::process::Output;

use serde_json::{Value, json};

use crate::api::{command, token, tokens};
use crate::common::program::World;
use crate::http::server::Server;

/// What `status --json` says, and its exit code.
fn status(world: &World, more: &[&str], token: Option<&str>) -> (i32, Value) {
    let output = run(world, &[&["--json"], more].concat(), token);
    let text = String::from_utf8(output.stdout).unwrap();
    let said = serde_json::from_str(&text);
    let said = said.unwrap_or_else(|error| panic!("{error}: {text} {:?}", output.stderr));
    (output.status.code().unwrap(), said)
}

fn run(world: &World, more: &[&str], token: Option<&str>) -> Output {
    let mut command = world.command();
    command.arg("status").args(more);
    if let Some(token) = token {
        command.env("MCP_AUTH_TOKEN", token);
    }
    command.output().unwrap()
}

#[test]
fn everything_that_is_well_is_told() {
    let world = World::emulated();
    let mut client = world.connect();
    client.call("add_memory", json!({"text": "likes tea", "user_id": "ann"}));
    let (code, said) = status(&world, &[], None);
    assert_eq!((code, &said["well"]), (0, &json!(true)), "{said:#}");
    assert!(said["answered_in_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(said["users_in_zep"], 1);
    assert_eq!(said["queue"]["waiting"], 0);
    assert_eq!(said["migrations"]["done"], 0);
    assert_eq!(said["audit_trail"], "written");
    assert_eq!(said["server"], Value::Null);
    let text = String::from_utf8(run(&world, &[], None).stdout).unwrap();
    for word in [
        "answered in",
        "1 users",
        "migrations: 0 under way",
        "audit trail: written",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn what_needs_a_look_is_named_and_the_rest_is_told_all_the_same() {
    let world = World::emulated();
    let mut command = world.command();
    // Nothing listens there.
    command
        .args(["status", "--json"])
        .env("ZEP_API_URL", "http://127.0.0.1:9");
    let output = command.output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said["well"], false);
    for missing in ["answered_in_ms", "users_in_zep"] {
        assert_eq!(said[missing], Value::Null);
    }
    assert_eq!(said["queue"]["waiting"], 0);
    let problems = said["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].as_str().unwrap().starts_with("the backend: "));
}

#[test]
fn a_running_server_is_asked_with_the_operators_token() {
    let world = World::embedded();
    let names = [("operator", "operator", None), ("reader", "reader", None)];
    let file = tokens(world.directory(), &names);
    let server = Server::run(&mut command(
        &world,
        &["--auth-tokens-file", file.to_str().unwrap()],
    ));
    let there = ["--url", &server.url];
    let (code, said) = status(&world, &there, Some(&token("operator")));
    assert_eq!(code, 0, "{said:#}");
    let (code, said) = status(&world, &there, Some(&token("operator")));
    assert_eq!(code, 0);
    assert!(
        said["server"]["requests"].as_u64().unwrap() >= 1,
        "{said:#}"
    );
    assert_eq!(said["server"]["failed"], 0);
    assert!(said["server"]["most_within_ms"].as_f64().unwrap() > 0.0);
    for token in [None, Some(token("reader"))] {
        let (code, said) = status(&world, &there, token.as_deref());
        assert_eq!(code, 1);
        let problem = said["problems"][0].as_str().unwrap();
        assert!(problem.contains("set MCP_AUTH_TOKEN"), "{problem}");
    }
    // A token is not sent in the clear.
    for url in ["http://memory.example.com", "no address"] {
        let refused = run(&world, &["--url", url], Some(&token("operator")));
        let why = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{why}");
        assert!(why.contains("--url"), "{why}");
    }
}
