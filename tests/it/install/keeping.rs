//! Everything around the entry stays, byte for byte.

use proptest::prelude::*;
use serde_json::{Value, json};
use zep_mcp_server::agent_hosts::document::Syntax;

/// White space and comments.
fn space() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        " ",
        "\n",
        "\t",
        "\r\n",
        "    ",
        "// \"mem0\": {\n",
        "/* } mem0 */",
        "/* ü\n */",
    ]);
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// An arbitrary value of another program, as text.
fn other() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1.50e3".to_owned()),
        Just("12345678901234567890".to_owned()),
        "[a-z/ü\\PC]{0,8}".prop_map(|text| Value::from(text).to_string()),
        Just("\"\\u0041\\/\"".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        (
            space(),
            prop::collection::vec(inner, 1..3),
            space(),
            any::<bool>(),
        )
            .prop_map(|(before, all, after, is_list)| {
                if is_list {
                    format!("[{before}{}{after}]", all.join(&format!(",{after}")))
                } else {
                    let members = all.iter().enumerate();
                    let members: Vec<_> = members
                        .map(|(index, value)| format!("\"k{index}\"{before}:{after}{value}"))
                        .collect();
                    format!("{{{before}{}{after}}}", members.join(&format!("{before},")))
                }
            })
    })
}

proptest! {
    #[test]
    fn everything_around_the_entry_in_json(
        spaces in prop::collection::vec(space(), 9),
        others in prop::collection::vec(other(), 3),
        entry in prop::sample::select(vec![
            r#"{"command":"uvx","args":["mem0-mcp-server"]}"#,
            "{ \"url\" : \"https://mcp.mem0.ai/mcp\" , }",
            "{\n\t// c\n\t\"command\": \"uvx\", \"args\": [], // d\n\t\"env\": {\"A\": \"b\"}\n}",
            "{}",
        ]),
    ) {
        let [a, b, c, d, e, f, g, h, i] = &spaces[..] else { unreachable!() };
        let [one, two, three] = &others[..] else { unreachable!() };
        let before = format!(
            "{a}{{{b}\"a\":{one},{c}\"mcpServers\":{d}{{{e}\"x\":{two},{f}\"mem0\":{g}"
        );
        let after = format!("{h},{i}\"y\":{three}}},{a}\"z\":{one}{b}}}{c}");
        let text = format!("{before}{entry}{after}");
        let path = ["mcpServers".to_owned(), "mem0".to_owned()];
        let new = json!({"command": "/bin/x", "env": {"A": "b", "ZEP_API_KEY": "k"}});
        let changed = Syntax::Json.set(&text, &path, &new).unwrap();
        prop_assert!(changed.starts_with(&before), "{text}\n----\n{changed}");
        prop_assert!(changed.ends_with(&after), "{text}\n----\n{changed}");
        prop_assert_eq!(Syntax::Json.set(&changed, &path, &new).unwrap(), changed, "idempotent");
    }
}

/// Lines of YAML that belong to other programs, at the top level.
fn lines() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "",
        "# mem0: {",
        "a: 1.50e3  # x",
        "  # deeper",
        "b:\n  - c: ü\n    d: [1, {e: f}]",
        "g: |\n  mcp_servers:\n    mem0: {}\n",
        "h: >-\n  folded\n\n  text",
        "i: &anchor 'it''s'\nj: *anchor",
        "\"k\": \"\\u0041\\\"\"",
        "l: {m: n, o: [p,\n  q]}",
        "r:",
    ]);
    prop::collection::vec(piece, 0..3)
        .prop_map(|pieces| pieces.iter().flat_map(|piece| [*piece, "\n"]).collect())
}

proptest! {
    #[test]
    fn everything_around_the_entry_in_yaml(
        [a, b] in [lines(), lines()],
        entry in prop::sample::select(vec![
            "command: uvx\n    args: [mem0-mcp-server]\n",
            "command: uvx # c\n    # d\n    args:\n      - mem0-mcp-server # e\n    env:\n      A: b\n",
            "args:\n    - -y\n    - >\n      x\n    command: |\n      npx\n    env: {\"A\": b}\n",
            "url: 'https://mcp.mem0.ai/mcp' # g\n    env: {}\n",
        ]),
        is_crlf in any::<bool>(),
    ) {
        // The names of the second part differ from those of the first.
        let renamed = |text: &str| {
            let lines = text.split_inclusive('\n').map(|line| {
                let is_name = line.starts_with(|it: char| it.is_ascii_alphabetic() || it == '"');
                if is_name { line.replacen(':', "2:", 1).replacen("\"2:", "2\":", 1) } else { line.to_owned() }
            });
            lines.collect::<String>().replace("anchor", "other")
        };
        let ends = |text: String| if is_crlf { text.replace('\n', "\r\n") } else { text };
        let before = ends(format!("{a}mcp_servers:\n  x: 1 # y\n  # z\n  mem0:\n    "));
        let after = ends(format!("  last: 2\n{}", renamed(&b)));
        let text = format!("{before}{}{after}", ends(entry.to_owned()));
        let path = ["mcp_servers".to_owned(), "mem0".to_owned()];
        let read = Syntax::Yaml.read(&text);
        prop_assume!(read.is_ok());
        let new = json!({"command": "/bin/x", "env": {"A": "b", "ZEP_API_KEY": "k"}});
        let changed = Syntax::Yaml.set(&text, &path, &new).unwrap();
        prop_assert!(changed.starts_with(&before), "{text}\n----\n{changed}");
        prop_assert!(changed.ends_with(&after), "{text}\n----\n{changed}");
        prop_assert_eq!(changed.contains("\r\n"), is_crlf);
        prop_assert_eq!(Syntax::Yaml.set(&changed, &path, &new).unwrap(), changed, "idempotent");
    }

    /// A file can be anything: what cannot be read or changed is an error.
    #[test]
    fn a_damaged_file_is_an_error_at_most(
        (fixture, syntax, list) in prop::sample::select(vec![
            ("goose/config.yaml", Syntax::Yaml, "extensions"),
            ("hermes/config.yaml", Syntax::Yaml, "mcp_servers"),
            ("codex/config.toml", Syntax::Toml, "mcp_servers"),
            ("zed/settings.json", Syntax::Json, "context_servers"),
        ]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), "[ \t\r\n:#{}\\[\\]&*!|>'\"ü\u{0}-]{0,3}", 0..4_usize), 1..4),
    ) {
        let mut text: Vec<char> = String::from_utf8(super::bytes(fixture)).unwrap().chars().collect();
        for (at, new, gone) in damage {
            let at = at.index(text.len());
            let end = (at + gone).min(text.len());
            text.splice(at..end, new.chars());
        }
        let text: String = text.into_iter().collect();
        let Ok(document) = syntax.read(&text) else { return Ok(()) };
        let new = json!({"command": "/bin/x", "env": {"ZEP_API_KEY": "k"}});
        let names: Vec<String> = match document.get(list).and_then(Value::as_object) {
            Some(servers) => servers.keys().cloned().collect(),
            None => Vec::new(),
        };
        for name in names.into_iter().chain(["new".to_owned()]) {
            // It reads back as intended, or it is an error.
            let _ = syntax.set(&text, &[list.to_owned(), name], &new);
        }
    }
}
