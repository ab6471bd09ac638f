//! Every tool with every role on own and foreign memories: a table of what is allowed.

use serde_json::{Value, json};
use zep_mcp_server::memory::access::Role;

use super::world::{Backend, OldClient, Transport, Who, World, client, secret};

/// The rights that a tool needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Reading,
    Writing,
    Operating,
}

impl Needs {
    fn has(self, role: Role) -> bool {
        match self {
            Self::Reading => true,
            Self::Writing => role != Role::Reader,
            Self::Operating => role == Role::Operator,
        }
    }
}

/// Whose memories a call names, seen from alice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Alice's, or those of an agent in her token.
    Hers,
    /// Another owner's, by name.
    Theirs,
    /// Another owner's memory, by its id.
    TheirMemory,
    /// A session that only another user has.
    TheirSession,
}

struct Row {
    tool: &'static str,
    arguments: Value,
    needs: Needs,
    whose: Whose,
}

/// Rows about one owner's memories.
fn about(whose: Whose, calls: impl IntoIterator<Item = (&'static str, Value, Needs)>) -> Vec<Row> {
    let row = |(tool, arguments, needs)| Row {
        tool,
        arguments,
        needs,
        whose,
    };
    calls.into_iter().map(row).collect()
}

fn expected(row: &Row, role: Role) -> Option<&'static str> {
    match row.whose {
        Whose::Theirs => Some("forbidden"),
        _ if !row.needs.has(role) => Some("forbidden"),
        Whose::Hers => None,
        Whose::TheirMemory => Some("not_found"),
        Whose::TheirSession => Some("no_such_session"),
    }
}

/// The tools that take an owner.
fn owned(whose: Whose, owner: &Value) -> Vec<Row> {
    use Needs::{Operating, Reading, Writing};
    let with = |more: Value| {
        let mut arguments = owner.clone();
        let more = more.as_object().unwrap().clone();
        arguments.as_object_mut().unwrap().extend(more);
        arguments
    };
    let is_agent = owner.get("agent_id").is_some();
    let mut rows = vec![
        (
            "add_memory",
            with(json!({"text": "something new"})),
            Writing,
        ),
        ("search_memory", with(json!({"query": "likes"})), Reading),
        (
            "search_memory",
            with(json!({"query": "likes", "scope": "episodes"})),
            Reading,
        ),
        (
            "search_memory",
            with(json!({"query": "likes", "scope": "entities"})),
            Reading,
        ),
        (
            "search_memory",
            with(json!({"query": "likes", "scope": "context"})),
            Reading,
        ),
        ("search_memories", with(json!({"query": "likes"})), Reading),
        (
            "search_memories",
            json!({"query": "likes", "filters": owner}),
            Reading,
        ),
        ("get_memories", owner.clone(), Reading),
        ("get_memories", json!({"filters": owner}), Reading),
        ("list_events", owner.clone(), Reading),
        ("delete_all_memories", owner.clone(), Operating),
        ("delete_entities", owner.clone(), Operating),
    ];
    if !is_agent {
        let user = json!({"id": owner["user_id"]});
        let data = json!({"messages": [{"role": "user", "content": "from before"}]});
        rows.extend([
            (
                "add_memory",
                with(json!({"messages": [{"role": "user", "content": "x"}], "session_id": "new"})),
                Writing,
            ),
            ("list_sessions", owner.clone(), Reading),
            (
                "get_session",
                with(json!({"session_id": format!("{}-talk", owner["user_id"].as_str().unwrap())})),
                Reading,
            ),
            (
                "migrate_user",
                json!({"user": user, "data": data}),
                Operating,
            ),
            (
                "migrate_user",
                json!({"user": user, "data": data, "dry_run": true}),
                Operating,
            ),
            (
                "validate_migration",
                json!({"user": user, "data": data}),
                Operating,
            ),
        ]);
    }
    about(whose, rows)
}

/// The tools that take the id of a memory, with the other arguments.
fn by_id(whose: Whose, id: &str, beside: &Value) -> Vec<Row> {
    use Needs::{Operating, Reading, Writing};
    let with = |field: &str, more: Value| {
        let mut arguments = beside.clone();
        let all = arguments.as_object_mut().unwrap();
        all.insert(field.into(), id.into());
        all.extend(more.as_object().unwrap().clone());
        arguments
    };
    about(
        whose,
        [
            ("get_memory", with("memory_id", json!({})), Reading),
            ("get_event_status", with("event_id", json!({})), Reading),
            (
                "update_memory",
                with("memory_id", json!({"metadata": {"seen": true}})),
                Writing,
            ),
            ("delete_memory", with("memory_id", json!({})), Operating),
        ],
    )
}

/// The tools that take a session.
fn of_session(session: &str) -> Vec<Row> {
    use Needs::{Operating, Reading};
    about(
        Whose::TheirSession,
        [
            ("get_session", json!({"session_id": session}), Reading),
            (
                "get_session",
                json!({"session_id": session, "user_id": "alice"}),
                Reading,
            ),
            ("delete_all_memories", json!({"run_id": session}), Operating),
            (
                "delete_all_memories",
                json!({"run_id": session, "user_id": "alice"}),
                Operating,
            ),
        ],
    )
}

fn rows(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for (whose, owner) in [
        (Whose::Hers, json!({"user_id": "alice"})),
        (Whose::Hers, json!({"agent_id": "coach"})),
        (Whose::Theirs, json!({"user_id": "bob"})),
        (Whose::Theirs, json!({"user_id": "nobody-knows"})),
        (Whose::Theirs, json!({"agent_id": "spy"})),
        (Whose::Theirs, json!({"agent_id": "nobody-knows"})),
    ] {
        rows.extend(owned(whose, &owner));
    }
    for who in ["alice", "coach", "bob", "spy"] {
        let hers = matches!(who, "alice" | "coach");
        let unnamed = if hers {
            Whose::Hers
        } else {
            Whose::TheirMemory
        };
        let named = if hers { Whose::Hers } else { Whose::Theirs };
        let ids = &world.ids[who];
        for id in [Some(&ids.text), ids.message.as_ref(), Some(&ids.fact)]
            .into_iter()
            .flatten()
        {
            rows.extend(by_id(unnamed, id, &json!({})));
            let name = if matches!(who, "coach" | "spy") {
                "agent_id"
            } else {
                "user_id"
            };
            rows.extend(by_id(named, id, &json!({name: who})));
            if !hers {
                rows.extend(by_id(Whose::TheirMemory, id, &json!({"user_id": "alice"})));
                rows.extend(by_id(Whose::TheirMemory, id, &json!({"agent_id": "coach"})));
            }
        }
    }
    let unknown = uuid::Uuid::new_v4().to_string();
    rows.extend(by_id(Whose::TheirMemory, &unknown, &json!({})));
    rows.extend(of_session("bob-talk"));
    rows.extend(of_session("nobodys-talk"));
    for (app, whose) in [
        ("journal", Whose::Hers),
        ("ledger", Whose::Theirs),
        ("nobody-knows", Whose::Theirs),
    ] {
        rows.push(Row {
            tool: "delete_entities",
            arguments: json!({"app_id": app}),
            needs: Needs::Operating,
            whose,
        });
    }
    // Entities that are not users belong to the default user, who is alice here.
    for session in ["bob-talk", "nobodys-talk"] {
        rows.push(Row {
            tool: "delete_entities",
            arguments: json!({"run_id": session}),
            needs: Needs::Operating,
            whose: Whose::TheirMemory,
        });
    }
    rows
}

/// Asserts that a refusal reveals nothing about others beyond the request.
fn tells_nothing(row: &Row, text: &str) {
    for other in ["bob", "spy"] {
        assert!(
            !text.contains(secret(other)),
            "{} {}: {text}",
            row.tool,
            row.arguments
        );
        let asked = row.arguments.to_string().contains(other);
        assert!(
            asked || !text.contains(other),
            "{} {}: {text}",
            row.tool,
            row.arguments
        );
    }
}

/// What is not alice's.
async fn others(world: &World) -> [String; 2] {
    [
        world.everything_of("bob").await,
        world.everything_of("spy").await,
    ]
}

async fn each_cell_is_as_designed(transport: Transport, backend: Backend) {
    for role in Role::ALL {
        let who = Who::Alices(role);
        let mut world = World::behind(transport, backend).await;
        let mut before = others(&world).await;
        let mut number = 0;
        loop {
            let rows = rows(&world);
            let Some(row) = rows.into_iter().nth(number) else {
                break;
            };
            number += 1;
            world.listen();
            let outcome = world.call(who, row.tool, &row.arguments).await;
            let cell = format!("{who:?} {} {}", row.tool, row.arguments);
            assert_eq!(outcome.status, 200, "{cell}: {}", outcome.text);
            let expected = expected(&row, role);
            assert_eq!(
                outcome.error.as_deref(),
                expected,
                "{cell}: {}",
                outcome.text
            );
            tells_nothing(&row, &outcome.text);
            if expected == Some("forbidden") {
                assert_eq!(world.asked(), Vec::<String>::new(), "{cell}");
            }
            if row.whose == Whose::TheirMemory && expected.is_some() {
                for asked in world.asked() {
                    assert!(
                        !asked.contains("bob\"") && !asked.contains("/bob/"),
                        "{cell}: {asked}"
                    );
                    // Only whether the id is among hers is queried, never the id alone.
                    let path = asked.split(' ').nth(1).unwrap();
                    let last = path.rsplit('/').next().unwrap();
                    assert!(uuid::Uuid::parse_str(last).is_err(), "{cell}: {asked}");
                }
            }
            if expected.is_none() && row.needs == Needs::Operating {
                // The call may have deleted what the next row needs.
                assert_eq!(others(&world).await, before, "{cell}");
                world = World::behind(transport, backend).await;
                before = others(&world).await;
            }
        }
        assert_eq!(others(&world).await, before);
        assert!(number > 100, "{number} rows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cell_is_as_designed_in_the_embedded_store() {
    each_cell_is_as_designed(Transport::Streamable, Backend::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cell_is_as_designed_over_sse() {
    each_cell_is_as_designed(Transport::Sse, Backend::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cell_is_as_designed_at_zep_and_zep_is_not_queried_about_others() {
    each_cell_is_as_designed(Transport::Streamable, Backend::Zep).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_memories_are_unchanged_after_every_attempt() {
    let world = World::new(Backend::Embedded).await;
    let before = others(&world).await;
    for row in rows(&world) {
        if row.whose == Whose::Hers && row.needs == Needs::Operating {
            continue;
        }
        world
            .call(Who::Alices(Role::Operator), row.tool, &row.arguments)
            .await;
    }
    let after = others(&world).await;
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_valid_token_no_tool_answers() {
    for transport in Transport::BOTH {
        without_a_valid_token(transport).await;
    }
}

async fn without_a_valid_token(transport: Transport) {
    let world = World::behind(transport, Backend::Embedded).await;
    let before = world.everything_of("alice").await;
    for row in rows(&world) {
        let outcome = world.call(Who::Nobody, row.tool, &row.arguments).await;
        assert_eq!(outcome.status, 401, "{}", outcome.text);
        let outcome = world.call(Who::Stranger, row.tool, &row.arguments).await;
        // 429 after many attempts.
        assert!([401, 429].contains(&outcome.status), "{}", outcome.text);
        assert!(outcome.answer.is_null());
    }
    assert_eq!(world.everything_of("alice").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_for_everybody_may_do_everything() {
    for backend in [Backend::Embedded, Backend::Zep] {
        let mut world = World::new(backend).await;
        let mut number = 0;
        loop {
            let row = rows(&world).into_iter().nth(number);
            let Some(row) = row else { break };
            number += 1;
            let text = row.arguments.to_string();
            let is_nobodys = text.contains("nobody") || row.whose == Whose::TheirSession;
            let names_another = row.whose == Whose::TheirMemory;
            if is_nobodys || (names_another && row.arguments.as_object().unwrap().len() > 1) {
                continue;
            }
            let known = world.ids.values().any(|ids| {
                let all = [Some(&ids.text), ids.message.as_ref(), Some(&ids.fact)];
                all.into_iter().flatten().any(|id| text.contains(id))
            });
            if names_another && !known {
                continue;
            }
            let outcome = world.call(Who::Everybodys, row.tool, &row.arguments).await;
            assert_eq!(outcome.error, None, "{} {text}: {}", row.tool, outcome.text);
            if row.needs == Needs::Operating {
                world = World::new(backend).await;
            }
        }
    }
}

/// Reads by id alone, for callers with access to all owners of one kind.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_alone_gives_access_only_to_what_the_caller_may_see() {
    for backend in [Backend::Embedded, Backend::Zep] {
        let world = World::new(backend).await;
        for (who, reaches) in [
            (Who::AllUsers, ["alice", "bob"].as_slice()),
            (Who::AllAgents, ["alice", "coach", "spy"].as_slice()),
        ] {
            for (owner, ids) in &world.ids {
                for id in [Some(&ids.text), ids.message.as_ref(), Some(&ids.fact)]
                    .into_iter()
                    .flatten()
                {
                    let outcome = world
                        .call(who, "get_memory", &json!({"memory_id": id}))
                        .await;
                    let expected = (!reaches.contains(owner)).then_some("not_found");
                    assert_eq!(
                        outcome.error.as_deref(),
                        expected,
                        "{who:?} {owner}: {}",
                        outcome.text
                    );
                }
            }
        }
    }
}

/// A foreign session id with a valid token of one's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_cannot_be_used_with_another_token() {
    let world = World::new(Backend::Embedded).await;
    let client = client();
    let hers = world.token(Who::Alices(Role::Operator));
    let others = [
        (Some(world.token(Who::Everybodys)), 404),
        (Some(world.token(Who::Alices(Role::Reader))), 404),
        (None, 401),
    ];
    let old = OldClient::open(&client, &world.url, Some(&hers));
    let Ok(old) = old.await else {
        panic!("she is let in");
    };
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string();
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "tests", "version": "1"},
        },
    });
    let mcp = |method: &str, session: Option<&str>, token: Option<&str>, body: String| {
        let mut request = client
            .request(method.parse().unwrap(), format!("{}/mcp", world.url))
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(body);
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send()
    };
    let opened = mcp("POST", None, Some(&hers), hello.to_string());
    let opened = opened.await.unwrap();
    let session = opened.headers()["mcp-session-id"].to_str().unwrap();
    for (token, status) in &others {
        for method in ["POST", "GET", "DELETE"] {
            let answer = mcp(method, Some(session), token.as_deref(), list.clone());
            assert_eq!(answer.await.unwrap().status(), *status, "{method}");
        }
        let mut request = client
            .post(&old.endpoint)
            .header("content-type", "application/json")
            .body(list.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        assert_eq!(request.send().await.unwrap().status(), *status);
    }
    // The sessions still exist.
    let answer = mcp("POST", Some(session), Some(&hers), list.clone()).await;
    assert_eq!(answer.unwrap().status(), 200);
    let request = client
        .post(&old.endpoint)
        .header("content-type", "application/json")
        .bearer_auth(&hers)
        .body(list);
    assert_eq!(request.send().await.unwrap().status(), 202);
}

/// Caches are separate for each caller.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_cached_for_one_caller_is_not_shown_to_another() {
    let world = World::new(Backend::Embedded).await;
    let everything = json!({"filters": {"user_id": "*"}, "page_size": 1});
    let all = world
        .call(Who::Everybodys, "get_memories", &everything)
        .await;
    for id in [&world.ids["bob"].text, &world.ids["bob"].fact] {
        let seen = world
            .call(Who::Everybodys, "get_memory", &json!({"memory_id": id}))
            .await;
        assert_eq!(seen.error, None);
        let hidden = world
            .call(
                Who::Alices(Role::Operator),
                "get_memory",
                &json!({"memory_id": id}),
            )
            .await;
        assert_eq!(
            hidden.error.as_deref(),
            Some("not_found"),
            "{}",
            hidden.text
        );
    }
    // The second page of the operator's list, requested by another caller.
    let mut second = everything;
    second["page"] = 2.into();
    second["before"] = all.answer["before"].clone();
    for page in 1..6 {
        second["page"] = page.into();
        let hers = world
            .call(Who::Alices(Role::Reader), "get_memories", &second)
            .await;
        assert_eq!(hers.error, None, "{}", hers.text);
        assert!(!hers.text.contains(secret("bob")), "{}", hers.text);
    }
}
