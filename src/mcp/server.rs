//! The state that tools and prompts work on.

use std::{path::Path, sync::Arc};

use rmcp::{
    ErrorData, RoleServer,
    handler::server::router::{prompt::PromptRouter, tool::ToolRouter},
    service::RequestContext,
};

use super::runs::{MigrationCounts, Runs};
use crate::audit::Trail;
use crate::config::{Confirm, SourceSettings};
use crate::memory::{MemoryService, access::Caller};
use crate::metrics::Metrics;

/// The MCP server. Cheap to clone: clones share the service and the tools.
#[derive(Debug, Clone)]
pub struct MemoryServer {
    memories: MemoryService,
    import_dir: Option<Arc<Path>>,
    data_dir: Option<Arc<Path>>,
    sources: Option<Arc<SourceSettings>>,
    runs: Arc<Runs>,
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
            memories,
            import_dir: None,
            data_dir: None,
            sources: None,
            runs: Arc::default(),
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

    /// The migrations by its tools, since it was started.
    pub(crate) fn migrations(&self) -> MigrationCounts {
        self.runs.counts()
    }

    /// The audit trail of its calls.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The same, with a directory from which agents may have export files read.
    #[must_use]
    pub fn reading_exports_in(mut self, directory: Option<&Path>) -> Self {
        self.import_dir = directory.map(Arc::from);
        self
    }

    /// The directory from which agents may have export files read.
    pub(super) fn import_dir(&self) -> Option<&Path> {
        self.import_dir.as_deref()
    }

    /// The same, with a directory where it is noted which migrations did not end.
    #[must_use]
    pub fn noting_migrations_in(mut self, directory: Option<&Path>) -> Self {
        self.data_dir = directory.map(Arc::from);
        self
    }

    /// Where it is noted which migrations did not end.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// The same, with systems that migrations may read from.
    #[must_use]
    pub fn migrating_from(mut self, sources: &SourceSettings) -> Self {
        self.sources = Some(Arc::new(sources.clone()));
        self
    }

    /// The systems that migrations may read from.
    pub(super) fn sources(&self) -> Option<&SourceSettings> {
        self.sources.as_deref()
    }

    /// The migrations that continue in the background.
    pub(super) fn runs(&self) -> &Arc<Runs> {
        &self.runs
    }

    /// Stops the migrations that continue in the background, and waits for their requests in flight.
    pub async fn stop_migrations(&self) {
        self.runs.stop().await;
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
