use serde_json::{Value, json};

use super::*;

fn refused(text: &str) -> (Value, i64) {
    let answer = read(text.as_bytes()).unwrap_err().into_answer();
    let answer: Value = serde_json::from_slice(&encode(&answer).unwrap()).unwrap();
    (
        answer["id"].clone(),
        answer["error"]["code"].as_i64().unwrap(),
    )
}

#[test]
fn any_id_comes_back_as_it_was() {
    let long = format!("\"{}\"", "é\\\"\\n".repeat(5_000));
    for id in [
        "1",
        "-0",
        "1.50",
        "1e400",
        "18446744073709551616",
        "\"a\\u00e9\"",
        "\"zep-mcp-server/id/1:2\"",
        &long,
    ] {
        let request = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}");
        let connection = Connection::default();
        // Two requests with one id are told apart, and answered with it.
        let mut ids = std::collections::HashSet::new();
        for _ in 0..3 {
            let read = connection.read(request.as_bytes());
            let Some(Ok(JsonRpcMessage::Request(read))) = read.into_iter().next() else {
                panic!("{id}");
            };
            assert!(ids.insert(read.id));
        }
        for own in ids {
            let answer = rmcp::model::ServerResult::empty(());
            let answer = JsonRpcMessage::response(answer, own);
            let answer = connection.encode(&answer).unwrap();
            let answer = str::from_utf8(&answer).unwrap();
            let start = "{\"jsonrpc\":\"2.0\",\"id\":";
            let rest = answer.strip_prefix(start).unwrap();
            let same = |a: &str, b: &str| {
                let text = serde_json::from_str::<String>;
                a == b || (a.starts_with('"') && text(a).ok() == text(b).ok())
            };
            let (echoed, _) = rest.rsplit_once(",\"result\"").unwrap();
            assert!(same(echoed, id), "{echoed} {id}");
        }
    }
}

#[test]
fn what_cannot_be_parsed_has_no_id_and_the_rest_has_its_own() {
    for text in [
        "",
        "{",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"params\":{\"a\":NaN}}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"\\ud800\"}}",
        "[{]",
    ] {
        assert_eq!(refused(text), (Value::Null, -32700), "{text}");
    }
    for (text, id) in [
        ("7", json!(null)),
        ("[]", json!(null)),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}",
            json!(null),
        ),
        (
            "{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"ping\"}",
            json!(7),
        ),
        ("{\"jsonrpc\":\"2.0\",\"id\":7}", json!(7)),
    ] {
        assert_eq!(refused(text), (id, -32600), "{text}");
    }
}
