//! `serve`: MCP over stdin and stdout.

use std::process::ExitCode;

use zep_mcp_server::config::Config;
use zep_mcp_server::mcp::{self, MemoryServer};
use zep_mcp_server::memory::MemoryService;

/// Serves until stdin ends.
///
/// # Errors
/// If the backend cannot be opened.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!("memories are kept by the backend {}", config.backend);
    // One thread: a host talks to one server at a time, and it starts sooner.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let zep = super::open_backend(&config)?;
        let memories = MemoryService::new(zep, config.default_user);
        let server = MemoryServer::new(memories)
            .offering(&config.tools)
            .confirming(config.confirm)
            .reading_exports_in(config.import_dir.as_deref());
        mcp::serve_stdio(server).await?;
        Ok(ExitCode::SUCCESS)
    })
}
