//! A Zep with one thread and one user's episodes that misbehaves on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::response::Response;
use serde_json::{Value, json};

use super::{Call, broken_off};

/// What `cursor` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    Offset,
    PageFromZero,
    PageFromOne,
    /// Ignored: every page is the first one.
    Ignored,
    /// Refused.
    Refused,
}

/// What happens to a write.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// Done; its answer is lost.
    DoneAnswerLost,
    /// Not done; the answer is lost.
    NotDoneAnswerLost,
    /// The answer is lost at once; it is done later.
    DoneLater(Duration),
    /// So many items are stored; the answer is lost.
    PartlyDone(usize),
    /// Done; the answer is not JSON.
    DoneAnswerGarbled,
    /// Done; the answer lacks the ids.
    DoneWithoutIds,
    /// Not done; answered with this status.
    Status(u16),
}

#[derive(Debug)]
pub struct State {
    pub messages: Vec<Value>,
    pub episodes: Vec<Value>,
    pub cursor: Cursor,
    /// The largest number of messages in an answer.
    pub most: usize,
    /// The metadata filter of episodes finds nothing.
    pub filter_is_blind: bool,
    /// What happens to the next writes.
    pub fates: VecDeque<Fate>,
    pub writes: usize,
    pub reads: usize,
}

#[derive(Debug, Clone)]
pub struct FakeZep {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl FakeZep {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            messages: Vec::new(),
            episodes: Vec::new(),
            cursor: Cursor::Offset,
            most: usize::MAX,
            filter_is_blind: false,
            fates: VecDeque::new(),
            writes: 0,
            reads: 0,
        }));
        let shared = state.clone();
        let url = super::serve(move |call| {
            let shared = shared.clone();
            async move { answer(&shared, &call) }
        })
        .await;
        Self { url, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Fills the thread with numbered messages.
    pub fn fill(&self, count: usize) {
        let mut state = self.state();
        state.messages = (0..count).map(numbered).collect();
    }

    /// The contents of the thread, in order.
    pub fn contents(&self) -> Vec<String> {
        let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
        self.state().messages.iter().map(text).collect()
    }
}

fn numbered(number: usize) -> Value {
    json!({ "uuid": format!("m-{number}"), "role": "user", "content": number.to_string() })
}

fn answer(state: &Arc<Mutex<State>>, call: &Call) -> Response {
    let is_messages = call.path.ends_with("/messages");
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", _) if is_messages => read_messages(&mut state.lock().expect("no panic"), call),
        ("POST", _) if is_messages => {
            let items = call.body["messages"].as_array().expect("messages").clone();
            write(state, items, |state| &mut state.messages)
        }
        ("POST", "/api/v2/graph") => {
            let mut episode = call.body.clone();
            episode["content"] = episode["data"].take();
            episode["created_at"] = "2024-06-15T10:30:00Z".into();
            write(state, vec![episode], |state| &mut state.episodes)
        }
        ("POST", _) => {
            let state = state.lock().expect("no panic");
            let wanted = &call.body["episode_metadata_filters"]["filters"][0]["property_value"];
            let found: Vec<&Value> = state
                .episodes
                .iter()
                .filter(|it| !state.filter_is_blind && &it["metadata"]["zm_id"] == wanted)
                .collect();
            super::json(200, &json!(found))
        }
        _ => {
            let state = state.lock().expect("no panic");
            super::json(200, &json!({ "episodes": state.episodes }))
        }
    }
}

fn read_messages(state: &mut State, call: &Call) -> Response {
    state.reads += 1;
    let number = |name: &str| -> Option<usize> { call.query.get(name)?.parse().ok() };
    let all = &state.messages;
    let limit = number("limit").unwrap_or(100).min(state.most);
    let start = match (state.cursor, number("cursor")) {
        (Cursor::Refused, Some(_)) => {
            return super::json(400, &json!({ "message": "bad cursor" }));
        }
        (_, None) | (Cursor::Ignored, _) => 0,
        (Cursor::Offset, Some(cursor)) => cursor,
        (Cursor::PageFromZero, Some(cursor)) => cursor * limit,
        (Cursor::PageFromOne, Some(cursor)) => cursor.saturating_sub(1) * limit,
    };
    let page = match number("lastn") {
        Some(lastn) => &all[all.len().saturating_sub(lastn.min(state.most))..],
        None => &all[start.min(all.len())..(start + limit).min(all.len())],
    };
    super::json(
        200,
        &json!({ "messages": page, "total_count": all.len(), "user_id": "u-1" }),
    )
}

fn write(
    shared: &Arc<Mutex<State>>,
    items: Vec<Value>,
    into: fn(&mut State) -> &mut Vec<Value>,
) -> Response {
    let mut state = shared.lock().expect("no panic");
    state.writes += 1;
    let fate = state.fates.pop_front();
    let store = move |state: &mut State, items: &[Value]| -> Vec<Value> {
        let stored = into(state);
        let mut uuids = Vec::new();
        for item in items {
            let mut item = item.clone();
            item["uuid"] = format!("new-{}", stored.len()).into();
            uuids.push(item["uuid"].clone());
            stored.push(item);
        }
        uuids
    };
    match fate {
        Some(Fate::Status(status)) => super::json(status, &json!({ "message": "no" })),
        Some(Fate::NotDoneAnswerLost) => broken_off(),
        Some(Fate::PartlyDone(count)) => {
            store(&mut state, &items[..count]);
            broken_off()
        }
        Some(Fate::DoneLater(wait)) => {
            let shared = shared.clone();
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                store(&mut shared.lock().expect("no panic"), &items);
            });
            broken_off()
        }
        Some(Fate::DoneAnswerLost) => {
            store(&mut state, &items);
            broken_off()
        }
        Some(Fate::DoneAnswerGarbled) => {
            store(&mut state, &items);
            Response::new("<html>".into())
        }
        Some(Fate::DoneWithoutIds) => {
            store(&mut state, &items);
            super::json(200, &json!({}))
        }
        None => {
            let uuids = store(&mut state, &items);
            let last = into(&mut state).last().cloned().unwrap_or_default();
            let mut body = last;
            body["message_uuids"] = uuids.into();
            super::json(200, &body)
        }
    }
}
