//! Starts and stops the server under test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::common::PATIENCE;
use crate::common::program::World;

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens: scheme, address and port.
    pub url: String,
    stdout: Option<JoinHandle<String>>,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// How a server ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if it was killed.
    pub code: Option<i32>,
    /// The time from the signal to the end.
    pub took: Duration,
    /// Everything it wrote to stdout.
    pub stdout: String,
    /// Everything it wrote to stderr.
    pub stderr: String,
}

/// The command of a server on these memories.
pub fn command(world: &World, flags: &[&str]) -> Command {
    let mut command = world.command();
    command
        .args(["serve", "--http"])
        .args(flags)
        .env("LOG_LEVEL", "info");
    command
}

impl Server {
    /// Starts on a free port.
    pub fn start(world: &World) -> Self {
        Self::with(world, &[])
    }

    /// Starts on a free port with these flags.
    pub fn with(world: &World, flags: &[&str]) -> Self {
        let mut command = command(world, flags);
        if !flags.contains(&"--port") {
            command.args(["--port", "0"]);
        }
        Self::run(&mut command)
    }

    /// Starts, and waits until it listens.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            let _ = out.read_to_string(&mut text);
            text
        });
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let before = said.len();
            if lines.read_line(&mut said).unwrap() == 0 {
                let _ = child.wait();
                panic!("it does not listen: {said}");
            }
            let line = &said[before..];
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        let stderr = Arc::new(Mutex::new(said));
        let kept = Arc::clone(&stderr);
        let reader = thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
                kept.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self {
            child,
            url,
            stdout: Some(stdout),
            stderr,
            reader: Some(reader),
        }
    }

    /// Its address and port.
    pub fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// Its port.
    pub fn port(&self) -> &str {
        self.address().rsplit_once(':').unwrap().1
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Sends it SIGTERM.
    pub fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it SIGTERM and waits for its end.
    pub async fn stop(self) -> Ended {
        self.ask_to_stop();
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let begun = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < 2 * PATIENCE, "it does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let took = begun.elapsed();
        self.reader.take().unwrap().join().unwrap();
        Ended {
            code: status.code(),
            took,
            stdout: self.stdout.take().unwrap().join().unwrap(),
            stderr: self.log(),
        }
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
