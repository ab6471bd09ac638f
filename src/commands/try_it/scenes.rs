//! The scenes of `try`: what happens, the call, and the check of its answer.

use anyhow::{Context, ensure};
use rmcp::model::{ServerPeerInfo, Tool};
use serde_json::{Value, json};

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

/// A user as the application that migrates exports it.
fn friend() -> Value {
    json!({ "id": "jonas", "name": "Jonas Berg", "role": "user" })
}

/// His memories in that export: two messages, an insight, a preference.
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

/// The number of records in it.
const FRIENDS_RECORDS: u64 = 3;

/// A call of a tool.
pub(super) struct Scene {
    /// What happens, in a sentence.
    pub(super) says: &'static str,
    pub(super) tool: &'static str,
    pub(super) arguments: fn() -> Value,
    /// Checks the answer, and describes it in a few words.
    pub(super) check: fn(&Value) -> anyhow::Result<String>,
}

/// The first scene: the handshake.
pub(super) const START: &str = "Your agent host starts the server";
/// The second scene: the list of tools.
pub(super) const LIST: &str = "It lists the tools";

/// Checks what the server said of itself.
pub(super) fn check_start(server: &ServerPeerInfo) -> anyhow::Result<String> {
    let program = server.server_info.as_ref();
    let program = program.context("the server does not give its name")?;
    let instructions = server.instructions.as_deref().unwrap_or_default();
    ensure!(
        instructions.contains("local"),
        "the instructions do not name the backend"
    );
    Ok(format!(
        "{} {}, MCP {}, with instructions for the agent",
        program.name, program.version, server.protocol_version
    ))
}

/// Checks that all tools of the scenes are listed.
pub(super) fn check_tools(tools: &[Tool]) -> anyhow::Result<String> {
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    for Scene { tool, .. } in SCENES {
        ensure!(names.contains(tool), "there is no tool {tool}");
    }
    Ok(format!("{} tools: {}", names.len(), names.join(", ")))
}

/// The other scenes, in order.
pub(super) const SCENES: &[Scene] = &[
    Scene {
        says: "Mara tells the agent something to remember",
        tool: "add_memory",
        arguments: || json!({ "text": FACT, "user_id": USER }),
        check: |answer| {
            ensure!(
                text(answer, "/backend")? == "local",
                "it was not stored in the local backend"
            );
            let stored = list(answer, "results")?;
            ensure!(
                stored.len() == 1,
                "one memory was sent, {} were stored",
                stored.len()
            );
            Ok(format!(
                "stored for {}, backend local",
                text(answer, "/user_id")?
            ))
        },
    },
    Scene {
        says: "They plan a trip, and the agent stores the conversation",
        tool: "add_memory",
        arguments: || {
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
        },
        check: |answer| {
            let stored = list(answer, "results")?.len();
            ensure!(
                stored == TURNS.len(),
                "{} messages were sent, {stored} were stored",
                TURNS.len()
            );
            let session = text(answer, "/session_id")?;
            ensure!(session == SESSION, "it was stored in the session {session}");
            Ok(format!("{stored} messages stored in the session {session}"))
        },
    },
    Scene {
        says: "Later, in a new chat, it reads the conversation again",
        tool: "get_session",
        arguments: || json!({ "session_id": SESSION, "user_id": USER }),
        check: |answer| {
            let messages = list(answer, "messages")?;
            let read: Vec<_> = messages
                .iter()
                .map(|message| (text(message, "/role"), text(message, "/content")))
                .map(|(role, content)| Ok((role?, content?)))
                .collect::<anyhow::Result<_>>()?;
            ensure!(read == TURNS, "the session differs from what was stored");
            Ok(format!(
                "{} messages, word for word and in order",
                read.len()
            ))
        },
    },
    Scene {
        says: "Mara wants to cook, and the agent checks her allergies",
        tool: "search_memory",
        arguments: || json!({ "query": "What is Mara allergic to?", "user_id": USER }),
        check: |answer| {
            let found = list(answer, "results")?;
            let first = found.first().context("nothing was found")?;
            let memory = text(first, "/memory")?;
            ensure!(memory == FACT, "the first result is not the stored memory");
            Ok(format!("“{memory}”"))
        },
    },
    Scene {
        says: "Another user asks the same",
        tool: "search_memory",
        arguments: || json!({ "query": "What is Mara allergic to?", "user_id": "somebody-else" }),
        check: |answer| {
            let found = list(answer, "results")?.len();
            ensure!(found == 0, "another user found {found} of Mara's memories");
            Ok("nothing: memories belong to their user".to_owned())
        },
    },
    Scene {
        says: "It lists Mara's conversations",
        tool: "list_sessions",
        arguments: || json!({ "user_id": USER }),
        check: |answer| {
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
        says: "Before it answers, it fetches what is relevant",
        tool: "search_memory",
        arguments: || json!({ "query": "hotel in Lisbon", "user_id": USER, "scope": "context" }),
        check: |answer| {
            let context = text(answer, "/context")?;
            ensure!(
                context.contains("quiet hotel"),
                "the context does not mention the hotel"
            );
            Ok(format!(
                "a context block of {} characters",
                context.chars().count()
            ))
        },
    },
    Scene {
        says: "Jonas joins, and his memories are migrated",
        tool: "migrate_user",
        arguments: || json!({ "user": friend(), "data": friends_memories() }),
        check: |answer| {
            ensure!(answer["success"] == true, "not everything was migrated");
            let migrated = number(answer, "/memories_migrated")?;
            ensure!(
                migrated == FRIENDS_RECORDS,
                "{FRIENDS_RECORDS} memories were sent, {migrated} were migrated"
            );
            Ok(format!(
                "{migrated} memories from {} to {}, with their times",
                text(answer, "/source_system")?,
                text(answer, "/target_system")?
            ))
        },
    },
    Scene {
        says: "The migration is validated",
        tool: "validate_migration",
        arguments: || json!({ "user": friend(), "data": friends_memories() }),
        check: |answer| {
            ensure!(
                answer["valid"] == true,
                "the stored memories differ from the export"
            );
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

    /// The result of a scene's check for an answer.
    fn check(says: &str, answer: Value) -> anyhow::Result<String> {
        let scene = SCENES.iter().find(|scene| scene.says == says).unwrap();
        (scene.check)(&answer)
    }

    #[test]
    fn only_the_stored_memory_counts_as_found() {
        let says = "Mara wants to cook, and the agent checks her allergies";
        check(says, json!({ "results": [{ "memory": FACT }] })).unwrap();
        check(says, json!({ "results": [] })).unwrap_err();
        check(
            says,
            json!({ "results": [{ "memory": "Mara likes nuts." }] }),
        )
        .unwrap_err();
    }

    #[test]
    fn a_result_for_another_user_is_a_failure() {
        let says = "Another user asks the same";
        check(says, json!({ "results": [] })).unwrap();
        check(says, json!({ "results": [{ "memory": FACT }] })).unwrap_err();
    }

    #[test]
    fn a_session_in_another_order_or_with_a_message_missing_is_a_failure() {
        let says = "Later, in a new chat, it reads the conversation again";
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
        let says = "Jonas joins, and his memories are migrated";
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
        let says = "The migration is validated";
        let verdict = |valid: bool, stored: u64| json!({ "valid": valid, "memory_count": stored, "checks": [{ "name": "content" }] });
        check(says, verdict(true, FRIENDS_RECORDS)).unwrap();
        check(says, verdict(false, FRIENDS_RECORDS)).unwrap_err();
        check(says, verdict(true, 0)).unwrap_err();
    }

    #[test]
    fn every_tool_of_the_scenes_must_be_listed() {
        let tool = |name: &&'static str| Tool::new(*name, "", rmcp::model::JsonObject::new());
        let mut listed: Vec<_> = [
            "add_memory",
            "search_memory",
            "get_session",
            "list_sessions",
            "migrate_user",
            "validate_migration",
        ]
        .iter()
        .map(tool)
        .collect();
        check_tools(&listed).unwrap();
        listed.remove(0);
        check_tools(&listed).unwrap_err();
    }
}
