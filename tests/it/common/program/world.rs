//! A memory that outlives the servers of a test: a directory, and an emulator on Zep's API.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{Client, binary};

/// The key that servers in front of the emulator have.
pub const API_KEY: &str = "z_test-4f1c0b7e";

/// Adding messages to a thread, as [`World::requests_to`] names routes.
pub const ADD_MESSAGES: &str = "POST /api/v2/threads/{thread_id}/messages";

/// A memory. Deleted when dropped.
pub struct World {
    directory: TempDir,
    emulator: Option<Emulator>,
}

struct Emulator {
    process: Child,
    address: String,
}

impl World {
    /// On the embedded store.
    pub fn embedded() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            emulator: None,
        }
    }

    /// On Zep's API, as the emulator speaks it.
    pub fn emulated() -> Self {
        Self::emulated_with(&[])
    }

    /// On Zep's API, as the emulator speaks it with these flags.
    pub fn emulated_with(flags: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let emulator = Emulator::start(directory.path(), flags);
        Self {
            directory,
            emulator: Some(emulator),
        }
    }

    /// The name of the backend in answers.
    pub fn backend(&self) -> &'static str {
        match self.emulator {
            Some(_) => "zep",
            None => "local",
        }
    }

    /// Where the emulator listens: `http://` and its address.
    ///
    /// # Panics
    /// On the embedded store.
    pub fn address(&self) -> &str {
        &self.emulator.as_ref().unwrap().address
    }

    /// Sends the emulator a control request (`/_emulator/…`) beside its API; gives the answer.
    pub fn control(&self, method: &str, what: &str, body: Option<&Value>) -> Value {
        let address = self.address().trim_start_matches("http://");
        let body = body.map_or_else(String::new, Value::to_string);
        let mut line = TcpStream::connect(address).unwrap();
        write!(
            line,
            "{method} /_emulator/{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        line.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    /// The requests that reached the emulator so far, answered or not, by `METHOD route`.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        let stats = self.control("GET", "stats", None);
        serde_json::from_value(stats["requests"].clone()).unwrap()
    }

    /// How many requests to this route reached the emulator so far.
    pub fn requests_to(&self, route: &str) -> u64 {
        self.requests().get(route).copied().unwrap_or_default()
    }

    /// Changes the emulator's behavior in these fields.
    pub fn behave(&self, behavior: &Value) {
        self.control("PATCH", "behavior", Some(behavior));
    }

    /// The directory that servers run in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The command that starts a server on this memory.
    pub fn command(&self) -> Command {
        let mut command = binary(self.directory());
        command.env("LOG_LEVEL", "warn");
        match &self.emulator {
            Some(emulator) => command
                .env("ZEP_API_URL", &emulator.address)
                .env("ZEP_API_KEY", API_KEY)
                // What a call stored is stored when it answers, however busy this machine is.
                .env("ZEP_MCP_WRITE_WAIT_MS", "60000"),
            None => command.env("ZEP_MCP_DATA_DIR", self.directory().join("data")),
        };
        command
    }

    /// The same without the queue of writes: a call tells itself what became of it.
    pub fn unqueued(&self) -> Command {
        let mut command = self.command();
        command.env("ZEP_MCP_QUEUE", "off");
        command
    }

    /// A new server on this memory, initialized.
    pub fn connect(&self) -> Client {
        Client::connect(&mut self.command())
    }
}

impl Emulator {
    fn start(directory: &Path, flags: &[&str]) -> Self {
        let mut process = binary(directory)
            .args(["emulate", "--port", "0"])
            .args(flags)
            .env("LOG_LEVEL", "error")
            // It is killed at the end, so that its store goes with the test's directory only.
            .env("TMPDIR", directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let address = said
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .map(|address| address.trim_end_matches(['/', '.', ',']).to_owned());
        let Some(address) = address else {
            let _ = process.kill();
            panic!("the emulator did not say where it listens: {said:?}");
        };
        Self { process, address }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
