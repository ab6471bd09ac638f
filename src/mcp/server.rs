//! The MCP server: who it says it is, and how a call reaches its tool.

use std::{panic::AssertUnwindSafe, path::Path, sync::Arc, time::Instant};

use futures::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::{
        router::{prompt::PromptRouter, tool::ToolRouter},
        tool::ToolCallContext,
    },
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ServerCapabilities, ServerConfig,
    },
    prompt_handler,
    service::RequestContext,
    tool_handler,
};

use super::{confirm::Answers, error::ToolError, prompts, tools};
use crate::config::{Confirm, Tool, Tools};
use crate::memory::{MemoryService, model::Caller};

/// When to use which tools, for the agent; said of tools that are there.
const ADVICE: &[(&[Tool], &str)] = &[
    (
        &[Tool::SearchMemory],
        "Before you answer something that may depend on earlier conversations, ask search_memory.",
    ),
    (
        &[Tool::AddMemory],
        "Store what should be remembered with add_memory: a plain statement as `text`, turns of a \
         conversation as `messages` with a `session_id`.",
    ),
    (
        &[Tool::GetSession, Tool::ListSessions],
        "get_session reads a conversation back word for word; list_sessions tells which there are.",
    ),
    (
        &[Tool::GetMemories, Tool::SearchMemories],
        "get_memories lists memories, search_memories searches them with mem0's filters.",
    ),
    (
        &[Tool::UpdateMemory, Tool::DeleteMemory],
        "update_memory and delete_memory take the id of one memory. Ask before you delete.",
    ),
    (
        &[Tool::MigrateUser, Tool::ValidateMigration],
        "migrate_user moves what a person had in mem0 over, validate_migration proves that it \
         arrived.",
    ),
];

/// The MCP server. Cheap to clone: clones share the service and the tools.
#[derive(Debug, Clone)]
pub struct MemoryServer {
    memories: MemoryService,
    import_dir: Option<Arc<Path>>,
    confirm: Confirm,
    /// Who asks: over stdio, the one who started this process. On a network, it is known of each
    /// request only.
    caller: Option<Caller>,
    tools: Arc<ToolRouter<Self>>,
    prompts: Arc<PromptRouter<Self>>,
}

impl MemoryServer {
    /// A server for these memories.
    pub fn new(memories: MemoryService) -> Self {
        Self {
            memories,
            import_dir: None,
            confirm: Confirm::Elicit,
            caller: Some(Caller::Operator),
            // Built once: making the schemas is the only cost of starting up.
            tools: Arc::new(tools::router()),
            prompts: Arc::new(prompts::router()),
        }
    }

    /// The same with these tools only: the others are not listed and cannot be called.
    #[must_use]
    pub fn offering(mut self, tools: &Tools) -> Self {
        tools::keep(Arc::make_mut(&mut self.tools), tools);
        self
    }

    /// The same, asking people so before memories are deleted in bulk.
    #[must_use]
    pub fn confirming(mut self, confirm: Confirm) -> Self {
        self.confirm = confirm;
        self
    }

    /// Whether people are asked before memories are deleted in bulk.
    pub(super) fn asks(&self) -> Confirm {
        self.confirm
    }

    /// The same, with a directory from which agents may have export files read.
    #[must_use]
    pub fn reading_exports_in(mut self, directory: Option<&Path>) -> Self {
        self.import_dir = directory.map(Arc::from);
        self
    }

    /// Where agents may have export files read.
    pub(super) fn import_dir(&self) -> Option<&Path> {
        self.import_dir.as_deref()
    }

    /// The memories it serves.
    pub fn memories(&self) -> &MemoryService {
        &self.memories
    }

    /// The same for a network: who asks is known of each request only, from the [`Caller`] that the
    /// door put into its extensions. A request without one is refused.
    #[must_use]
    pub fn on_a_network(mut self) -> Self {
        self.caller = None;
        self
    }

    /// Who asks.
    pub(super) fn caller(&self) -> Caller {
        self.caller.clone().unwrap_or_else(Caller::nobody)
    }

    /// This server as it stands before whoever made a request.
    fn before(&self, context: &RequestContext<RoleServer>) -> Result<Self, ErrorData> {
        if self.caller.is_some() {
            return Ok(self.clone());
        }
        let caller = context
            .extensions
            .get::<http::request::Parts>()
            .and_then(|parts| parts.extensions.get::<Caller>());
        match caller {
            Some(caller) => Ok(Self {
                caller: Some(caller.clone()),
                ..self.clone()
            }),
            None => Err(ErrorData::invalid_request("who asks is not known", None)),
        }
    }

    fn instructions(&self) -> String {
        let place = match self.memories.backend() {
            "zep" => {
                "Memories are kept in Zep Cloud. Zep extracts facts from them in the background, \
                 so what was just stored is found by get_session at once and by search_memory \
                 after some seconds to minutes."
            }
            _ => {
                "Memories are kept in a local file on this machine (backend `local`), not in the \
                 cloud. What was stored can be found at once."
            }
        };
        let mut lines = vec![format!(
            "Long-term memory of people, agents and their conversations. {place}"
        )];
        let has = |tool: Tool| self.tools.has_route(tool.as_str());
        lines.extend(
            ADVICE
                .iter()
                .filter(|(tools, _)| tools.iter().all(|tool| has(*tool)))
                .map(|(_, advice)| format!("- {advice}")),
        );
        lines.push(format!(
            "Name the `user_id` whenever you know whose memory it is; without one `{}` is meant.",
            self.memories.default_user(&self.caller())
        ));
        lines.join("\n")
    }
}

#[tool_handler(router = self.tools)]
#[prompt_handler(router = self.prompts)]
impl ServerHandler for MemoryServer {
    fn get_info(&self) -> ServerConfig {
        let mut config = ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_prompts()
                .build(),
        )
        .with_instructions(self.instructions());
        config.server_info = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        config
    }

    /// Calls a tool. A panic in it is answered as an error, since rmcp would never answer; a
    /// cancelled call ends at once, its waits included.
    async fn call_tool(
        &self,
        mut request: CallToolRequestParams,
        mut context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(responses) = request.input_responses.take() {
            let state = request.request_state.take();
            context.extensions.insert(Answers { responses, state });
        }
        let server = self.before(&context)?;
        // A name that is none of ours may be anything, and is not logged.
        let mut known = Tools::known().iter().map(|tool| tool.as_str());
        let name = known
            .find(|name| *name == request.name)
            .unwrap_or("unknown");
        let begun = Instant::now();
        let cancelled = context.ct.clone();
        let call = self
            .tools
            .call(ToolCallContext::new(&server, request, context));
        let outcome = tokio::select! {
            outcome = AssertUnwindSafe(call).catch_unwind() => outcome,
            () = cancelled.cancelled() => {
                tracing::info!(tool = name, ms = begun.elapsed().as_millis(), "cancelled");
                return Err(ErrorData::internal_error("the call was cancelled", None));
            }
        };
        let ms = begun.elapsed().as_millis();
        match outcome {
            Ok(answer) => {
                let failed = match &answer {
                    Ok(CallToolResponse::Complete(result)) => result.is_error == Some(true),
                    Ok(_) => false,
                    Err(_) => true,
                };
                tracing::info!(tool = name, ms, failed, "called");
                answer
            }
            Err(_) => {
                tracing::error!(tool = name, ms, "panicked");
                Ok(ToolError::internal().into_result().into())
            }
        }
    }
}
