//! Which tools the MCP server has, and whether it asks people before it deletes in bulk.

use std::fmt;

use super::words::words;

words!(
    /// Whether people are asked, by MCP elicitation, before memories are deleted in bulk.
    pub Confirm {
        /// Where the client can ask.
        Elicit = "elicit",
        /// Never: the agent's call is enough.
        Never = "never",
    }
);
words!(
    /// A tool of the MCP server.
    pub Tool {
        /// Ours.
        AddMemory = "add_memory",
        /// Ours.
        SearchMemory = "search_memory",
        /// Ours.
        GetSession = "get_session",
        /// Ours.
        MigrateUser = "migrate_user",
        /// Ours.
        ValidateMigration = "validate_migration",
        /// Ours, outside `core`.
        MigrationStatus = "migration_status",
        /// Ours, outside `core`.
        ListSessions = "list_sessions",
        /// mem0's.
        SearchMemories = "search_memories",
        /// mem0's.
        GetMemories = "get_memories",
        /// mem0's.
        GetMemory = "get_memory",
        /// mem0's.
        UpdateMemory = "update_memory",
        /// mem0's.
        DeleteMemory = "delete_memory",
        /// mem0's.
        DeleteAllMemories = "delete_all_memories",
        /// mem0's.
        DeleteEntities = "delete_entities",
        /// mem0's.
        ListEntities = "list_entities",
        /// Of mem0's hosted server.
        ListEvents = "list_events",
        /// Of mem0's hosted server.
        GetEventStatus = "get_event_status",
    }
);

/// A choice of tools, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools(Vec<Tool>);

impl Tools {
    /// Our own five, for hosts that take few tools.
    const CORE: [Tool; 5] = [
        Tool::AddMemory,
        Tool::SearchMemory,
        Tool::GetSession,
        Tool::MigrateUser,
        Tool::ValidateMigration,
    ];

    /// All tools.
    pub fn all() -> Self {
        Self(Tool::ALL.to_vec())
    }

    /// Whether this tool is chosen.
    pub fn has(&self, tool: Tool) -> bool {
        self.0.contains(&tool)
    }

    /// Every tool, chosen or not.
    pub fn known() -> &'static [Tool] {
        Tool::ALL
    }

    /// Reads `all`, `core`, or names separated by commas.
    pub(super) fn parse(raw: &str) -> Result<Self, String> {
        let mut tools = Vec::new();
        for word in raw
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            let chosen = match word.to_ascii_lowercase().as_str() {
                "all" => Tool::ALL.to_vec(),
                "core" => Self::CORE.to_vec(),
                name => vec![Tool::parse(name)?],
            };
            for tool in chosen {
                if !tools.contains(&tool) {
                    tools.push(tool);
                }
            }
        }
        if tools.is_empty() {
            return Err(
                "names no tool; it may be `all`, `core`, or tools separated by commas".to_owned(),
            );
        }
        Ok(Self(tools))
    }
}

impl Default for Tools {
    fn default() -> Self {
        Self::all()
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == Tool::ALL.len() {
            return f.write_str("all");
        }
        let names: Vec<_> = self.0.iter().map(|tool| tool.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}
