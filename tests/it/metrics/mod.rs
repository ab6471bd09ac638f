//! `/metrics`: what is there is documented and the other way round, the numbers add up, and only operators
//! see them.

mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use zep_mcp_server::http::access::{TokenHash, fresh};

use crate::common::program::World;
use crate::http::client::{Events, Mcp, STATELESS, call, http};
use crate::http::server::Server;

/// A sample: its name, its labels, its value.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// What a server answers.
struct Scrape {
    /// The type of each metric.
    types: BTreeMap<String, String>,
    samples: Vec<Sample>,
    text: String,
}

impl Scrape {
    async fn of(url: &str, token: Option<&str>) -> Result<Self, u16> {
        let mut ask = http().get(format!("{url}/metrics"));
        if let Some(token) = token {
            ask = ask.bearer_auth(token);
        }
        let answer = ask.send().await.unwrap();
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(status);
        }
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        Ok(Self::parse(answer.text().await.unwrap()))
    }

    /// Every line must be one of the format.
    fn parse(text: String) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), Vec::new());
        let mut helped = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helped.contains(name), "{line}");
                types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with("# UNIT ") {
                samples.push(sample(line));
            }
        }
        for sample in &samples {
            let name = &sample.name;
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| types.get(name.strip_suffix(suffix)?))
                .or_else(|| types.get(name));
            assert!(family.is_some(), "{name} has no type");
        }
        Self {
            types,
            samples,
            text,
        }
    }

    /// The sum of the samples with this name and these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.samples.iter().filter(|sample| {
            let mut wanted = labels.iter();
            sample.name == name
                && wanted.all(|(label, value)| {
                    sample.labels.get(*label).map(String::as_str) == Some(*value)
                })
        });
        found.map(|sample| sample.value).sum()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    assert!(is_name(name), "{line}");
    let labels = labels.split("\",").filter(|label| !label.is_empty());
    let labels = labels.map(|label| {
        let (label, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        assert!(is_name(label), "{line}");
        (label.to_owned(), value.trim_end_matches('"').to_owned())
    });
    Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value: value.parse().unwrap_or_else(|_| panic!("{line}")),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The metrics that the page describes, by type.
fn described() -> BTreeMap<String, String> {
    let page = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| {
        let (name, rest) = row.split_once("` | ")?;
        let kind = rest.split(" | ").next()?;
        let is_type = ["counter", "gauge", "histogram"].contains(&kind);
        is_type.then(|| (name.to_owned(), kind.to_owned()))
    });
    rows.collect()
}

#[tokio::test]
async fn what_is_there_is_described_and_the_other_way_round() {
    let world = World::emulated_with(&["--rate-limit", "1000"]);
    let server = Server::start(&world);
    let client = Mcp::new(&server.url, STATELESS);
    let text = json!({"user_id": "zoe-7", "text": "likes turquoise"});
    client.tool("add_memory", text).await;
    client
        .tool("list_sessions", json!({"user_id": "zoe-7"}))
        .await;
    let scrape = Scrape::of(&server.url, None).await.unwrap();
    let mut described = described();
    if !cfg!(target_os = "linux") {
        described.remove("process_resident_memory_bytes");
    }
    assert_eq!(scrape.types, described, "{}", scrape.text);
    assert!(
        !scrape.text.contains("zoe-7") && !scrape.text.contains("turquoise"),
        "{}",
        scrape.text
    );
    assert!(scrape.sum("zep_mcp_zep_requests_total", &[]) >= world.requests().len() as f64);
    assert_eq!(scrape.sum("zep_mcp_zep_rate_limit", &[]), 1000.0);
    let left = scrape.sum("zep_mcp_zep_rate_limit_left", &[]);
    assert!((1.0..1000.0).contains(&left), "{left}");
    let memory = scrape.sum("process_resident_memory_bytes", &[]);
    assert!(
        !cfg!(target_os = "linux") || (1e6..1e9).contains(&memory),
        "{memory}"
    );
}

#[tokio::test]
async fn the_numbers_add_up() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    for number in 0..5 {
        let text = json!({"user_id": "zoe-7", "text": format!("fact {number}")});
        client.tool("add_memory", text).await;
    }
    let refuse = async |tool: &str, arguments: Value| {
        let response = client.post(&call(9, tool, arguments)).await;
        Events::of(response).answer(9).await;
    };
    refuse("search_memory", json!({"user_id": "zoe-7"})).await;
    refuse(
        "search_memory",
        json!({"user_id": "zoe-7", "query": "fact"}),
    )
    .await;
    refuse("no_such_tool_crimson", json!({})).await;
    let nowhere = http()
        .get(format!("{}/users/zoe-7", server.url))
        .send()
        .await;
    assert_eq!(nowhere.unwrap().status(), 404);
    let migrate = json!({"user": {"id": "kim-8"}, "data": {"results": [
        {"id": "1", "memory": "likes crimson", "user_id": "kim-8"},
    ]}});
    client.tool("migrate_user", migrate).await;
    let scrape = Scrape::of(&server.url, None).await.unwrap();
    let calls = |labels: &[(&str, &str)]| scrape.sum("zep_mcp_tool_calls_total", labels);
    assert_eq!(calls(&[("tool", "add_memory"), ("outcome", "ok")]), 5.0);
    assert_eq!(
        calls(&[("tool", "search_memory"), ("outcome", "invalid")]),
        1.0
    );
    assert_eq!(calls(&[("tool", "search_memory"), ("outcome", "ok")]), 1.0);
    assert_eq!(calls(&[("tool", "unknown"), ("outcome", "refused")]), 1.0);
    assert_eq!(calls(&[]), 9.0);
    let durations = scrape.sum("zep_mcp_tool_call_duration_seconds_count", &[]);
    assert_eq!(durations, 9.0 - 1.0 + 1.0);
    let last = [("tool", "add_memory"), ("le", "+Inf")];
    assert_eq!(
        scrape.sum("zep_mcp_tool_call_duration_seconds_bucket", &last),
        5.0
    );
    let requests = |labels: &[(&str, &str)]| scrape.sum("zep_mcp_http_requests_total", labels);
    assert_eq!(requests(&[("route", "none"), ("status", "4xx")]), 1.0);
    // The handshake has two.
    assert_eq!(requests(&[("route", "/mcp"), ("method", "POST")]), 11.0);
    assert_eq!(scrape.sum("zep_mcp_sessions_open", &[]), 1.0);
    assert_eq!(scrape.sum("zep_mcp_migrations_done_total", &[]), 1.0);
    assert_eq!(scrape.sum("zep_mcp_audit_failing", &[]), 0.0);
    assert_eq!(
        scrape.sum("zep_mcp_build_info", &[("backend", "local")]),
        1.0
    );
    // Neither Zep nor a queue.
    assert!(
        !scrape.text.contains("\nzep_mcp_zep_requests"),
        "{}",
        scrape.text
    );
    for secret in ["zoe-7", "kim-8", "crimson"] {
        assert!(!scrape.text.contains(secret), "{secret}: {}", scrape.text);
    }
}

#[tokio::test]
async fn only_operators_of_all_users_see_them() {
    let world = World::embedded();
    let tokens: Vec<_> = (0..3).map(|_| fresh().unwrap()).collect();
    let entry = |number: usize, role: &str, users: Value| {
        let hash = TokenHash::of(tokens[number].expose_secret()).to_string();
        let name = format!("token {number}");
        json!({"name": name, "hash": hash, "role": role, "users": users}).to_string()
    };
    let lines = [
        entry(0, "reader", json!("*")),
        entry(1, "operator", json!(["ann"])),
        entry(2, "operator", json!("*")),
    ];
    let file = world.directory().join("tokens.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let server = Server::with(&world, &["--auth-tokens-file", file.to_str().unwrap()]);
    let scrape = async |token: Option<usize>| {
        let token = token.map(|number| tokens[number].expose_secret());
        Scrape::of(&server.url, token).await.map(drop)
    };
    assert_eq!(scrape(None).await, Err(401));
    assert_eq!(scrape(Some(0)).await, Err(403));
    assert_eq!(scrape(Some(1)).await, Err(403));
    assert_eq!(scrape(Some(2)).await, Ok(()));
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words =
        words.filter(|word| word.starts_with("zep_mcp_") || word.starts_with("process_resident"));
    words
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

#[test]
fn the_dashboard_and_the_alerts_use_metrics_that_there_are() {
    let described: BTreeSet<_> = described().into_keys().collect();
    let read = |file: &str| fs::read_to_string(root().join("contrib").join(file)).unwrap();
    let dashboard = read("grafana/zep-mcp-server.json");
    let panels: Value = serde_json::from_str(&dashboard).unwrap();
    let mut shown = BTreeSet::new();
    for panel in panels["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            shown.extend(named(target["expr"].as_str().unwrap()));
        }
    }
    assert!(
        shown.is_subset(&described),
        "{:?}",
        shown.difference(&described)
    );
    // All of them are on the dashboard, but for those that say the same.
    let left: Vec<_> = described.difference(&shown).map(String::as_str).collect();
    assert_eq!(
        left,
        [
            "zep_mcp_build_info",
            "zep_mcp_connections_cut_total",
            "zep_mcp_http_request_duration_seconds"
        ]
    );
    let alerts = named(&read("prometheus/alerts.yml"));
    assert!(
        alerts.is_subset(&described),
        "{:?}",
        alerts.difference(&described)
    );
    assert!(alerts.len() > 5);
}
