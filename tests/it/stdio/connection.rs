//! The connection: the handshake, early and parallel calls, broken lines, the end, and the use of
//! stdout and stderr.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::on_both_backends;
use crate::common::program::{Client, World};
use crate::drop_in::contract::fixture;

on_both_backends!(
    the_handshake_says_who_answers_and_where_memories_are_kept,
    fifty_calls_at_once_are_all_answered,
    the_end_of_stdin_ends_the_server_and_loses_nothing_answered,
    calls_in_work_at_the_end_of_stdin_are_answered,
    logs_hold_nothing_that_was_said_and_no_key,
);

/// How soon the server must end after its last answer, on a busy machine: it waits for nothing.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

fn the_handshake_says_who_answers_and_where_memories_are_kept(world: &World) {
    let mut client = Client::spawn(&mut world.command());
    let hello = client.initialize();
    assert_eq!(hello["serverInfo"]["name"], "zep-mcp-server");
    assert_eq!(hello["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(hello["protocolVersion"], "2025-06-18");
    assert!(hello["capabilities"]["tools"].is_object(), "{hello}");
    let instructions = hello["instructions"].as_str().unwrap();
    let (here, elsewhere) = match world.backend() {
        "zep" => ("Zep Cloud", "local file"),
        _ => ("local file", "in Zep Cloud"),
    };
    assert!(
        instructions.contains(here) && !instructions.contains(elsewhere),
        "{instructions}"
    );
    for word in ["search_memory", "add_memory", "get_session", "mem0-mcp"] {
        assert!(instructions.contains(word), "{word}");
    }
}

#[test]
fn every_tool_is_described_for_agents_and_for_programs() {
    let mut client = World::embedded().connect();
    let answer = client.request("tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names: BTreeSet<_> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    let ours = [
        "add_memory",
        "get_session",
        "list_sessions",
        "migrate_user",
        "migration_status",
        "search_memory",
        "validate_migration",
    ];
    let mem0s = [
        "delete_all_memories",
        "delete_entities",
        "delete_memory",
        "get_event_status",
        "get_memories",
        "get_memory",
        "list_entities",
        "list_events",
        "search_memories",
        "update_memory",
    ];
    assert_eq!(names, ours.into_iter().chain(mem0s).collect());
    let destructive = [
        "delete_all_memories",
        "delete_entities",
        "delete_memory",
        "update_memory",
    ];
    for tool in tools {
        let text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        assert!(text(&tool["title"]) && text(&tool["description"]), "{tool}");
        let name = tool["name"].as_str().unwrap();
        let destroys = destructive.contains(&name);
        let writes = ["add_memory", "migrate_user", "migration_status"];
        let reads = !destroys && !writes.contains(&name);
        assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{tool}");
        if !reads {
            assert_eq!(tool["annotations"]["destructiveHint"], destroys, "{tool}");
            let repeatable = name != "add_memory";
            let hint = &tool["annotations"]["idempotentHint"];
            assert_eq!(*hint, repeatable, "{tool}");
        }
        let mut schemas = vec![&tool["inputSchema"]];
        // Our tools declare output schemas; mem0's do not, for hosts that load the whole list.
        match ours.contains(&name) {
            true => schemas.push(&tool["outputSchema"]),
            false => assert!(tool.get("outputSchema").is_none(), "{tool}"),
        }
        for schema in schemas {
            assert_eq!(schema["type"], "object", "{tool}");
            let properties = schema["properties"].as_object().unwrap();
            assert!(!properties.is_empty() || name == "list_entities", "{tool}");
            for (field, property) in properties {
                assert!(text(&property["description"]), "{name}: {field}");
            }
        }
    }
}

/// What every converter of agent hosts understands.
const UNDERSTOOD: [&str; 9] = [
    "type",
    "description",
    "properties",
    "required",
    "items",
    "enum",
    "minimum",
    "maximum",
    "additionalProperties",
];

fn is_plain(schema: &Value, place: &str) {
    assert!(
        schema["type"].is_string(),
        "{place} has no plain type: {schema}"
    );
    for (key, value) in schema.as_object().unwrap() {
        assert!(UNDERSTOOD.contains(&key.as_str()), "{place}: {key}");
        match key.as_str() {
            "properties" => {
                for (name, property) in value.as_object().unwrap() {
                    is_plain(property, &format!("{place}.{name}"));
                }
            }
            "items" => is_plain(value, &format!("{place}[]")),
            "additionalProperties" => assert!(value.is_object(), "{place}: {value}"),
            _ => {}
        }
    }
}

/// `tests/peers/tokens.mjs` counts tokens: some 4.4 characters are one.
#[test]
fn tools_are_described_in_plain_schemas_and_few_words() {
    let mut client = World::embedded().connect();
    let answer = client.request("tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    let mem0s: Vec<_> = fixture("tools.json").as_array().unwrap().clone();
    let core = [
        "add_memory",
        "search_memory",
        "get_session",
        "migrate_user",
        "validate_migration",
    ];
    let (mut all, mut nine, mut five, mut answers) = (0, 0, 0, 0);
    for tool in tools {
        let name = &tool["name"];
        is_plain(&tool["inputSchema"], name.as_str().unwrap());
        let told = json!([name, tool["description"], tool["inputSchema"]]);
        let length = told.to_string().len();
        all += length;
        if mem0s.iter().any(|mem0s| mem0s["name"] == *name) {
            nine += length;
        }
        if core.iter().any(|core| name == core) {
            five += length;
        }
        if let Some(schema) = tool.get("outputSchema") {
            is_plain(schema, name.as_str().unwrap());
            answers += schema.to_string().len();
        }
    }
    for (what, length, most) in [
        ("all", all, 13_200),
        ("mem0's nine", nine, 7_800),
        ("core", five, 6_200),
        ("output schemas", answers, 2_500),
    ] {
        assert!(length <= most, "{what}: {length} characters");
    }
}

#[test]
fn the_tool_takes_every_argument_that_mem0s_takes() {
    let mut client = World::embedded().connect();
    let answer = client.request("tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    let add = tools
        .iter()
        .find(|tool| tool["name"] == "add_memory")
        .unwrap();
    for argument in [
        "text",
        "messages",
        "user_id",
        "agent_id",
        "app_id",
        "run_id",
        "metadata",
        "enable_graph",
    ] {
        assert!(
            add["inputSchema"]["properties"].get(argument).is_some(),
            "{argument}"
        );
    }
    assert!(
        add["inputSchema"]
            .get("required")
            .is_none_or(|required| *required == json!([]))
    );
}

#[test]
fn calls_before_the_handshake_are_answered_after_it_in_order() {
    let mut client = Client::spawn(&mut World::embedded().command());
    let early: Vec<u64> = (0..5)
        .map(|_| client.ask("tools/list", json!({})))
        .collect();
    let hello = client.ask("initialize", Client::hello());
    client.notify("notifications/initialized");
    let answered: Vec<u64> = (0..6)
        .map(|_| client.receive()["id"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = [hello].into_iter().chain(early).collect();
    assert_eq!(answered, expected);
}

#[test]
fn a_memory_that_is_sent_before_the_handshake_is_kept() {
    let mut client = Client::spawn(&mut World::embedded().command());
    let arguments = json!({"text": "The spare key is under the blue pot", "session_id": "s"});
    let early = client.ask_tool("add_memory", &arguments);
    let hello = client.ask("initialize", Client::hello());
    assert_eq!(client.receive()["id"], hello);
    client.notify("notifications/initialized");
    assert_ne!(client.answer_to(early)["result"]["isError"], true);
    assert_eq!(client.read_session("mem0-mcp", "s").len(), 1);
}

#[test]
fn a_ping_before_the_handshake_is_answered_at_once() {
    let mut client = Client::spawn(&mut World::embedded().command());
    let ping = client.ask("ping", json!({}));
    assert_eq!(client.receive()["id"], ping);
    client.initialize();
}

#[test]
fn a_notification_before_the_handshake_does_not_end_the_connection() {
    let mut client = Client::spawn(&mut World::embedded().command());
    client.notify("notifications/initialized");
    client.notify("notifications/of_a_kind_that_nobody_knows");
    client.initialize();
    assert!(client.request("tools/list", json!({}))["result"]["tools"].is_array());
}

fn fifty_calls_at_once_are_all_answered(world: &World) {
    let mut client = world.connect();
    let mut waiting: BTreeSet<u64> = (0..50)
        .map(|n| match n % 5 {
            4 => client.ask_tool("search_memory", &json!({"query": "turn", "user_id": "ann"})),
            _ => {
                let turn = json!([{"role": "user", "content": format!("turn {n}")}]);
                let arguments = json!({"messages": turn, "user_id": "ann", "session_id": "busy"});
                client.ask_tool("add_memory", &arguments)
            }
        })
        .collect();
    while !waiting.is_empty() {
        let answer = client.receive();
        assert_ne!(answer["result"]["isError"], true, "{answer}");
        assert!(
            waiting.remove(&answer["id"].as_u64().unwrap()),
            "answered twice: {answer}"
        );
    }
    let read = client.read_session("ann", "busy");
    let said: BTreeSet<_> = read
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!((read.len(), said.len()), (40, 40));
}

#[test]
fn lines_that_are_no_json_rpc_are_survived() {
    let mut client = World::embedded().connect();
    client.write(b"hello\n\n{\n[]\n\"\"\nnull\n{\"jsonrpc\":\"2.0\"}\n\xff\xfe\x00\n");
    client.write(b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"tools/list\"}\n");
    client.write(b"{\"jsonrpc\":\"2.0\",\"id\":{\"a\":1},\"method\":\"ping\"}\n");
    let long = vec![b'x'; 17 * 1024 * 1024];
    client.write(&long);
    client.write(b"\n");
    let added = client.call("add_memory", json!({"text": "Still here"}));
    assert_eq!(added["results"].as_array().unwrap().len(), 1);
}

#[test]
fn a_call_that_is_not_shaped_as_mcp_asks_is_answered_with_an_error() {
    let mut client = World::embedded().connect();
    for params in [
        json!({"name": "add_memory", "arguments": "text"}),
        json!({"arguments": {}}),
        json!({"name": "forget_everything", "arguments": {}}),
    ] {
        let answer = client.request("tools/call", params.clone());
        assert!(answer["error"]["code"].is_i64(), "{params}: {answer}");
    }
    let answer = client.request("no/such/method", json!({}));
    assert_eq!(answer["error"]["code"], -32601);
    client.call("add_memory", json!({"text": "Still here"}));
}

fn the_end_of_stdin_ends_the_server_and_loses_nothing_answered(world: &World) {
    let mut client = world.connect();
    for n in 0..20 {
        let text = format!("Note {n}");
        client.call(
            "add_memory",
            json!({"text": text, "user_id": "ann", "session_id": "notes"}),
        );
    }
    let ended = client.close();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.took < ENDS_WITHIN, "{:?}", ended.took);
    assert!(ended.unread.is_empty());
    let read = world.connect().read_session("ann", "notes");
    let said: Vec<_> = read
        .iter()
        .map(|message| message["content"].clone())
        .collect();
    assert_eq!(
        said,
        (0..20)
            .map(|n| json!(format!("Note {n}")))
            .collect::<Vec<_>>()
    );
}

fn calls_in_work_at_the_end_of_stdin_are_answered(world: &World) {
    let mut client = world.connect();
    let asked: BTreeSet<u64> = (0..10)
        .map(|n| {
            let text = format!("Note {n}");
            let arguments = json!({"text": text, "user_id": "ann", "session_id": "notes"});
            client.ask_tool("add_memory", &arguments)
        })
        .collect();
    let ended = client.close();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.took < ENDS_WITHIN, "{:?}", ended.took);
    let answered = ended.unread.iter();
    let answered: BTreeSet<u64> = answered
        .map(|answer| answer["id"].as_u64().unwrap())
        .collect();
    assert_eq!(answered, asked);
    assert_eq!(world.connect().read_session("ann", "notes").len(), 10);
}

/// Another program's access to a memory file.
type Elsewhere = fn(&World, usize);

#[test]
fn a_server_that_ends_takes_nothing_from_the_one_beside_it() {
    beside_a_server(|world, n| {
        let mut server = world.connect();
        assert_eq!(server.read_session("ann", "s").len(), n);
        assert_eq!(server.close().code, Some(0));
    });
}

#[test]
fn a_program_that_looks_at_the_file_takes_nothing_from_the_server() {
    beside_a_server(|world, _| {
        // The last program that closes a database deletes its log.
        let file = world.directory().join("data").join("memory.db");
        let database = rusqlite::Connection::open(file).unwrap();
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let tables = database.query_row("SELECT count(*) FROM sqlite_schema", [], count);
        assert!(tables.unwrap() > 0);
        database.close().unwrap();
    });
}

/// Whether any process holds a POSIX lock on this file.
#[cfg(target_os = "linux")]
fn is_locked(file: &std::path::Path) -> bool {
    use std::os::linux::fs::MetadataExt;
    let inode = format!(":{} ", std::fs::metadata(file).unwrap().st_ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    locks
        .lines()
        .any(|lock| lock.contains("POSIX") && lock.contains(&inode))
}

fn beside_a_server(elsewhere: Elsewhere) {
    let world = World::embedded();
    let mut server = world.connect();
    let note = |n: usize| json!({"text": format!("Note {n}"), "user_id": "ann", "session_id": "s"});
    server.call("add_memory", note(0));
    // Calls at once, so that several threads work on its file.
    let search = |id: u64| {
        let params =
            json!({"name": "search_memory", "arguments": {"query": "note", "user_id": "ann"}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let lines: String = (1..=50).map(|id| format!("{}\n", search(id))).collect();
    server.write(lines.as_bytes());
    for id in 1..=50 {
        server.answer_to(id);
    }
    // This lock tells other programs that the log is in use.
    #[cfg(target_os = "linux")]
    assert!(is_locked(&world.directory().join("data").join("memory.db")));
    for n in 1..4 {
        elsewhere(&world, n);
        server.call("add_memory", note(n));
        let read = world.connect().read_session("ann", "s");
        let said: Vec<_> = read
            .iter()
            .map(|message| message["content"].as_str().unwrap())
            .collect();
        let expected: Vec<_> = (0..=n).map(|n| format!("Note {n}")).collect();
        assert_eq!(said, expected);
    }
}

#[test]
fn a_client_that_says_nothing_is_no_failure() {
    let ended = Client::spawn(&mut World::embedded().command()).close();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.took < ENDS_WITHIN && ended.unread.is_empty(),
        "{ended:?}"
    );
}

#[test]
fn stdout_carries_nothing_but_mcp_however_much_is_logged() {
    for (level, format) in [("info", "text"), ("trace", "json")] {
        let world = World::embedded();
        let mut command = world.command();
        // The client accepts nothing but JSON-RPC on stdout.
        let mut client = Client::connect(command.env("LOG_LEVEL", level).env("LOG_FORMAT", format));
        client.call(
            "add_memory",
            json!({"text": "Tea at four", "session_id": "s"}),
        );
        client.refused("get_session", json!({"session_id": "t"}));
        client.search(json!({"query": "tea"}));
        let ended = client.close();
        assert!(ended.unread.is_empty(), "{:?}", ended.unread);
        assert!(!ended.stderr.is_empty());
    }
}

fn logs_hold_nothing_that_was_said_and_no_key(world: &World) {
    let mut command = world.command();
    let mut client = Client::connect(command.env("LOG_LEVEL", "info"));
    let secret = "Quillfeather";
    client.call(
        "add_memory",
        json!({
            "messages": [{"role": secret, "content": secret, "name": secret, "mood": secret}],
            "user_id": "ann",
            "session_id": "s",
            "metadata": {"where": secret, (secret): {"nested": null}},
        }),
    );
    client.call(
        "add_memory",
        json!({"text": secret, "user_id": "ann", "memory_type": "insights"}),
    );
    client.read_session("ann", "s");
    client.search(json!({"query": secret, "user_id": "ann"}));
    // Refusals are answered to the agent and not logged.
    client.refused("add_memory", json!({"text": secret, "created_at": secret}));
    client.refused("add_memory", json!({"messages": [{"role": secret}]}));
    client.refused("add_memory", json!({(secret): secret}));
    client.refused(
        "get_session",
        json!({"session_id": "s", "user_id": "ann", "cursor": secret}),
    );
    client.write(format!("{{\"jsonrpc\": \"2.0\", \"{secret}\": \"{secret}\"}}\n").as_bytes());
    client.write(format!("{secret}\n").as_bytes());
    client.call("list_sessions", json!({"user_id": "ann"}));
    let ended = client.close();
    assert!(
        ended.stderr.contains("add_memory"),
        "nothing was logged: {}",
        ended.stderr
    );
    assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains(crate::common::program::API_KEY),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_key_reaches_neither_logs_nor_answers_at_any_level() {
    let world = World::emulated();
    let nowhere = Some("http://127.0.0.1:9");
    for (url, queue) in [(None, "on"), (nowhere, "off"), (nowhere, "on")] {
        let mut command = world.command();
        command
            .env("LOG_LEVEL", "trace")
            .env("ZEP_MCP_QUEUE", queue);
        if let Some(url) = url {
            command
                .env("ZEP_API_URL", url)
                .env("ZEP_TIMEOUT_SECS", "10");
        }
        let mut client = Client::connect(&mut command);
        let id = client.ask_tool("add_memory", &json!({"text": "Tea at four"}));
        let answer = client.answer_to(id);
        assert_eq!(
            answer["result"]["isError"] == true,
            queue == "off",
            "{answer}"
        );
        assert!(
            !answer.to_string().contains(crate::common::program::API_KEY),
            "{answer}"
        );
        let ended = client.close();
        assert!(
            !ended.stderr.contains(crate::common::program::API_KEY),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_backend_that_cannot_be_reached_is_an_error_with_advice() {
    let world = World::embedded();
    let mut command = world.command();
    command
        .env_remove("ZEP_MCP_DATA_DIR")
        .env("ZEP_API_KEY", "z_x")
        .env("ZEP_API_URL", "http://127.0.0.1:9")
        .env("ZEP_MCP_QUEUE", "off")
        .env("ZEP_TIMEOUT_SECS", "10");
    let mut client = Client::connect(&mut command);
    for (tool, arguments) in [
        ("add_memory", json!({"text": "Tea at four"})),
        ("search_memory", json!({"query": "tea"})),
        ("get_session", json!({"session_id": "s"})),
        ("list_sessions", json!({})),
    ] {
        let error = client.refused(tool, arguments);
        let detail = error["detail"].as_str().unwrap();
        assert!(
            detail.contains("ZEP_API_URL") && detail.contains("127.0.0.1:9"),
            "{detail}"
        );
    }
}
