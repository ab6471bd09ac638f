//! The turns of a conversation, in the shapes in which models and their APIs write them.

use serde_json::{Map, Value};

use super::values;
use crate::mcp::error::ToolError;

/// Where the parts of a turn that are no text are kept, among its further fields.
const OTHER_PARTS: &str = "content_parts";
/// Why a turn may have no content of its own.
const CALLS: [&str; 2] = ["tool_calls", "function_call"];

/// Turns that have words, and the places of those that have none.
#[derive(Debug, Default)]
pub(super) struct Turns {
    pub(super) spoken: Vec<Value>,
    pub(super) blank: Vec<usize>,
}

/// Reads `messages`: a list of turns, one turn, JSON text of either, or the words of one user turn.
/// `None` if nothing was given.
pub(super) fn read(given: Value) -> Result<Option<Turns>, ToolError> {
    let list = match given {
        Value::String(text) if values::is_null(&text) || text.trim().is_empty() => return Ok(None),
        Value::String(text) if looks_like_turns(&text) => match values::from_text(&text) {
            Ok(Value::Array(list)) => list,
            Ok(turn) => vec![turn],
            Err(_) => return Err(no_turns()),
        },
        Value::String(text) => vec![serde_json::json!({"role": "user", "content": text})],
        Value::Array(list) => list,
        turn @ Value::Object(_) => vec![turn],
        _ => return Err(no_turns()),
    };
    let mut turns = Turns::default();
    for (index, turn) in list.into_iter().enumerate() {
        let Value::Object(mut turn) = turn else {
            return Err(ToolError::argument(format!(
                "`messages[{index}]` must be an object with `role` and `content`"
            )));
        };
        gather_words(&mut turn);
        match is_blank(&turn) {
            true => turns.blank.push(index),
            false => turns.spoken.push(turn.into()),
        }
    }
    Ok(Some(turns))
}

fn no_turns() -> ToolError {
    ToolError::argument(
        "`messages` must be a list of turns like {\"role\": \"user\", \"content\": \"…\"}; one plain \
         sentence goes into `text`"
            .into(),
    )
}

/// Whether text is meant as JSON: people say things in brackets, too.
fn looks_like_turns(text: &str) -> bool {
    let text = text.trim_start();
    let inside = text.strip_prefix('[').map(str::trim_start);
    text.starts_with('{') || inside.is_some_and(|inside| inside.starts_with(['{', ']', '"']))
}

/// Joins the text parts of a turn's content, and keeps its other parts beside it.
fn gather_words(turn: &mut Map<String, Value>) {
    let content = match turn.get("content") {
        // Google's APIs have `parts` only.
        None => "parts",
        Some(Value::Array(_) | Value::Object(_)) => "content",
        Some(_) => return,
    };
    let parts = match turn.get_mut(content).map(Value::take) {
        None => return,
        Some(Value::Array(parts)) => parts,
        Some(part) => vec![part],
    };
    let mut words = Vec::new();
    let mut others = Vec::new();
    for part in parts {
        match text_of(&part) {
            Some(text) => words.push(text.to_owned()),
            None => others.push(part),
        }
    }
    turn.shift_remove(content);
    turn.insert("content".into(), words.join("\n").into());
    if !others.is_empty() {
        turn.insert(OTHER_PARTS.into(), others.into());
    }
}

/// The text of a part; `None` for an image, a file, a tool's call or result.
fn text_of(part: &Value) -> Option<&str> {
    if let Value::String(text) = part {
        return Some(text);
    }
    let kind = part.get("type").and_then(Value::as_str);
    match kind {
        None | Some("text" | "input_text" | "output_text") => part.get("text")?.as_str(),
        Some(_) => None,
    }
}

/// Whether a turn has no words. One that lacks its content for no reason is left to be refused.
fn is_blank(turn: &Map<String, Value>) -> bool {
    match turn.get("content") {
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(Value::Null) => true,
        Some(_) => false,
        None => CALLS.iter().any(|call| turn.contains_key(*call)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spoken(given: Value) -> Vec<Value> {
        read(given).unwrap().unwrap().spoken
    }

    #[test]
    fn every_shape_of_one_turn_is_the_same_turn() {
        let turn = json!({"role": "user", "content": "hi"});
        for given in [
            json!([turn]),
            turn.clone(),
            json!(turn.to_string()),
            json!(json!([turn]).to_string()),
            json!("hi"),
            json!([{"role": "user", "content": [{"type": "text", "text": "hi"}]}]),
            json!([{"role": "user", "content": ["hi"]}]),
            json!([{"role": "user", "content": {"text": "hi"}}]),
            json!([{"role": "user", "parts": [{"text": "hi"}]}]),
        ] {
            assert_eq!(spoken(given.clone()), vec![turn.clone()], "{given}");
        }
        assert_eq!(spoken(json!("[laughs] no"))[0]["content"], "[laughs] no");
    }

    #[test]
    fn other_parts_stay_beside_the_words() {
        let image = json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}});
        let content =
            json!([{"type": "text", "text": "look"}, image, {"type": "text", "text": "here"}]);
        let turns = spoken(json!([{"role": "user", "content": content}]));
        assert_eq!(turns[0]["content"], "look\nhere");
        assert_eq!(turns[0][OTHER_PARTS], json!([image]));
    }

    #[test]
    fn turns_without_words_are_told_apart() {
        let turns = read(json!([
            {"role": "user", "content": "hi"},
            {"role": "user", "content": " "},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "assistant", "tool_calls": []},
            {"role": "user", "content": [{"type": "image"}]},
            {"role": "user"},
        ]));
        let turns = turns.unwrap().unwrap();
        assert_eq!(turns.blank, [1, 2, 3, 4]);
        assert_eq!(turns.spoken.len(), 2);
        for nothing in [json!(""), json!("null")] {
            assert!(read(nothing).unwrap().is_none());
        }
        for wrong in [
            json!(7),
            json!("[{"),
            json!("{\"role\""),
            json!(["a"]),
            json!([[1]]),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
