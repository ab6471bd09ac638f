//! Agent hosts' configuration files: what can be read can be changed without touching anything else,
//! or is refused.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::Value;
use zep_mcp_server::agent_hosts::document::{Syntax, at, listed};
use zep_mcp_server::agent_hosts::locations::{HostDirs, Location, System};
use zep_mcp_server::agent_hosts::plan::{ApiKey, LaunchSpec, Via, planned};
use zep_mcp_server::agent_hosts::{entry, mask};

use super::{corpus, fixtures, fuzz_bytes};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\r\n",
    "\"",
    "\\",
    "'",
    "#",
    "//",
    "/*",
    "*/",
    "=",
    ".",
    "null",
    "[[",
    "]]",
    "\"mcpServers\":{",
    "\"mem0\":{",
    "\"servers\":{",
    "\"command\":\"uvx\",",
    "\"args\":[\"mem0-mcp-server\"],",
    "\"env\":{\"MEM0_API_KEY\":\"m0-x\"},",
    "\"env\":7,",
    "\"url\":\"https://mcp.mem0.ai/mcp\",",
    "[mcp_servers.mem0]\n",
    "command = \"uvx\"\n",
    "args = [\"-y\", 'mem0-mcp-server']\n",
    "env = { A = \"b\" }\n",
    "\u{feff}",
    "\u{2028}",
];

fn tries(location: &Location, text: &str) -> TestCaseResult {
    let Ok(document) = location.syntax.read(text) else {
        return Ok(());
    };
    let Ok(servers) = listed(&document, location.sections) else {
        return Ok(());
    };
    for server in servers {
        entry::runs(server.name(), &server.entry);
        mask::masked(&server.entry);
        for via in [Via::Path, Via::Uvx, Via::Npx] {
            for key in [
                ApiKey::NotNeeded,
                ApiKey::Reference,
                ApiKey::Literal("k".into()),
            ] {
                let launch = LaunchSpec {
                    via,
                    program: "/bin/zep-mcp-server".into(),
                    key,
                    env: Vec::new(),
                };
                let Ok(plan) = planned(location, &document, &server.path, &launch) else {
                    continue;
                };
                let Ok(changed) = location.syntax.set(text, &server.path, &plan.entry) else {
                    continue;
                };
                let now = location.syntax.read(&changed);
                prop_assert!(now.is_ok(), "{changed}");
                let now = now.unwrap();
                prop_assert_eq!(at(&now, &server.path), Some(&plan.entry));
                let others = |document: &serde_json::Map<String, Value>| {
                    let mut document = Value::Object(document.clone());
                    let pointer = server
                        .path
                        .iter()
                        .map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                    *document.pointer_mut(&pointer.collect::<String>()).unwrap() = Value::Null;
                    document
                };
                prop_assert_eq!(others(&now), others(&document));
            }
        }
    }
    Ok(())
}

#[test]
fn a_hosts_file_is_refused_or_changed_in_one_entry() {
    let mut seeds = corpus("hosts");
    seeds.extend(fixtures("hosts"));
    let home = Path::new("/home/ann");
    let directories = HostDirs {
        system: System::Linux,
        home: home.into(),
        config: home.join(".config"),
        local: home.join(".local/share"),
        variables: BTreeMap::new(),
        directory: home.join("project"),
    };
    let locations = directories.locations();
    assert!(locations.iter().any(|one| one.syntax == Syntax::Toml));
    fuzz_bytes("hosts", 300, seeds, WORDS, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Ok(());
        };
        locations.iter().try_for_each(|one| tries(one, text))
    });
}
