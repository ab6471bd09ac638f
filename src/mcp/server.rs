//! The state that tools and prompts work on.

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer,
    handler::server::router::{prompt::PromptRouter, tool::ToolRouter},
    service::RequestContext,
};

use crate::audit::Trail;
use crate::config::Confirm;
use crate::memory::{MemoryService, access::Caller};
use crate::metrics::Metrics;
use crate::moves::Moves;

/// The MCP server. Cheap to clone: clones share the service and the tools.
#[derive(Debug, Clone)]
pub struct MemoryServer {
    memories: MemoryService,
    moves: Moves,
    confirm: Confirm,
    trail: Trail,
    metrics: Option<Arc<Metrics>>,
    /// Over stdio, the operator who started this process. On a network, known of each request only.
    caller: Option<Caller>,
    pub(super) tools: Arc<ToolRouter<Self>>,
    pub(super) prompts: Arc<PromptRouter<Self>>,
}

impl MemoryServer {
    /// A server with these tools and prompts, for the operator of this process.
    pub(super) fn with(
        memories: MemoryService,
        tools: ToolRouter<Self>,
        prompts: PromptRouter<Self>,
    ) -> Self {
        Self {
            moves: Moves::new(memories.clone()),
            memories,
            confirm: Confirm::Elicit,
            trail: Trail::off(),
            metrics: None,
            caller: Some(Caller::Operator),
            tools: Arc::new(tools),
            prompts: Arc::new(prompts),
        }
    }

    /// The same, with this policy for asking the person before memories are deleted in bulk.
    #[must_use]
    pub fn confirming(mut self, confirm: Confirm) -> Self {
        self.confirm = confirm;
        self
    }

    /// Whether the person is asked before memories are deleted in bulk.
    pub(super) fn confirm_policy(&self) -> Confirm {
        self.confirm
    }

    /// The same, with an audit trail of its calls.
    #[must_use]
    pub fn auditing(mut self, trail: Trail) -> Self {
        self.trail = trail;
        self
    }

    /// The same, counting its calls.
    #[must_use]
    pub(crate) fn measuring(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Where its calls are counted.
    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }

    /// The audit trail of its calls.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The same, whose migrations are begun there.
    #[must_use]
    pub fn migrating(mut self, moves: Moves) -> Self {
        self.moves = moves;
        self
    }

    /// Where migrations are begun.
    pub(crate) fn moves(&self) -> &Moves {
        &self.moves
    }

    /// The memories it serves.
    pub fn memories(&self) -> &MemoryService {
        &self.memories
    }

    /// The same for a network: each request carries its [`Caller`] in its extensions, put there by
    /// authentication. A request without one is refused.
    #[must_use]
    pub fn on_a_network(mut self) -> Self {
        self.caller = None;
        self
    }

    /// The caller of the current request.
    pub(super) fn caller(&self) -> Caller {
        self.caller.clone().unwrap_or_else(Caller::nobody)
    }

    /// This server with the caller of a request.
    pub(super) fn for_request(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<Self, ErrorData> {
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
            None => Err(ErrorData::invalid_request("the caller is not known", None)),
        }
    }
}
