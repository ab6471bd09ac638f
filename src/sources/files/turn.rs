//! What a turn of a conversation says, in the shapes in which agent frameworks and model providers
//! write messages. Each becomes an object with `role` and `content`, and keeps its other fields.
//!
//! | from | shape |
//! |---|---|
//! | LangChain | `{"type": "human", "content"}`, `{"type": "human", "data": {…}}`, `{"lc": 1, "id": […], "kwargs": {…}}` |
//! | OpenAI | `{"role", "content", "tool_calls"}`, choices, items of responses and threads |
//! | Anthropic | `{"role", "content": [{"type": "text"}, {"type": "tool_use"}]}` |
//! | Gemini, AI SDK | `{"role", "parts": […]}` |
//! | LlamaIndex | `{"role", "blocks": […]}` |
//! | AutoGen | `{"type": "TextMessage", "source", "content"}` |
//! | Letta | `{"message_type": "user_message", "content"}` |
//! | ShareGPT, Claude, Zep | `{"from", "value"}`, `{"sender", "text"}`, `{"role_type", "role", "content"}` |

use serde_json::{Map, Value, json};

/// LangChain's names of messages, and the roles that they mean.
const LANGCHAIN: [(&str, &str); 8] = [
    ("human", "user"),
    ("ai", "assistant"),
    ("system", "system"),
    ("tool", "tool"),
    ("function", "function"),
    ("HumanMessageChunk", "user"),
    ("AIMessageChunk", "assistant"),
    ("developer", "system"),
];

/// AutoGen's names of messages, and the roles that they mean; others are the role of their source.
const AUTOGEN: [(&str, &str); 4] = [
    ("UserMessage", "user"),
    ("AssistantMessage", "assistant"),
    ("SystemMessage", "system"),
    ("FunctionExecutionResultMessage", "tool"),
];

/// Letta's kinds of messages, and the roles that they mean.
const LETTA: [(&str, &str); 8] = [
    ("user_message", "user"),
    ("assistant_message", "assistant"),
    ("system_message", "system"),
    ("reasoning_message", "assistant"),
    ("hidden_reasoning_message", "assistant"),
    ("tool_call_message", "assistant"),
    ("approval_request_message", "assistant"),
    ("tool_return_message", "tool"),
];

/// The fields that name the speaker where there is no `role`.
const SPEAKERS: [&str; 4] = ["sender", "from", "author", "speaker"];

/// The fields that hold what is said where there is no `content`.
const WORDS: [&str; 6] = ["parts", "blocks", "text", "value", "body", "output"];

/// Other words for the roles that Zep knows.
const SAME_ROLE: [(&str, &str); 5] = [
    ("human", "user"),
    ("gpt", "assistant"),
    ("chatgpt", "assistant"),
    ("bot", "assistant"),
    ("developer", "system"),
];

/// The field that keeps the parts of a turn that are no text.
const OTHER_PARTS: &str = "content_parts";

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

fn has(fields: &Map<String, Value>, name: &str) -> bool {
    fields.get(name).is_some_and(|value| !value.is_null())
}

fn meant(table: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    let mut known = table.iter();
    known.find(|(from, _)| *from == word).map(|(_, role)| *role)
}

/// Whether these fields begin a message of LangChain whose `data` is the message itself.
pub(super) fn wraps_message(fields: &Map<String, Value>) -> bool {
    text(fields, "type").is_some_and(|kind| meant(&LANGCHAIN, kind).is_some() || kind == "chat")
}

/// Makes `role` and `content` of the fields of a message, if it is one: surely, or because
/// it is in a list of messages.
pub(super) fn make_turn(fields: &mut Map<String, Value>, is_message: bool) {
    unwrap(fields);
    if let Some(role_type) = fields.get("role_type").filter(|value| value.is_string()) {
        // Zep's own: `role` is the name.
        let role = role_type.clone();
        let name = fields.insert("role".to_owned(), role);
        fields.shift_remove("role_type");
        if let Some(name) = name.filter(|_| !has(fields, "name")) {
            fields.insert("name".to_owned(), name);
        }
    }
    if !has(fields, "role") {
        let Some(role) = role(fields, is_message) else {
            return;
        };
        fields.insert("role".to_owned(), role.into());
    } else if text(fields, "role") == Some("developer") {
        fields.insert("role".to_owned(), "system".into());
    }
    if text(fields, "object") == Some("thread.message") {
        // OpenAI's run is one of the model, and the thread is the session.
        if let Some(run) = fields.shift_remove("run_id") {
            fields.insert("openai_run_id".to_owned(), run);
        }
    }
    if has(fields, "content") {
        return;
    }
    let is_sure = is_message || fields.contains_key("content");
    let words = WORDS.into_iter().find(|name| match *name {
        "parts" | "blocks" => fields.get(*name).is_some_and(Value::is_array),
        _ => is_sure && has(fields, name),
    });
    if let Some(content) = words.and_then(|name| fields.shift_remove(name)) {
        fields.insert("content".to_owned(), content);
    } else if text(fields, "type").is_some_and(is_item_without_text) {
        fields.insert("content".to_owned(), Value::Null);
    }
}

/// Whether an item of an answer of OpenAI is one in which nothing may be said.
fn is_item_without_text(kind: &str) -> bool {
    kind == "reasoning" || kind.ends_with("_call") || kind.ends_with("_call_output")
}

/// Takes a message out of what wraps it.
fn unwrap(fields: &mut Map<String, Value>) {
    let wrapper = if fields.contains_key("lc") {
        "kwargs"
    } else if wraps_message(fields) && !has(fields, "content") {
        "data"
    } else if fields.contains_key("finish_reason") {
        "message"
    } else {
        return;
    };
    let Some(Value::Object(inner)) = fields.shift_remove(wrapper) else {
        return;
    };
    if wrapper == "kwargs" {
        let class = fields.shift_remove("id");
        let class = class.as_ref().and_then(Value::as_array);
        let class = class.and_then(|path| path.last()).and_then(Value::as_str);
        let kind = class.map(|class| {
            let class = class.trim_end_matches("Chunk");
            class.trim_end_matches("Message").to_lowercase()
        });
        fields.shift_remove("lc");
        fields.shift_remove("type");
        if let Some(kind) = kind.filter(|kind| meant(&LANGCHAIN, kind).is_some()) {
            fields.insert("type".to_owned(), kind.into());
        }
    }
    for (name, value) in inner {
        if name != "type" || !has(fields, "type") {
            fields.insert(name, value);
        }
    }
}

/// The role of a message that has none by that name. Removes what said it.
fn role(fields: &mut Map<String, Value>, is_message: bool) -> Option<String> {
    if let Some(role) = text(fields, "message_type").and_then(|kind| meant(&LETTA, kind)) {
        let words = ["content", "reasoning", "tool_return"];
        let words = words.into_iter().find(|name| has(fields, name));
        let words = words.and_then(|name| fields.shift_remove(name));
        fields.insert("content".to_owned(), words.unwrap_or_default());
        return Some(role.to_owned());
    }
    let kind = text(fields, "type").unwrap_or_default().to_owned();
    let says = has(fields, "content");
    if let Some(role) = meant(&LANGCHAIN, &kind).filter(|_| fields.contains_key("content")) {
        fields.shift_remove("type");
        return Some(role.to_owned());
    }
    // OpenAI's items of a response.
    match kind.as_str() {
        "function_call_output" | "computer_call_output" | "custom_tool_call_output" => {
            return Some("tool".to_owned());
        }
        "reasoning" => return Some("assistant".to_owned()),
        kind if kind.ends_with("_call") => return Some("assistant".to_owned()),
        _ => {}
    }
    if has(fields, "source") && (kind.ends_with("Message") || kind.ends_with("Event")) {
        if let Some(role) = meant(&AUTOGEN, &kind) {
            return Some(role.to_owned());
        }
        let source = text(fields, "source").unwrap_or_default().to_owned();
        if source == "user" {
            return Some(source);
        }
        fields.insert("name".to_owned(), source.into());
        return Some("assistant".to_owned());
    }
    if text(fields, "type") == Some("FunctionExecutionResultMessage") && says {
        return Some("tool".to_owned());
    }
    let speaker = SPEAKERS.into_iter().find(|name| has(fields, name))?;
    let says = WORDS.into_iter().chain(["content"]);
    let says = says.into_iter().any(|name| fields.contains_key(name));
    if !(is_message || says && matches!(speaker, "from" | "sender")) {
        return None;
    }
    let word = match fields.get(speaker)? {
        Value::String(word) => word.clone(),
        Value::Object(author) => author.get("role")?.as_str()?.to_owned(),
        _ => return None,
    };
    fields.shift_remove(speaker);
    Some(meant(&SAME_ROLE, &word.to_lowercase()).map_or(word, str::to_owned))
}

/// What a turn says: its text, or the parts of it that are text. Parts of other kinds stay in the
/// fields; where there is nothing else, their names are what it says. Content of no known shape is
/// its JSON.
pub(super) fn spoken(content: Value, fields: &mut Map<String, Value>) -> String {
    let content = match content {
        Value::Object(mut whole) if whole.get("parts").is_some_and(Value::is_array) => {
            whole.shift_remove("parts").unwrap_or_default()
        }
        content => content,
    };
    let said = match content {
        Value::String(text) => text,
        Value::Null => String::new(),
        Value::Array(parts) => {
            let is_part = |part: &Value| words(part).is_some() || kind(part).is_some();
            if !parts.iter().all(is_part) {
                return Value::Array(parts).to_string();
            }
            let (texts, others): (Vec<_>, Vec<_>) =
                parts.into_iter().partition(|part| words(part).is_some());
            let said: Vec<_> = texts.iter().filter_map(words).collect();
            let said = said.join("\n");
            if !others.is_empty() {
                fields.insert(OTHER_PARTS.to_owned(), Value::Array(others));
            }
            said
        }
        other => match words(&other) {
            Some(text) => text.to_owned(),
            None => other.to_string(),
        },
    };
    if !said.trim().is_empty() {
        return said;
    }
    let named = unspoken(fields);
    if named.is_empty() { said } else { named }
}

/// The text of a part.
fn words(part: &Value) -> Option<&str> {
    match part {
        Value::String(text) => Some(text),
        Value::Object(fields) => {
            let kind = text(fields, "type").or_else(|| text(fields, "block_type"));
            match kind {
                None | Some("text" | "input_text" | "output_text") => {}
                Some("refusal") => return text(fields, "refusal"),
                Some(_) => return None,
            }
            let value = fields.get("text")?;
            value.as_str().or_else(|| value.get("value")?.as_str())
        }
        _ => None,
    }
}

/// What a part that is no text is called.
fn kind(part: &Value) -> Option<&str> {
    let fields = part.as_object()?;
    // Gemini names a part by its only field.
    text(fields, "type")
        .or_else(|| text(fields, "block_type"))
        .or_else(|| text(fields, "content_type"))
        .or_else(|| {
            let known = ["functionCall", "functionResponse", "inlineData", "fileData"];
            known.into_iter().find(|name| fields.contains_key(*name))
        })
}

/// What a turn without text consists of, in a word each.
fn unspoken(fields: &Map<String, Value>) -> String {
    let mut named = Vec::new();
    let mut call = |call: &Value| {
        let function = call.get("function").unwrap_or(call);
        let name = function.get("name").and_then(Value::as_str);
        named.push(format!("[tool call: {}]", name.unwrap_or("unnamed")));
    };
    // LlamaIndex and LangChain keep what the model's own client answered.
    let kept = fields.get("additional_kwargs").and_then(Value::as_object);
    for fields in kept.into_iter().chain([fields]) {
        for calls in ["tool_calls", "invalid_tool_calls"] {
            if let Some(calls) = fields.get(calls).and_then(Value::as_array) {
                calls.iter().for_each(&mut call);
            }
        }
        for one in ["function_call", "tool_call"] {
            if let Some(function) = fields.get(one).filter(|call| call.is_object()) {
                call(function);
            }
        }
    }
    if text(fields, "type").is_some_and(|kind| kind.ends_with("_call")) {
        call(&json!({"name": fields.get("name").or(fields.get("type"))}));
    } else if let Some(kind) = text(fields, "type").filter(|kind| *kind == "reasoning") {
        named.push(format!("[{kind}]"));
    }
    if let Some(parts) = fields.get(OTHER_PARTS).and_then(Value::as_array) {
        named.extend(
            parts
                .iter()
                .filter_map(kind)
                .map(|kind| format!("[{kind}]")),
        );
    }
    named.join("\n")
}
