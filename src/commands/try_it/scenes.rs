//! The scenes of an agent's day: what happens, the call, and what its answer must be.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// The version of MCP that the host speaks (MCP specification, "Lifecycle").
const MCP_VERSION: &str = "2025-06-18";
const USER: &str = "mara";
const SESSION: &str = "trip-to-lisbon";
const FACT: &str = "Mara is allergic to peanuts and always carries an adrenaline pen.";
const TURNS: [(&str, &str); 4] = [
    (
        "user",
        "I am going to Lisbon in May 🇵🇹. Can you help me plan?",
    ),
    ("assistant", "Gladly! How do you like to travel?"),
    (
        "user",
        "By train wherever it is possible, and I need a quiet hotel.",
    ),
    (
        "assistant",
        "Noted: trains, and a quiet hotel in Lisbon in May.",
    ),
];

/// A friend of Mara's, as the system knew him that they come from (in the guide's shape).
fn friend() -> Value {
    json!({ "id": "jonas", "name": "Jonas Berg", "role": "user" })
}

/// What that system kept of him: two turns, an insight, a preference.
fn friends_memories() -> Value {
    json!({
        "messages": [
            {
                "role": "user",
                "content": "I have been feeling anxious before exams",
                "timestamp": "2023-11-02T18:04:05.25Z",
            },
            {
                "role": "therapist",
                "content": "Tell me more about that.",
                "timestamp": "2023-11-02T18:05:00Z",
            },
        ],
        "insights": [{ "emotions": ["anxious", "hopeful"] }],
        "preferences": { "language": "de" },
    })
}

/// How many records that is.
const FRIENDS_RECORDS: u64 = 3;

/// One thing that happens.
pub struct Scene {
    /// What happens, in a sentence.
    pub says: &'static str,
    /// The call.
    pub call: Call,
    /// Sees whether the answer is what it must be, and says in a few words what it was.
    pub check: fn(&Value, &Past) -> anyhow::Result<String>,
}

/// A call to the server.
pub enum Call {
    /// A method of MCP itself, and its parameters.
    Method(&'static str, fn() -> Value),
    /// A tool, and its arguments, which may be made of earlier answers.
    Tool(&'static str, fn(&Past) -> Value),
}

impl Scene {
    /// The method or the tool.
    pub fn name(&self) -> &'static str {
        match self.call {
            Call::Method(name, _) | Call::Tool(name, _) => name,
        }
    }
}

/// What was answered so far.
#[derive(Default)]
pub struct Past {
    answers: Vec<(&'static str, Value)>,
}

impl Past {
    /// Keeps an answer of this method or tool.
    pub fn keep(&mut self, name: &'static str, answer: Value) {
        self.answers.push((name, answer));
    }

    /// The latest answer of this method or tool; null if there is none.
    fn last(&self, name: &str) -> &Value {
        let of_it = |(called, _): &&(&str, Value)| *called == name;
        let found = self.answers.iter().rev().find(of_it);
        found.map_or(&Value::Null, |(_, answer)| answer)
    }
}

/// The day, in order.
pub const SCENES: &[Scene] = &[
    Scene {
        says: "Your agent host starts the server",
        call: Call::Method("initialize", || {
            json!({
                "protocolVersion": MCP_VERSION,
                "capabilities": {},
                "clientInfo": { "name": "zep-mcp-server try", "version": env!("CARGO_PKG_VERSION") },
            })
        }),
        check: |answer, _| {
            let server = text(answer, "/serverInfo/name")?;
            let version = text(answer, "/serverInfo/version")?;
            let mcp = text(answer, "/protocolVersion")?;
            let instructions = text(answer, "/instructions")?;
            ensure!(
                instructions.contains("local"),
                "the instructions do not name the backend"
            );
            Ok(format!(
                "{server} {version}, MCP {mcp}, with instructions for the agent"
            ))
        },
    },
    Scene {
        says: "It asks what the server can do",
        call: Call::Method("tools/list", || json!({})),
        check: |answer, _| {
            let names: Vec<_> = list(answer, "tools")?
                .iter()
                .filter_map(|tool| tool["name"].as_str())
                .collect();
            for scene in SCENES {
                if let Call::Tool(tool, _) = scene.call {
                    ensure!(names.contains(&tool), "there is no tool {tool}");
                }
            }
            Ok(format!("{} tools: {}", names.len(), names.join(", ")))
        },
    },
    Scene {
        says: "Mara says something worth keeping",
        call: Call::Tool("add_memory", |_| json!({ "text": FACT, "user_id": USER })),
        check: |answer, _| {
            ensure!(
                text(answer, "/backend")? == "local",
                "it was not stored in the local backend"
            );
            let stored = list(answer, "results")?;
            ensure!(
                stored.len() == 1,
                "one memory was sent, {} are reported",
                stored.len()
            );
            Ok(format!(
                "stored for {}, backend local",
                text(answer, "/user_id")?
            ))
        },
    },
    Scene {
        says: "They plan a journey, and the agent keeps the conversation",
        call: Call::Tool("add_memory", |_| {
            let messages: Vec<_> = TURNS
                .iter()
                .map(|(role, content)| json!({ "role": role, "content": content }))
                .collect();
            json!({
                "messages": messages,
                "user_id": USER,
                "session_id": SESSION,
                "metadata": { "topic": "travel" },
            })
        }),
        check: |answer, _| {
            let stored = list(answer, "results")?.len();
            ensure!(
                stored == TURNS.len(),
                "{} messages were sent, {stored} are reported",
                TURNS.len()
            );
            let session = text(answer, "/session_id")?;
            ensure!(session == SESSION, "it was stored in the session {session}");
            Ok(format!("{stored} messages stored in the session {session}"))
        },
    },
    Scene {
        says: "Later, in a new window, it reads the conversation again",
        call: Call::Tool("get_session", |past| {
            let session = &past.last("add_memory")["session_id"];
            json!({ "session_id": session, "user_id": USER })
        }),
        check: |answer, _| {
            let messages = list(answer, "messages")?;
            let read: Vec<_> = messages
                .iter()
                .map(|message| (text(message, "/role"), text(message, "/content")))
                .map(|(role, content)| Ok((role?, content?)))
                .collect::<anyhow::Result<_>>()?;
            ensure!(
                read == TURNS,
                "the session was not read back as it was stored"
            );
            Ok(format!(
                "{} messages, word for word and in order",
                read.len()
            ))
        },
    },
    Scene {
        says: "Mara wants to cook, and the agent makes sure",
        call: Call::Tool(
            "search_memory",
            |_| json!({ "query": "What is Mara allergic to?", "user_id": USER }),
        ),
        check: |answer, _| {
            let found = list(answer, "results")?;
            let first = found.first().context("nothing was found")?;
            let memory = text(first, "/memory")?;
            ensure!(
                memory == FACT,
                "what was found first is not what was stored"
            );
            Ok(format!("“{memory}”"))
        },
    },
    Scene {
        says: "A stranger asks the same",
        call: Call::Tool(
            "search_memory",
            |_| json!({ "query": "What is Mara allergic to?", "user_id": "somebody-else" }),
        ),
        check: |answer, _| {
            let found = list(answer, "results")?.len();
            ensure!(
                found == 0,
                "somebody else was told {found} of Mara's memories"
            );
            Ok("nothing: memories belong to their user".to_owned())
        },
    },
    Scene {
        says: "What have we talked about?",
        call: Call::Tool("list_sessions", |_| json!({ "user_id": USER })),
        check: |answer, _| {
            let sessions = list(answer, "sessions")?;
            let ids: Vec<_> = sessions
                .iter()
                .map(|session| text(session, "/session_id"))
                .collect::<anyhow::Result<_>>()?;
            ensure!(
                ids.contains(&SESSION),
                "the session {SESSION} is not listed"
            );
            Ok(ids.join(", "))
        },
    },
    Scene {
        says: "Before it answers, the agent takes in all that matters",
        call: Call::Tool(
            "search_memory",
            |_| json!({ "query": "hotel in Lisbon", "user_id": USER, "scope": "context" }),
        ),
        check: |answer, _| {
            let context = text(answer, "/context")?;
            ensure!(
                context.contains("quiet hotel"),
                "the context lacks what was said about hotels"
            );
            Ok(format!(
                "a context block of {} characters",
                context.chars().count()
            ))
        },
    },
    Scene {
        says: "Jonas joins, and brings his memories from the old system",
        call: Call::Tool(
            "migrate_user",
            |_| json!({ "user": friend(), "data": friends_memories() }),
        ),
        check: |answer, _| {
            ensure!(
                answer["success"] == true,
                "something of him was not migrated"
            );
            let migrated = number(answer, "/memories_migrated")?;
            ensure!(
                migrated == FRIENDS_RECORDS,
                "{FRIENDS_RECORDS} memories were brought, {migrated} are reported"
            );
            Ok(format!(
                "{migrated} memories from {} to {}, with their times",
                text(answer, "/source_system")?,
                text(answer, "/target_system")?
            ))
        },
    },
    Scene {
        says: "Did all of it arrive, and as it was?",
        call: Call::Tool(
            "validate_migration",
            |_| json!({ "user": friend(), "data": friends_memories() }),
        ),
        check: |answer, _| {
            ensure!(answer["valid"] == true, "what arrived is not what he had");
            let stored = number(answer, "/memory_count")?;
            ensure!(
                stored == FRIENDS_RECORDS,
                "{stored} of {FRIENDS_RECORDS} memories are there"
            );
            let checks = list(answer, "checks")?;
            let names: Vec<_> = checks
                .iter()
                .map(|check| text(check, "/name"))
                .collect::<anyhow::Result<_>>()?;
            Ok(format!("valid: {}", names.join(", ")))
        },
    },
];

fn number(answer: &Value, pointer: &str) -> anyhow::Result<u64> {
    answer
        .pointer(pointer)
        .and_then(Value::as_u64)
        .with_context(|| format!("the answer has no number at {pointer}"))
}

fn text<'a>(answer: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("the answer has no text at {pointer}"))
}

fn list<'a>(answer: &'a Value, key: &str) -> anyhow::Result<&'a Vec<Value>> {
    answer[key]
        .as_array()
        .with_context(|| format!("the answer has no list `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first scene that calls this, and what it makes of an answer.
    fn check(says: &str, answer: Value) -> anyhow::Result<String> {
        let scene = SCENES.iter().find(|scene| scene.says == says).unwrap();
        (scene.check)(&answer, &Past::default())
    }

    #[test]
    fn only_the_fact_that_was_stored_is_taken_as_found() {
        let says = "Mara wants to cook, and the agent makes sure";
        check(says, json!({ "results": [{ "memory": FACT }] })).unwrap();
        check(says, json!({ "results": [] })).unwrap_err();
        check(
            says,
            json!({ "results": [{ "memory": "Mara likes nuts." }] }),
        )
        .unwrap_err();
    }

    #[test]
    fn a_strangers_hit_is_a_failure() {
        let says = "A stranger asks the same";
        check(says, json!({ "results": [] })).unwrap();
        check(says, json!({ "results": [{ "memory": FACT }] })).unwrap_err();
    }

    #[test]
    fn a_session_in_another_order_or_with_a_message_missing_is_a_failure() {
        let says = "Later, in a new window, it reads the conversation again";
        let mut messages: Vec<_> = TURNS
            .iter()
            .map(|(role, content)| json!({ "role": role, "content": content }))
            .collect();
        check(says, json!({ "messages": messages })).unwrap();
        messages.swap(0, 2);
        check(says, json!({ "messages": messages })).unwrap_err();
        messages.swap(0, 2);
        messages.pop();
        check(says, json!({ "messages": messages })).unwrap_err();
    }

    #[test]
    fn a_migration_that_lost_something_is_a_failure() {
        let says = "Jonas joins, and brings his memories from the old system";
        let report = |success: bool, migrated: u64| {
            json!({
                "success": success,
                "memories_migrated": migrated,
                "source_system": "mem0",
                "target_system": "local",
            })
        };
        check(says, report(true, FRIENDS_RECORDS)).unwrap();
        check(says, report(true, FRIENDS_RECORDS - 1)).unwrap_err();
        check(says, report(false, FRIENDS_RECORDS)).unwrap_err();
    }

    #[test]
    fn a_validation_that_found_a_difference_is_a_failure() {
        let says = "Did all of it arrive, and as it was?";
        let verdict = |valid: bool, stored: u64| json!({ "valid": valid, "memory_count": stored, "checks": [{ "name": "content" }] });
        check(says, verdict(true, FRIENDS_RECORDS)).unwrap();
        check(says, verdict(false, FRIENDS_RECORDS)).unwrap_err();
        check(says, verdict(true, 0)).unwrap_err();
    }

    #[test]
    fn every_tool_of_the_day_must_be_listed() {
        let says = "It asks what the server can do";
        let all = [
            "add_memory",
            "search_memory",
            "get_session",
            "list_sessions",
            "migrate_user",
            "validate_migration",
        ];
        let listed = |names: &[&str]| json!({ "tools": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() });
        check(says, listed(&all)).unwrap();
        check(says, listed(&all[1..])).unwrap_err();
    }
}
