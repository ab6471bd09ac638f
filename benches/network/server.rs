//! The server process, measured from outside.

use std::fs;
use std::io::{BufRead, BufReader, pipe};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A binary to measure instead of the one built with this benchmark.
const BINARY: &str = "BENCH_BIN";
/// Linux's processor time ticks per second (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// The file of memories in a directory of data.
pub(crate) const STORE: &str = "memory.db";

/// Warnings and errors that are printed per server.
const SHOWN: usize = 5;

/// A server process with its own store on a free port. Killed on drop.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    warnings: Arc<AtomicUsize>,
    directory: TempDir,
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The maximum since [`Server::forget_peak`].
    pub(crate) peak: u64,
}

impl Server {
    /// The program, serving MCP on a new store.
    pub(crate) fn start() -> Self {
        Self::start_with(directory(), &["--http"], &[])
    }

    /// The program with these flags of `serve` and settings, on the store of this directory.
    pub(crate) fn start_with(
        directory: TempDir,
        flags: &[&str],
        settings: &[(&str, &str)],
    ) -> Self {
        let mut command = program();
        command
            .args(["serve", "--port", "0"])
            .args(flags)
            .env("MEMORY_BACKEND", "local")
            .env("ZEP_MCP_DATA_DIR", directory.path())
            .env("LOG_LEVEL", "info")
            .envs(settings.iter().copied());
        Self::run(command, directory)
    }

    /// The program as Zep's API, on the store of this directory.
    pub(crate) fn emulator(directory: TempDir) -> Self {
        let mut command = program();
        command.args(["emulate", "--port", "0", "--data", STORE]);
        Self::run(command, directory)
    }

    /// A program that says on stdout or stderr where it listens. It works in this directory.
    pub(crate) fn run(mut command: Command, directory: TempDir) -> Self {
        let (log, output) = pipe().expect("Linux lets us");
        let process = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("Linux lets us"))
            .stderr(output)
            .spawn()
            .expect("the program starts");
        // It has the writing end: the log ends with the process.
        drop(command);
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| {
                let (_, rest) = line.split_once("listening on http://")?;
                rest.split_whitespace().next()?.parse().ok()
            })
            .expect("it listens");
        let warnings = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&warnings);
        // Read the log to the end, or the server blocks once the pipe is full.
        thread::spawn(move || {
            let is_warning = |line: &String| [" WARN ", "ERROR "].iter().any(|l| line.contains(l));
            for line in lines.filter(is_warning) {
                if counted.fetch_add(1, Ordering::Relaxed) < SHOWN {
                    eprintln!("{line}");
                }
            }
        });
        Self {
            process,
            address,
            warnings,
            directory,
        }
    }

    /// The file of its memories.
    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join(STORE)
    }

    /// Number of logged warnings and errors.
    pub(crate) fn warnings(&self) -> usize {
        self.warnings.load(Ordering::Relaxed)
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(self.proc("status")).expect("it is running");
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let figure = line.and_then(|line| line.split_whitespace().next());
            figure
                .and_then(|figure| figure.parse::<u64>().ok())
                .expect("Linux reports it")
        };
        Memory {
            now: kilobytes("VmRSS:") * 1024,
            peak: kilobytes("VmHWM:") * 1024,
        }
    }

    /// Resets the peak (proc(5), `clear_refs`).
    pub(crate) fn forget_peak(&self) {
        fs::write(self.proc("clear_refs"), "5").expect("Linux lets us");
    }

    /// Processor time since it started.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(&self.proc("stat"))
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, without settings.
fn program() -> Command {
    let built = || env!("CARGO_BIN_EXE_zep-mcp-server").to_owned();
    let mut command = Command::new(std::env::var(BINARY).unwrap_or_else(|_| built()));
    command.env_clear();
    command
}

/// A new directory, in `TMPDIR`.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().expect("there is a temporary directory")
}

/// Processor time of all threads of this process.
pub(crate) fn own_cpu() -> Duration {
    cpu("/proc/self/stat")
}

fn cpu(stat: &str) -> Duration {
    let stat = fs::read_to_string(stat).expect("it is running");
    // Fields 14 and 15 are user and system time; the name before them can contain any character.
    let (_, fields) = stat.rsplit_once(") ").expect("it has a name");
    let ticks: f64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("Linux counts"))
        .sum();
    Duration::from_secs_f64(ticks / TICKS)
}
