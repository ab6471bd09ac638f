//! `mcp_config.example.json` shows what `install` does.

use std::path::Path;

use serde_json::Value;
use zep_mcp_server::agent_hosts::Host;

use super::{Home, KEY, program, syntax};

/// The placeholders of the example.
const PROGRAM: &str = "/usr/local/bin/zep-mcp-server";
const YOUR_KEY: &str = "your key from https://app.getzep.com";

#[test]
fn each_hosts_before_becomes_its_after() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp_config.example.json");
    let example: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let hosts = example["_hosts"].as_object().unwrap();
    let known: Vec<_> = Host::all().map(Host::name).collect();
    let shown: Vec<_> = hosts.keys().map(String::as_str).collect();
    assert_eq!(shown, known, "each host has its own");
    for (name, host) in hosts {
        let text = |value: &Value| match value {
            Value::Array(lines) => lines
                .iter()
                .map(|line| format!("{}\n", line.as_str().unwrap()))
                .collect(),
            object => serde_json::to_string_pretty(object).unwrap(),
        };
        let at = host["linux"].as_str().unwrap().strip_prefix("~/").unwrap();
        let home = Home::empty();
        home.put(at, text(&host["before"]).as_bytes());
        let line = host["install"].as_str().unwrap();
        let arguments: Vec<_> = line
            .strip_prefix("zep-mcp-server install")
            .unwrap()
            .split_whitespace()
            .collect();
        home.install(&[&["--yes"], &arguments[..]].concat())
            .ended(0);
        let syntax = syntax(at);
        let after = home
            .text(at)
            .replace(program(), PROGRAM)
            .replace(KEY, YOUR_KEY);
        assert_eq!(
            syntax.read(&after).unwrap(),
            syntax.read(&text(&host["after"])).unwrap(),
            "{name}: {after}"
        );
    }
}
