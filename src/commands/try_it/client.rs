//! A small MCP client: JSON-RPC 2.0, one message a line, over a child's stdin and stdout.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// How many of the child's last words on stderr an error repeats, in lines.
const LAST_WORDS: usize = 5;
/// How often to look whether the child has ended.
const GLANCE: Duration = Duration::from_millis(2);

/// A child that is spoken to in MCP. It is killed when this is dropped.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Option<JoinHandle<Vec<String>>>,
    patience: Duration,
    last_id: u64,
}

impl Client {
    /// Starts the child. `patience` is for each answer, and for its end.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command, patience: Duration) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{:?} cannot be started", command.get_program()))?;
        let (sender, stdout) = mpsc::channel();
        let pipe = child.stdout.take().context("the child has no stdout")?;
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let pipe = child.stderr.take().context("the child has no stderr")?;
        let stderr = thread::spawn(move || {
            let mut last = Vec::new();
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if last.len() == LAST_WORDS {
                    last.remove(0);
                }
                last.push(line);
            }
            last
        });
        Ok(Self {
            stdin: child.stdin.take(),
            child,
            stdout,
            stderr: Some(stderr),
            patience,
            last_id: 0,
        })
    }

    /// Calls a method and waits for its result.
    ///
    /// # Errors
    /// If the child answers an error or anything that is no JSON-RPC, ends, or does not answer in
    /// time.
    pub fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        let deadline = Instant::now() + self.patience;
        loop {
            let mut message = self.receive(method, deadline)?;
            // Notifications and requests of the server's own come in between.
            if message["id"] != id || message.get("method").is_some() {
                continue;
            }
            if let Some(error) = message.get("error") {
                bail!(
                    "{method} was refused: {}",
                    error["message"].as_str().unwrap_or("(without a message)")
                );
            }
            return match message.get_mut("result") {
                Some(result) => Ok(result.take()),
                None => bail!("the answer to {method} has neither result nor error"),
            };
        }
    }

    /// Tells the child something that has no answer.
    ///
    /// # Errors
    /// If the child has ended.
    pub fn notify(&mut self, method: &str) -> anyhow::Result<()> {
        self.send(&json!({"jsonrpc": "2.0", "method": method}))
    }

    /// Ends the child's stdin, and gives the time that it took to end.
    ///
    /// # Errors
    /// If it does not end in time, or ends with a failure.
    pub fn close(mut self) -> anyhow::Result<Duration> {
        drop(self.stdin.take());
        let started = Instant::now();
        while started.elapsed() < self.patience {
            if let Some(status) = self.child.try_wait()? {
                let took = started.elapsed();
                if !status.success() {
                    bail!("the server ended with {status}{}", self.last_words());
                }
                return Ok(took);
            }
            thread::sleep(GLANCE);
        }
        bail!(
            "the server did not end when its stdin did, in {:?}",
            self.patience
        )
    }

    fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        let sent = match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{message}").and_then(|()| stdin.flush()),
            None => Ok(()),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended()),
        }
    }

    fn receive(&mut self, method: &str, deadline: Instant) -> anyhow::Result<Value> {
        let wait = deadline.saturating_duration_since(Instant::now());
        match self.stdout.recv_timeout(wait) {
            Ok(line) => serde_json::from_str(&line).with_context(|| {
                format!(
                    "the server wrote a line to stdout that is no JSON ({} bytes)",
                    line.len()
                )
            }),
            Err(RecvTimeoutError::Timeout) => {
                bail!("no answer to {method} within {:?}", self.patience)
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    /// The error that the child has ended, with its last words.
    fn ended(&mut self) -> anyhow::Error {
        // It has closed a pipe, so it is ending, or of no more use.
        let deadline = Instant::now() + Duration::from_millis(500);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status.to_string(),
                _ if Instant::now() > deadline => break "closed pipes".to_owned(),
                _ => thread::sleep(GLANCE),
            }
        };
        anyhow::anyhow!("the server ended ({status}){}", self.last_words())
    }

    /// What the child last said on stderr, after its end.
    fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        let words = self.stderr.take().and_then(|reader| reader.join().ok());
        match words {
            Some(lines) if !lines.is_empty() => format!("; it said: {}", lines.join(" / ")),
            _ => String::new(),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn scripted(script: &str) -> Client {
        Client::start(
            Command::new("sh").args(["-c", script]),
            Duration::from_millis(800),
        )
        .unwrap()
    }

    fn ask(script: &str) -> anyhow::Result<Value> {
        scripted(script).request("ping", json!({}))
    }

    #[test]
    fn the_answer_is_the_one_to_the_question_whatever_comes_in_between() {
        let mut client = scripted(
            r#"read first
               case "$first" in *'"id":1'*'"method":"ping"'*) ;; *) exit 9;; esac
               echo '{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
               echo '{"jsonrpc":"2.0","id":1,"method":"roots/list"}'
               echo '{"jsonrpc":"2.0","id":7,"result":"of another"}'
               echo '{"jsonrpc":"2.0","id":1,"result":{"n":1}}'
               read second
               echo '{"jsonrpc":"2.0","id":2,"result":{"n":2}}'
               cat >/dev/null"#,
        );
        assert_eq!(client.request("ping", json!({})).unwrap()["n"], 1);
        assert_eq!(client.request("ping", json!({})).unwrap()["n"], 2);
        assert!(client.close().unwrap() < Duration::from_millis(800));
    }

    #[test]
    fn a_refusal_is_an_error_with_its_reason() {
        let error = ask(
            r#"read x; echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}'; cat"#,
        )
        .unwrap_err();
        assert!(error.to_string().contains("no such method"), "{error}");
    }

    #[test]
    fn a_silent_server_is_given_up() {
        let started = Instant::now();
        let error = ask("read x; exec sleep 30").unwrap_err();
        assert!(error.to_string().contains("no answer to ping"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_server_that_ends_is_reported_with_its_last_words() {
        let error = ask("read x; echo 'the disk is full' >&2; exit 3").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("the disk is full") && text.contains('3'),
            "{text}"
        );
    }

    #[test]
    fn anything_but_json_on_stdout_is_an_error() {
        let error = ask("read x; echo hello; cat").unwrap_err();
        assert!(error.to_string().contains("no JSON"), "{error}");
    }

    #[test]
    fn a_server_that_outlives_its_stdin_is_an_error() {
        let error = scripted("exec sleep 30").close().unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }

    #[test]
    fn a_dropped_client_leaves_no_child_behind() {
        let client = scripted("exec sleep 30");
        let id = client.child.id().to_string();
        drop(client);
        let alive = Command::new("kill")
            .args(["-0", &id])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success();
        assert!(!alive);
    }
}
