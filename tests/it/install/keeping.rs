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
