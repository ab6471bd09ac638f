//! A small MCP client: JSON-RPC 2.0, one message a line, over a child's stdin and stdout.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::PATIENCE;

/// A connection to a running server, which is killed when this is dropped.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<Vec<u8>>,
    stderr: Option<JoinHandle<String>>,
    last_id: u64,
    /// Answers that came before a test asked for them.
    early: HashMap<u64, Value>,
}

/// How a server ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// From the end of its stdin to its exit.
    pub took: Duration,
    /// Messages on stdout that the test had not read.
    pub unread: Vec<Value>,
    /// Everything that it wrote to stderr.
    pub stderr: String,
}

impl Client {
    /// Starts the server and sends nothing yet.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, stdout) = mpsc::channel();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        let mut pipe = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self {
            stdin: child.stdin.take(),
            child,
            stdout,
            stderr: Some(stderr),
            last_id: 1_000,
            early: HashMap::new(),
        }
    }

    /// Starts the server and initializes the connection.
    pub fn connect(command: &mut Command) -> Self {
        let mut client = Self::spawn(command);
        client.initialize();
        client
    }

    /// Initializes the connection; gives the server's answer.
    pub fn initialize(&mut self) -> Value {
        let answer = self.request("initialize", Self::hello());
        self.notify("notifications/initialized");
        answer["result"].clone()
    }

    /// The parameters of `initialize`.
    pub fn hello() -> Value {
        json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "tests", "version": "1"},
        })
    }

    /// Writes these bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// Writes a message.
    pub fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// Sends a notification.
    pub fn notify(&mut self, method: &str) {
        self.send(&json!({"jsonrpc": "2.0", "method": method}));
    }

    /// Sends a request and does not wait; gives its id.
    pub fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Calls a tool and does not wait; gives the request's id.
    pub fn ask_tool(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// The next message, as it was written.
    pub fn receive_text(&mut self) -> String {
        let line = self.stdout.recv_timeout(PATIENCE).expect("an answer");
        String::from_utf8(line).expect("stdout is UTF-8")
    }

    /// The next message. Everything on stdout must be one.
    pub fn receive(&mut self) -> Value {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => message(&line),
            Err(RecvTimeoutError::Timeout) => panic!("no answer within {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("it ended: {}", self.last_words()),
        }
    }

    /// The next message, if one comes within this time.
    pub fn receive_within(&mut self, time: Duration) -> Option<Value> {
        match self.stdout.recv_timeout(time) {
            Ok(line) => Some(message(&line)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("it ended: {}", self.last_words()),
        }
    }

    /// Sends a request and waits for its answer.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer_to(id)
    }

    /// The answer to a request. Others that come before it are kept.
    pub fn answer_to(&mut self, id: u64) -> Value {
        loop {
            if let Some(answer) = self.early.remove(&id) {
                return answer;
            }
            let answer = self.receive();
            if let Some(id) = answer["id"].as_u64() {
                self.early.insert(id, answer);
            }
        }
    }

    /// The answer to a request, if it came already.
    pub fn answered(&mut self, id: u64) -> Option<Value> {
        while let Ok(line) = self.stdout.try_recv() {
            let answer = message(&line);
            if let Some(id) = answer["id"].as_u64() {
                self.early.insert(id, answer);
            }
        }
        self.early.remove(&id)
    }

    /// Calls a tool that must succeed; gives its structured answer.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.ask_tool(tool, &arguments);
        succeeded(&self.answer_to(id))
    }

    /// Calls a tool that must refuse; gives its error, which has at least `error` and `detail`.
    pub fn refused(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.ask_tool(tool, &arguments);
        let answer = self.answer_to(id);
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{tool} {arguments}: {answer}");
        assert!(result.get("structuredContent").is_none(), "{answer}");
        let error: Value = serde_json::from_str(text_of(result)).unwrap();
        assert!(
            error["error"].is_string() && error["detail"].is_string(),
            "{error}"
        );
        error
    }

    /// Calls a tool that must refuse an argument and name it.
    pub fn refuses_argument(&mut self, tool: &str, arguments: Value, named: &str) {
        let error = self.refused(tool, arguments);
        assert_eq!(error["error"], "invalid_argument", "{error}");
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains(named), "`{named}` is not in: {detail}");
    }

    /// All messages of a session, page by page.
    pub fn read_session(&mut self, user: &str, session: &str) -> Vec<Value> {
        self.read_session_by(user, session, 200)
    }

    /// All messages of a session, in pages of this size.
    pub fn read_session_by(&mut self, user: &str, session: &str, limit: usize) -> Vec<Value> {
        let mut arguments = json!({"user_id": user, "session_id": session, "limit": limit});
        let mut all = Vec::new();
        loop {
            let page = self.ask_zep("get_session", &arguments);
            let messages = page["messages"].as_array().unwrap();
            assert!(messages.len() <= limit, "a page of {}", messages.len());
            all.extend(messages.iter().cloned());
            match &page["next_cursor"] {
                Value::Null => return all,
                cursor => arguments["cursor"] = cursor.clone(),
            }
        }
    }

    /// What a tool that reads answers once Zep answers: until then it tells only what is known here.
    pub fn ask_zep(&mut self, tool: &str, arguments: &Value) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.call(tool, arguments.clone());
            if answer["stale"] != true {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "Zep never answers: {answer}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What `search_memory` finds.
    pub fn search(&mut self, arguments: Value) -> Vec<Value> {
        let answer = self.ask_zep("search_memory", &arguments);
        answer["results"].as_array().unwrap().clone()
    }

    /// Kills the server, and keeps the answers that it had written.
    pub fn kill(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        while let Ok(line) = self.stdout.recv_timeout(PATIENCE) {
            if line.ends_with(b"\n") {
                let answer = message(&line);
                if let Some(id) = answer["id"].as_u64() {
                    self.early.insert(id, answer);
                }
            }
        }
    }

    /// Ends the server's stdin and waits for its end.
    pub fn close(mut self) -> Ended {
        drop(self.stdin.take());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it outlives its stdin");
            thread::sleep(Duration::from_millis(2));
        };
        Ended {
            code: status.code(),
            took: begun.elapsed(),
            unread: self.stdout.iter().map(|line| message(&line)).collect(),
            stderr: self.stderr.take().unwrap().join().unwrap(),
        }
    }

    fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        let reader = self.stderr.take();
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of stdout, which must be one JSON-RPC message.
fn message(line: &[u8]) -> Value {
    let text = str::from_utf8(line).expect("stdout is UTF-8");
    assert!(text.ends_with('\n'), "a line that was cut: {text:?}");
    let message: Value = serde_json::from_str(text).expect("stdout carries nothing but JSON");
    assert_eq!(message["jsonrpc"], "2.0", "{message}");
    message
}

fn text_of(result: &Value) -> &str {
    let content = result["content"].as_array().unwrap();
    assert_eq!(
        (content.len(), &content[0]["type"]),
        (1, &json!("text")),
        "{result}"
    );
    content[0]["text"].as_str().unwrap()
}

/// What a tool answered: its structured answer, or its error.
pub fn outcome(answer: &Value) -> Result<Value, Value> {
    let result = &answer["result"];
    assert!(result.is_object(), "{answer}");
    if result["isError"] == true {
        Err(serde_json::from_str(text_of(result)).unwrap())
    } else {
        Ok(succeeded(answer))
    }
}

/// The structured answer of a tool that succeeded; its text is the same JSON.
pub fn succeeded(answer: &Value) -> Value {
    let result = &answer["result"];
    assert!(result.is_object(), "{answer}");
    assert_ne!(result["isError"], true, "{answer}");
    let structured = result["structuredContent"].clone();
    assert!(structured.is_object(), "{answer}");
    let text: Value = serde_json::from_str(text_of(result)).unwrap();
    assert_eq!(text, structured);
    structured
}
