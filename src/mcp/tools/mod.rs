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
mod search_memories;
mod search_memory;
mod update_memory;
mod validate_migration;

use std::sync::Arc;

use rmcp::handler::server::router::tool::ToolRouter;
use serde_json::Value;

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
    let mut router = routers();
    for route in router.map.values_mut() {
        if let Some(schema) = &mut route.attr.output_schema {
            Arc::make_mut(schema)
                .values_mut()
                .for_each(remove_uint_formats);
        }
    }
    router
}

/// Removes the formats that schemars adds for unsigned numbers (`uint64`): JSON Schema has none, and
/// the TypeScript SDK warns about each whenever it lists tools.
fn remove_uint_formats(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let format = fields.get("format").and_then(Value::as_str);
            if format.is_some_and(|format| format.starts_with("uint")) {
                fields.shift_remove("format");
            }
            fields.values_mut().for_each(remove_uint_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_uint_formats),
        _ => {}
    }
}

fn routers() -> ToolRouter<MemoryServer> {
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
        + MemoryServer::search_memories_router()
        + MemoryServer::search_memory_router()
        + MemoryServer::update_memory_router()
        + MemoryServer::validate_migration_router()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_have_no_uint_formats() {
        for tool in router().list_all() {
            let schemas = serde_json::to_string(&tool).unwrap();
            assert!(!schemas.contains("\"uint"), "{}", tool.name);
        }
    }

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
