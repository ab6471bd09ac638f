//! One `add_memory`: what was sent, and what the tool reported.

use fastrand::Rng;
use serde_json::{Value, json};

/// The users of a storm. They use the same session ids.
pub const USERS: [&str; 2] = ["ann", "bob"];
/// Their sessions.
const SESSIONS: [&str; 3] = ["monday", "tuesday", "wednesday"];

/// What the tool reported.
#[derive(Debug, Clone)]
pub enum Report {
    /// Everything is stored, or safe in the queue, under these ids.
    Stored(Vec<String>),
    /// These are stored; if in doubt, more may be.
    Partly {
        stored: Vec<String>,
        in_doubt: bool,
        key: String,
    },
    /// Nothing is stored.
    #[expect(dead_code, reason = "shown where a report turns out wrong")]
    Failed(Value),
}

/// An `add_memory`.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its number, which its records carry in the caller's metadata.
    pub number: usize,
    pub user: &'static str,
    /// `None`: an episode without a session.
    pub session: Option<&'static str>,
    pub contents: Vec<String>,
    pub key: Option<String>,
    /// When it was first sent and when each report came, counted in events of the storm.
    pub begun: usize,
    pub reports: Vec<(usize, Report)>,
}

impl Operation {
    /// A random one.
    pub fn random(number: usize, rng: &mut Rng) -> Self {
        let user = USERS[rng.usize(..USERS.len())];
        let session = (rng.u8(..5) > 0).then(|| SESSIONS[rng.usize(..SESSIONS.len())]);
        let count = if session.is_some() {
            rng.usize(1..=6)
        } else {
            1
        };
        let contents = (0..count).map(|_| content(rng)).collect();
        Self {
            number,
            user,
            session,
            contents,
            key: rng.bool().then(|| format!("key-{number}")),
            begun: 0,
            reports: Vec::new(),
        }
    }

    /// The tool's arguments, to begin or to continue.
    pub fn arguments(&self) -> Value {
        let mut arguments = json!({
            "user_id": self.user,
            "metadata": {"operation": self.number},
        });
        match self.session {
            Some(session) => {
                arguments["session_id"] = session.into();
                arguments["messages"] = self
                    .contents
                    .iter()
                    .map(|content| json!({"role": "user", "content": content}))
                    .collect();
            }
            None => arguments["text"] = self.contents[0].as_str().into(),
        }
        if let Some(key) = self.key_to_go_on() {
            arguments["idempotency_key"] = key.into();
        }
        arguments
    }

    /// Its own key, or the one that the last report named.
    pub fn key_to_go_on(&self) -> Option<&str> {
        let reported = self
            .reports
            .iter()
            .rev()
            .find_map(|(_, report)| match report {
                Report::Partly { key, .. } => Some(key.as_str()),
                _ => None,
            });
        self.key.as_deref().or(reported)
    }

    /// Records what the tool reported.
    pub fn note(&mut self, event: usize, outcome: Result<Value, Value>) {
        let ids = |value: &Value| -> Vec<String> {
            let ids = value.as_array().unwrap().iter();
            ids.map(|id| id.as_str().unwrap().to_owned()).collect()
        };
        let report = match outcome {
            Ok(answer) => {
                assert_eq!(answer["backend"], "zep");
                let results = answer["results"].as_array().unwrap().iter();
                Report::Stored(
                    results
                        .map(|memory| memory["id"].as_str().unwrap().to_owned())
                        .collect(),
                )
            }
            Err(error) if error["error"] == "partly_stored" => {
                assert_eq!(error["total_count"], self.contents.len(), "{error}");
                Report::Partly {
                    stored: ids(&error["stored"]),
                    in_doubt: error["in_doubt"].as_bool().unwrap(),
                    key: error["idempotency_key"].as_str().unwrap().to_owned(),
                }
            }
            Err(error) => {
                // No call of a storm may be answered with another error.
                let code = error["error"].as_str().unwrap();
                let ours = ["invalid_argument", "invalid_request", "internal_error"];
                assert!(!ours.contains(&code), "{error}");
                Report::Failed(error)
            }
        };
        self.reports.push((event, report));
    }

    /// Whether the last report says that everything is stored.
    pub fn is_stored(&self) -> bool {
        matches!(self.reports.last(), Some((_, Report::Stored(_))))
    }
}

/// Mostly short, often the same, sometimes too long for one message.
fn content(rng: &mut Rng) -> String {
    match rng.u8(..10) {
        0..=3 => "ok".to_owned(),
        4 => {
            let words = rng.usize(700..2_500);
            (0..words)
                .map(|_| format!("w{} ", rng.u32(..9_999)))
                .collect()
        }
        _ => format!("I said {}", rng.u32(..)),
    }
}
