//! The MCP handler: identity and instructions of the server, and how a call reaches its tool.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::tool::ToolCallContext,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, ErrorCode,
        GetTaskParams, GetTaskResult, Implementation, InitializeRequestParams, InitializeResult,
        ListToolsResult, PaginatedRequestParams, ProtocolVersion, ResultType, ServerCapabilities,
        ServerConfig, UpdateTaskParams,
    },
    prompt_handler,
    service::RequestContext,
    tool_handler,
};

use super::{
    arguments, audit,
    confirm::Answers,
    error::ToolError,
    prompts,
    server::MemoryServer,
    task::as_task,
    tools, traces,
    turn::{CallTurn, TooBusy},
};
use crate::config::{Tool, Tools};
use crate::memory::{MemoryService, access::Right};
use crate::moves::Run;
use crate::traces::Span;

/// When to use which tools, for the agent. A line appears only if all its tools are offered.
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

impl MemoryServer {
    /// A server for these memories, with all tools.
    pub fn new(memories: MemoryService) -> Self {
        // Built once: making the schemas is the only cost of starting up.
        Self::with(memories, tools::router(), prompts::router())
    }

    /// The same with these tools only: the others are not listed and cannot be called.
    #[must_use]
    pub fn offering(mut self, tools: &Tools) -> Self {
        tools::keep(Arc::make_mut(&mut self.tools), tools);
        self
    }

    /// The tool of this name, if it is offered.
    fn tool(&self, name: &str) -> Option<Tool> {
        let known = Tools::known().iter().copied();
        known
            .filter(|tool| self.tools.has_route(tool.as_str()))
            .find(|tool| tool.as_str() == name)
    }

    /// Reads the arguments of a call, and makes it. What was made of them is said in `notes`.
    async fn read_and_call(
        &self,
        tool: Option<Tool>,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let listed = tool.and_then(|tool| Some((tool, self.tools.get(tool.as_str())?)));
        let mut notes = Vec::new();
        if let Some((tool, listed)) = listed {
            let given = request.arguments.take().unwrap_or_default();
            match arguments::read(tool, &listed.input_schema, given) {
                Ok(read) => (request.arguments, notes) = (Some(read.arguments), read.notes),
                Err(error) => return Ok(error.into_result().into()),
            }
        }
        let context = ToolCallContext::new(self, request, context);
        let mut answer = self.tools.call(context).await?;
        if !notes.is_empty() {
            arguments::add_notes(&mut answer, notes);
        }
        Ok(answer)
    }

    /// A migration of the caller, by the id of its task.
    fn task(&self, id: &str, context: &RequestContext<RoleServer>) -> Result<Arc<Run>, ErrorData> {
        let caller = self.for_request(context)?.caller();
        let run = self.moves().runs().find(id, &caller);
        run.ok_or_else(|| ErrorData::invalid_params("there is no such task", None))
    }

    /// Counts a call that has ended, and ends its span.
    fn measure(&self, span: &Span, tool: &'static str, outcome: &str, begun: Instant) {
        span.ended(outcome);
        if let Some(metrics) = self.metrics() {
            metrics.tool_called(tool, outcome, begun.elapsed());
        }
    }

    fn instructions(&self) -> String {
        let place = match self.memories().backend() {
            "mem0" => {
                "Memories are kept in mem0, which draws them from what it is told in the background, \
                 after some seconds."
            }
            "zep" => {
                "Memories are kept in Zep Cloud. Zep extracts facts from them in the background, \
                 after some seconds to minutes; until then search_memory finds what was stored by its \
                 words."
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
            self.memories().default_user(&self.caller())
        ));
        lines.join("\n")
    }
}

/// The answer to a call that was not started, with JSON-RPC's code of errors that a server defines.
fn busy(error: TooBusy) -> ErrorData {
    let data = serde_json::json!({"error": "too_many_unread_answers"});
    ErrorData::new(ErrorCode(-32000), error.to_string(), Some(data))
}

/// The most characters of an unknown name that its error repeats.
const MAX_NAMED: usize = 100;

fn no_tool(name: &str) -> ErrorData {
    let name: String = name.chars().take(MAX_NAMED).collect();
    ErrorData::invalid_params(
        format!("tool not found: `{name}`; tools/list names those there are"),
        None,
    )
}

#[tool_handler(router = self.tools)]
#[prompt_handler(router = self.prompts)]
impl ServerHandler for MemoryServer {
    fn get_info(&self) -> ServerConfig {
        let mut config = ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_prompts()
                .enable_tasks()
                .build(),
        )
        .with_instructions(self.instructions());
        config.server_info = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        config
    }

    /// Opens a session.
    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        self.audit_login(&context).await;
        context.peer.set_peer_info(request.clone());
        self.negotiate_initialize(&request)
    }

    /// Lists the tools. What only operators may use costs others no tokens.
    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let server = self.for_request(&context)?;
        let mut tools = self.tools.list_all();
        if server.caller().may_at_all(Right::Migrate).is_err() {
            tools.retain(|tool| tool.name != Tool::MigrationStatus.as_str());
        }
        let version = context.protocol_version();
        let hints = version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let mut result = ListToolsResult::with_all_items(tools);
        result.result_type = Some(ResultType::COMPLETE);
        result.ttl_ms = hints.then_some(0);
        // Another token may have another list.
        result.cache_scope = hints.then_some(CacheScope::Private);
        Ok(result)
    }

    /// How far a migration is, as a task.
    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let run = self.task(&request.task_id, &context)?;
        Ok(GetTaskResult::new(as_task(&run)))
    }

    /// Migrations ask for nothing.
    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.task(&request.task_id, &context).map(|_| ())
    }

    /// Stops a migration after its requests in flight.
    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.task(&request.task_id, &context)?.stop.cancel();
        Ok(())
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
        let server = self.for_request(&context)?;
        let tool = self.tool(&request.name);
        // An unknown name may hold anything, and is not logged.
        let name = tool.map_or("unknown", Tool::as_str);
        let span = traces::of(name, &context);
        let arguments = request.arguments.as_ref();
        let audited = match self.audited(tool, arguments, &context).await {
            Ok(audited) => audited,
            Err(unwritable) => {
                self.measure(&span, name, "audit_unavailable", Instant::now());
                return Ok(ToolError::from(unwritable).into_result().into());
            }
        };
        if tool.is_none() {
            self.measure(&span, name, "unknown_tool", Instant::now());
            audited.end("unknown_tool").await;
            return Err(no_tool(&request.name));
        }
        let begun = Instant::now();
        let cancelled = context.ct.clone();
        let turn = context
            .extensions
            .get::<http::request::Parts>()
            .and_then(|parts| parts.extensions.get::<CallTurn>())
            .cloned();
        let call = async {
            let _turn = match turn {
                Some(turn) => Some(turn.0.turn().await.map_err(busy)?),
                None => None,
            };
            server.read_and_call(tool, request, context).await
        };
        let outcome = tokio::select! {
            outcome = AssertUnwindSafe(span.during(audited.during(call))).catch_unwind() => outcome,
            () = cancelled.cancelled() => {
                tracing::info!(tool = name, ms = begun.elapsed().as_millis(), "cancelled");
                self.measure(&span, name, "cancelled", begun);
                audited.end("cancelled").await;
                return Err(ErrorData::internal_error("the call was cancelled", None));
            }
        };
        let ms = begun.elapsed().as_millis();
        let answer = match outcome {
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
        };
        let outcome = audit::outcome(&audited, &answer);
        self.measure(&span, name, &outcome, begun);
        audited.end(outcome).await;
        answer
    }
}
