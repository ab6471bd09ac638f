//! Tool calls over stdio on the embedded store.
//!
//! `cargo bench --bench stdio`

#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod text;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use divan::Bencher;
use serde_json::{Value, json};
use tempfile::TempDir;
use text::Language;

/// Messages in the session that is read and searched.
const TURNS: u64 = 1_000;

fn main() {
    divan::main();
}

/// A server process with its own store.
struct Server {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    calls: u64,
    _directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("there is a temporary directory");
        let mut process = Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"))
            .current_dir(directory.path())
            .env_clear()
            .env("MEMORY_BACKEND", "local")
            .env("ZEP_MCP_DATA_DIR", directory.path())
            .env("LOG_LEVEL", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdin = process.stdin.take().expect("it is piped");
        let stdout = process.stdout.take().expect("it is piped");
        let mut server = Self {
            process,
            stdin,
            stdout: BufReader::new(stdout),
            calls: 0,
            _directory: directory,
        };
        server.call(
            "initialize",
            json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": { "name": "bench", "version": "1" },
            }),
        );
        server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        server
    }

    /// A server with a session of [`TURNS`] messages.
    fn with_session(language: &Language) -> Self {
        let mut server = Self::start();
        let turns: Vec<u64> = (0..TURNS).collect();
        for some in turns.chunks(100) {
            let messages: Vec<Value> = some
                .iter()
                .map(|&turn| json!({ "role": "user", "content": language.turn(0, turn) }))
                .collect();
            server.tool(
                "add_memory",
                json!({ "messages": messages, "session_id": "s" }),
            );
        }
        server
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").expect("the program reads");
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let mut line = String::new();
        self.stdout
            .read_line(&mut line)
            .expect("the program answers");
        let mut answer: Value = serde_json::from_str(&line).expect("it answers JSON");
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].take()
    }

    fn tool(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.call(
            "tools/call",
            json!({ "name": name, "arguments": arguments }),
        );
        assert_ne!(answer["isError"], true, "{answer}");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One message of this length, stored in 1, 2 and about 6 parts.
#[divan::bench(args = [200, 4_100, 20_000])]
fn add_memory(bencher: Bencher<'_, '_>, chars: usize) {
    let content = Language::new().long(chars);
    let arguments = json!({
        "messages": [{ "role": "user", "content": content }],
        "session_id": "s",
        "metadata": { "topic": "travel" },
    });
    let mut server = Server::start();
    bencher.bench_local(|| server.tool("add_memory", arguments.clone()));
}

/// A conversation of 30 messages.
#[divan::bench]
fn add_memory_of_30_messages(bencher: Bencher<'_, '_>) {
    let language = Language::new();
    let messages: Vec<Value> = (0..30)
        .map(|turn| json!({ "role": "user", "content": language.turn(0, turn) }))
        .collect();
    let arguments = json!({ "messages": messages, "session_id": "s" });
    let mut server = Server::start();
    bencher.bench_local(|| server.tool("add_memory", arguments.clone()));
}

/// The newest messages of a session.
#[divan::bench(args = [10, 50, 200])]
fn get_session(bencher: Bencher<'_, '_>, last: usize) {
    let mut server = Server::with_session(&Language::new());
    let arguments = json!({ "session_id": "s", "last": last });
    let read = server.tool("get_session", arguments.clone());
    assert_eq!(
        read["structuredContent"]["messages"]
            .as_array()
            .map(Vec::len),
        Some(last)
    );
    bencher.bench_local(|| server.tool("get_session", arguments.clone()));
}

/// A different question each time.
#[divan::bench(args = [10, 50])]
fn search_memory(bencher: Bencher<'_, '_>, limit: usize) {
    let language = Language::new();
    let mut server = Server::with_session(&language);
    let mut turns = (0..TURNS).cycle();
    bencher
        .with_inputs(|| {
            let query = language.question(0, turns.next().unwrap_or_default());
            json!({ "query": query, "limit": limit })
        })
        .bench_local_values(|arguments| server.tool("search_memory", arguments));
}
