//! `add_memory`: store a text or turns of a conversation.

use rmcp::{
    model::{CallToolResult, JsonObject},
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::{
    mcp::{arguments, error::ToolError, schema, server::MemoryServer},
    memory::{
        NewMemories, NewTurn,
        input::{self, EntityIds},
        model::{Owner, RecordId},
    },
};

/// What to remember, and whose memory it is.
#[derive(Debug, Deserialize, JsonSchema)]
struct AddMemoryArgs {
    /// A plain sentence; not stored if `messages` are given.
    text: Option<String>,
    /// Turns, oldest first.
    messages: Option<Vec<MessageArg>>,
    /// Whose memory; the default user's if left out, unless `agent_id` is alone.
    user_id: Option<String>,
    /// Alone: the agent's own memory.
    agent_id: Option<String>,
    /// The app it comes from.
    app_id: Option<String>,
    /// The conversation: any id of your own.
    session_id: Option<String>,
    /// The same as `session_id`.
    run_id: Option<String>,
    /// Your own fields.
    metadata: Option<Map<String, serde_json::Value>>,
    /// Like emotional_state, session_summary, treatment_plan.
    memory_type: Option<String>,
    /// When it happened, like 2024-06-15T10:30:00Z; now if left out.
    created_at: Option<String>,
    /// Repeating a call with its key stores nothing twice.
    idempotency_key: Option<String>,
    /// Ignored.
    #[serde(rename = "enable_graph")]
    _enable_graph: Option<bool>,
}

// One turn of a conversation.
#[derive(Debug, Deserialize, JsonSchema)]
struct MessageArg {
    /// user, assistant, system or tool.
    role: String,
    // What was said.
    content: String,
    /// The speaker's.
    name: Option<String>,
    // When it was said.
    created_at: Option<String>,
    /// Fields of this turn alone. Not listed, as all further fields are kept alike.
    #[schemars(skip)]
    metadata: Option<Map<String, serde_json::Value>>,
    /// Further fields of the turn, kept in its metadata.
    #[serde(flatten)]
    more: Map<String, serde_json::Value>,
}

/// What was stored.
#[derive(Debug, Serialize)]
struct AddMemoryAnswer {
    /// One for each stored memory, in the order given.
    results: Vec<StoredMemory>,
    /// What happens next, in a sentence.
    message: String,
    /// SUCCEEDED: it can be found. PENDING: it is stored, and Zep is still extracting facts from it;
    /// get_event_status tells when it is done. QUEUED: it is safe here until Zep answers.
    status: &'static str,
    /// For get_event_status: the id of the first memory.
    event_id: Option<String>,
    /// Whose memory it became; null for an agent's own.
    user_id: Option<String>,
    /// The agent whose own memory it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
    /// The conversation it went to; null for a memory on its own.
    session_id: Option<String>,
    /// Where it is stored: `zep` (Zep Cloud) or `local` (a file on the server's machine).
    backend: &'static str,
}

/// One stored memory.
#[derive(Debug, Serialize)]
struct StoredMemory {
    /// The memory's id, for the tools that take one.
    id: String,
    /// What was stored.
    memory: String,
    /// Always ADD.
    event: &'static str,
}

#[tool_router(router = add_memory_router, vis = "pub(super)")]
impl MemoryServer {
    #[tool(
        name = "add_memory",
        title = "Add memory",
        description = "Store something to remember: a fact or note as `text`, or turns of a \
                       conversation as `messages` with a `session_id`. Kept word for word. \
                       Each call adds; it replaces nothing.",
        input_schema = schema::of::<AddMemoryArgs>(),
        output_schema = schema::answer(&[
            ("results", "array", "The stored memories."),
            ("message", "string", "What happens next."),
            ("status", "string", "PENDING, SUCCEEDED or QUEUED."),
            ("backend", "string", "zep, local or mem0."),
        ]),
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn add_memory(&self, arguments: JsonObject) -> Result<CallToolResult, ToolError> {
        let args: AddMemoryArgs = arguments::parse(arguments)?;
        let agent_id = args.agent_id.clone();
        let added = self
            .memories()
            .add(&self.caller(), args.into_new()?)
            .await?;
        let is_mem0s = added.in_mem0.is_some() || added.for_mem0;
        let backend = match is_mem0s {
            true => "mem0",
            false => self.memories().backend(),
        };
        let mut message = match backend {
            "mem0" if added.queued.is_some() => {
                "The memories are safe here and go to mem0, or to Zep once their user is moved; their \
                 ids stay valid."
                    .to_owned()
            }
            "mem0" => {
                "Accepted by mem0, which draws memories from it in the background.".to_owned()
            }
            _ if added.queued.is_some() => {
                let reason = added.queued.as_ref().and_then(|away| away.reason.as_ref());
                let safe = "Zep does not answer yet. The memories are safe here and go to Zep as soon as it \
                            does; their ids stay valid.";
                match reason {
                    Some(reason) => format!("{safe} {reason}"),
                    None => safe.to_owned(),
                }
            }
            "zep" => {
                "Stored. Zep is still extracting facts; until then search_memory finds its words."
                    .to_owned()
            }
            _ => "Stored in the local file; it can be found at once.".to_owned(),
        };
        if added.text_ignored {
            message.push_str(" The messages were stored; `text` was not, since both were given.");
        }
        let mem0 = added.in_mem0.as_ref();
        let event_id = match mem0 {
            Some(accepted) => accepted.event.clone(),
            None => added.memories.first().map(|memory| memory.id.to_string()),
        };
        let is_done = mem0.is_some_and(|it| it.status.as_deref() == Some("SUCCEEDED"));
        let (user_id, agent_id) = match added.owner {
            Owner::User(user) => (Some(user.to_string()), None),
            Owner::Graph(_) => (None, agent_id),
        };
        arguments::answer(AddMemoryAnswer {
            results: added
                .memories
                .into_iter()
                .map(|memory| StoredMemory {
                    id: memory.id.to_string(),
                    memory: memory.content,
                    event: "ADD",
                })
                .collect(),
            message,
            status: match backend {
                _ if added.queued.is_some() => "QUEUED",
                "mem0" if is_done => "SUCCEEDED",
                "zep" | "mem0" => "PENDING",
                _ => "SUCCEEDED",
            },
            event_id,
            user_id,
            agent_id,
            session_id: added.session.map(|session| session.to_string()),
            backend,
        })
    }
}

impl AddMemoryArgs {
    fn into_new(self) -> Result<NewMemories, ToolError> {
        let scope = EntityIds {
            user_id: self.user_id.as_deref(),
            agent_id: self.agent_id.as_deref(),
            app_id: self.app_id.as_deref(),
            session_id: self.session_id.as_deref(),
            run_id: self.run_id.as_deref(),
        }
        .scope()?;
        let messages = self
            .messages
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(index, message)| message.into_turn(index))
            .collect::<Result<_, ToolError>>()?;
        Ok(NewMemories {
            scope,
            text: self.text,
            messages,
            metadata: self.metadata.unwrap_or_default(),
            kind: input::kind(self.memory_type.as_deref())?,
            created_at: input::time("created_at", self.created_at.as_deref())?,
            idempotency_key: self
                .idempotency_key
                .as_deref()
                .map(RecordId::new)
                .transpose()
                .map_err(crate::memory::Error::from)?,
        })
    }
}

impl MessageArg {
    fn into_turn(self, index: usize) -> Result<NewTurn, ToolError> {
        let mut metadata = self.more;
        metadata.extend(self.metadata.unwrap_or_default());
        Ok(NewTurn {
            role: self.role,
            content: self.content,
            name: self.name,
            created_at: input::time(
                &format!("messages[{index}].created_at"),
                self.created_at.as_deref(),
            )?,
            metadata,
        })
    }
}
