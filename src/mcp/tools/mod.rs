//! The tools, one file each, all of one shape: the arguments, the answer, and a call that checks
//! the arguments, makes one call to the service and shapes its answer.

mod add_memory;
mod get_session;
mod list_sessions;
mod migrate_user;
mod search_memory;
mod validate_migration;

use rmcp::handler::server::router::tool::ToolRouter;

use super::server::MemoryServer;

/// All tools.
pub(super) fn router() -> ToolRouter<MemoryServer> {
    MemoryServer::add_memory_router()
        + MemoryServer::get_session_router()
        + MemoryServer::list_sessions_router()
        + MemoryServer::migrate_user_router()
        + MemoryServer::search_memory_router()
        + MemoryServer::validate_migration_router()
}
