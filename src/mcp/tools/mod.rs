//! The tools, one file each, all of one shape: typed arguments, a typed answer, and a function that
//! makes one call to the service.

mod add_memory;
mod delete_all_memories;
mod delete_entities;
mod delete_memory;
mod get_event_status;
mod get_memories;
mod get_memory;
mod get_session;
mod list_entities;
mod list_events;
mod list_sessions;
mod migrate_user;
mod migration_status;
mod search_memories;
mod search_memory;
mod update_memory;
mod validate_migration;

use rmcp::handler::server::router::tool::ToolRouter;

use super::server::MemoryServer;
use crate::config::Tools;

/// Removes the tools that were not chosen.
pub(super) fn keep(router: &mut ToolRouter<MemoryServer>, chosen: &Tools) {
    for tool in Tools::known().iter().filter(|tool| !chosen.has(**tool)) {
        router.remove_route(tool.as_str());
    }
}

/// All tools.
pub(super) fn router() -> ToolRouter<MemoryServer> {
    MemoryServer::add_memory_router()
        + MemoryServer::delete_all_memories_router()
        + MemoryServer::delete_entities_router()
        + MemoryServer::delete_memory_router()
        + MemoryServer::get_event_status_router()
        + MemoryServer::get_memories_router()
        + MemoryServer::get_memory_router()
        + MemoryServer::get_session_router()
        + MemoryServer::list_entities_router()
        + MemoryServer::list_events_router()
        + MemoryServer::list_sessions_router()
        + MemoryServer::migrate_user_router()
        + MemoryServer::migration_status_router()
        + MemoryServer::search_memories_router()
        + MemoryServer::search_memory_router()
        + MemoryServer::update_memory_router()
        + MemoryServer::validate_migration_router()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_can_be_chosen_by_its_name() {
        let mut known: Vec<_> = Tools::known().iter().map(|tool| tool.as_str()).collect();
        known.sort_unstable();
        let there: Vec<_> = router()
            .list_all()
            .into_iter()
            .map(|tool| tool.name)
            .collect();
        assert_eq!(there, known);
    }
}
