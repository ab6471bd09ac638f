//! The prompt of mem0-mcp-server.

use rmcp::{
    handler::server::router::prompt::PromptRouter,
    model::{PromptMessage, Role},
    prompt, prompt_router,
};

use super::server::MemoryServer;

/// All prompts.
pub(super) fn router() -> PromptRouter<MemoryServer> {
    MemoryServer::prompts()
}

#[allow(missing_docs, reason = "the macro writes no docs")]
#[prompt_router(router = "prompts")]
impl MemoryServer {
    /// Get help with memory operations and best practices.
    #[prompt(
        name = "memory_assistant",
        description = "Get help with memory operations and best practices."
    )]
    async fn memory_assistant(&self) -> Vec<PromptMessage> {
        vec![PromptMessage::new_text(Role::User, MEMORY_ASSISTANT)]
    }
}

const MEMORY_ASSISTANT: &str = "\
You have a long-term memory (zep-mcp-server).

Quick start:
1. Store: add_memory keeps a fact or preference (`text`) or turns of a conversation (`messages` with a \
`session_id`), word for word.
2. Find: search_memory for one user; search_memories with filters. Ask before you answer something \
that earlier conversations may bear on.
3. Look through: get_memories lists memories, get_session reads a conversation back, list_sessions and \
list_entities say what and who there is.
4. Change: update_memory and delete_memory take the id of one memory. Ask the person before you \
delete.
5. Move: migrate_user brings a person's memories from mem0, validate_migration proves that all \
arrived.

Filter examples:
- one user: {\"AND\": [{\"user_id\": \"john\"}]}
- an agent's own: {\"AND\": [{\"agent_id\": \"agent_name\"}]}
- recent only: {\"AND\": [{\"user_id\": \"john\"}, {\"created_at\": {\"gte\": \"2024-01-01\"}}]}
- with a field: {\"AND\": [{\"user_id\": \"john\"}, {\"metadata\": {\"topic\": \"sleep\"}}]}

Tips:
- Without a user, the default user is meant; name `user_id` whenever you know whose memory it is.
- \"*\" matches any value; AND, OR and NOT nest.
- In Zep Cloud, facts appear some seconds to minutes after storing: get_session reads what was just \
stored, list_events says how far Zep is.
- Give `created_at` for anything from the past, or it is remembered as of today.";
