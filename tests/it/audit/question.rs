//! "Who saw this patient's memory in March?" is one command.

use serde_json::{Value, json};

use super::{audit, handmade, is_intact};
use crate::common::program::World;

fn entry(who: &str, call: &str, action: &str, user: &str, outcome: &str) -> Value {
    json!({
        "who": who, "role": "reader", "auth": "token", "door": "mcp", "call": call,
        "action": action, "owners": [{"user": user, "right": action}], "ids": ["m-1"],
        "outcome": outcome, "micros": 1_200, "request": format!("{who}/1"),
    })
}

fn trail(world: &World) -> std::path::PathBuf {
    let directory = world.directory().join("copied");
    let read = |who: &str, user: &str| entry(who, "search_memory", "read", user, "ok");
    let mut many = entry("=cmd", "list_entities", "read", "carol", "ok");
    many["owners_more"] = 5.into();
    handmade::write(
        &directory,
        &[
            ("2026-02-28T23:59:59.999999Z", read("february", "ann")),
            ("2026-03-01T00:00:00.000000Z", read("dr-adams", "ann")),
            ("2026-03-04T09:00:00.000000Z", read("dr-adams", "ann")),
            ("2026-03-05T09:00:00.000000Z", read("dr-baker", "ben")),
            ("2026-03-05T10:00:00.000000Z", read("dr-baker", "annabel")),
            (
                "2026-03-20T10:00:00.000000Z",
                entry("front-desk", "get_session", "read", "ann", "forbidden"),
            ),
            (
                "2026-03-25T10:00:00.000000Z",
                entry("dr-adams", "add_memory", "write", "ann", "ok"),
            ),
            ("2026-03-26T10:00:00.000000Z", many),
            ("2026-03-31T23:59:59.000000Z", read("night-shift", "ann")),
            ("2026-04-01T00:00:00.000000Z", read("april", "ann")),
        ],
    );
    directory
}

fn out(output: std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn who_saw_a_patients_memory_in_march_is_one_command() {
    let world = World::embedded();
    let directory = trail(&world);
    assert_eq!(is_intact(&directory)["entries"], 10);
    let march = [
        "search",
        "--user",
        "ann",
        "--since",
        "2026-03-01",
        "--until",
        "2026-03-31",
    ];
    let output = audit(
        &world,
        &directory,
        &[&march[..], &["--action", "read"]].concat(),
    );
    // An entry that left owners out may be one more.
    let warned = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(warned.contains("1 further entries"), "{warned}");
    let said = out(output);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    for (line, who) in lines
        .iter()
        .zip(["dr-adams", "dr-adams", "front-desk", "night-shift"])
    {
        assert!(line.contains(who) && line.contains("user ann"), "{line}");
    }
    assert!(lines[2].contains("forbidden"), "{said}");
    assert_eq!(
        lines[4],
        "4 entries; by caller: dr-adams 2, front-desk 1, night-shift 1"
    );

    let seen = audit(
        &world,
        &directory,
        &[&march[..], &["--outcome", "ok", "--json"]].concat(),
    );
    let seen = out(seen);
    let whom: Vec<Value> = seen
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(whom.len(), 4, "{seen}");
}

#[test]
fn every_condition_narrows() {
    let world = World::embedded();
    let directory = trail(&world);
    for (flags, count) in [
        (&["--who", "dr-adams"][..], 3),
        (&["--tool", "get_session"], 1),
        (&["--action", "write"], 1),
        (&["--outcome", "forbidden"], 1),
        (&["--id", "m-1"], 10),
        (&["--id", "april/1"], 1),
        (&["--id", "m-2"], 0),
        (&["--user", "annabel"], 1),
        (&["--agent", "ann"], 0),
        (&["--since", "2026-03-31T23:59:59Z"], 2),
        (&["--until", "2026-03-01T00:00:00Z"], 1),
        (&["--who", "dr-baker", "--user", "ben"], 1),
    ] {
        let said = out(audit(
            &world,
            &directory,
            &[&["search", "--json"], flags].concat(),
        ));
        assert_eq!(said.lines().count(), count, "{flags:?}: {said}");
    }
    for wrong in [
        &["--since", "March"][..],
        &["--until", "2026-03-01T10:00"],
        &["--action", "look"],
    ] {
        let output = audit(&world, &directory, &[&["search"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn entries_are_exported_as_they_are_and_as_csv() {
    let world = World::embedded();
    let directory = trail(&world);
    let file = world.directory().join("out.jsonl");
    let to = ["export", "--output", file.to_str().unwrap()];
    out(audit(&world, &directory, &to));
    let exported = std::fs::read_to_string(&file).unwrap();
    let there = std::fs::read_to_string(&super::files(&directory)[0]).unwrap();
    assert_eq!(exported, there);
    let again = audit(&world, &directory, &to);
    assert_eq!(
        again.status.code(),
        Some(2),
        "it is not overwritten: {again:?}"
    );
    let csv = out(audit(&world, &directory, &["export", "--format", "csv"]));
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 12, "{csv}");
    assert!(lines[0].starts_with("seq,at,who,role"), "{csv}");
    assert!(lines[1].starts_with("1,2026-02-28T23:59:59.999999Z,february,reader,token,mcp,search_memory,read,user:ann=read,,m-1,ok,1200"), "{csv}");
    // What begins like a formula is none.
    assert!(csv.contains("\"'=cmd\""), "{csv}");
}

#[test]
fn a_trail_that_is_not_there_is_wrong_usage() {
    let world = World::embedded();
    for command in ["verify", "search", "export"] {
        let output = world.command().args(["audit", command]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("there is no audit trail in "), "{said}");
    }
}
