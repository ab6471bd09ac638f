//! Paths of Zep's and mem0's APIs as templates.

/// The segments of paths that are shown. Whatever else stands in a path may be an id.
const WORDS: &[&str] = &[
    "add",
    "agent",
    "api",
    "app",
    "batches",
    "collections",
    "context",
    "create",
    "edge",
    "edges",
    "entities",
    "entity",
    "episodes",
    "event",
    "events",
    "export",
    "exports",
    "get",
    "graph",
    "history",
    "info",
    "items",
    "list",
    "list-all",
    "memories",
    "messages",
    "node",
    "nodes",
    "ping",
    "points",
    "process",
    "projects",
    "reset",
    "run",
    "scroll",
    "search",
    "tasks",
    "threads",
    "user",
    "users",
    "users-ordered",
    "v1",
    "v2",
    "v3",
    "v4",
    "warm",
];
/// What follows these is an id, also if it is one of the words: people name themselves.
const OWNERS: &[&str] = &[
    "agent",
    "app",
    "batches",
    "collections",
    "edge",
    "run",
    "tasks",
    "threads",
    "user",
    "users",
];
const ID: &str = "{id}";

/// The path with each id replaced, and no query.
pub(super) fn template(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut template = String::with_capacity(path.len());
    let mut before = "";
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            template.push('/');
        }
        let is_shown =
            segment.is_empty() || (WORDS.contains(&segment) && !OWNERS.contains(&before));
        template.push_str(if is_shown { segment } else { ID });
        before = if is_shown { segment } else { ID };
    }
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_shown() {
        for (path, shown) in [
            ("/api/v2/users", "/api/v2/users"),
            ("/api/v2/users/zoe-7", "/api/v2/users/{id}"),
            ("/api/v2/users/users/threads", "/api/v2/users/{id}/threads"),
            ("/api/v2/users/messages", "/api/v2/users/{id}"),
            (
                "/api/v2/threads/a%2Fb/messages",
                "/api/v2/threads/{id}/messages",
            ),
            (
                "/api/v2/graph/episodes/user/list",
                "/api/v2/graph/episodes/user/{id}",
            ),
            ("/api/v2/graph/mem0-agent-x", "/api/v2/graph/{id}"),
            ("/v3/memories/search/?user_id=zoe", "/v3/memories/search/"),
            (
                "/v1/memories/7c9e6679/history/",
                "/v1/memories/{id}/history/",
            ),
            ("/v2/entities/user/zoe/", "/v2/entities/user/{id}/"),
            (
                "/collections/zoe/points/scroll",
                "/collections/{id}/points/scroll",
            ),
            ("", ""),
        ] {
            assert_eq!(template(path), shown, "{path}");
        }
    }
}
