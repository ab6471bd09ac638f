//! The server, a process of its own, seen from outside.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Another program than the one that was built with this.
const BINARY: &str = "BENCH_BIN";
/// How often a second Linux counts processor time for those who ask (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// How many warnings and errors of a server are shown.
const SHOWN: usize = 5;

/// The program with a store of its own, on a free port. Ends when dropped.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
    complaints: Arc<AtomicUsize>,
    _directory: TempDir,
}

/// What it takes of the machine, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub now: u64,
    /// The most since [`Server::forget_peak`].
    pub peak: u64,
}

impl Server {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("there is a temporary directory");
        let binary = std::env::var(BINARY)
            .unwrap_or_else(|_| env!("CARGO_BIN_EXE_zep-mcp-server").to_owned());
        let mut process = Command::new(binary)
            .args(["serve", "--http", "--port", "0"])
            .current_dir(directory.path())
            .env_clear()
            .env("MEMORY_BACKEND", "local")
            .env("ZEP_MCP_DATA_DIR", directory.path())
            .env("LOG_LEVEL", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = process.stderr.take().expect("it is piped");
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| {
                let (_, rest) = line.split_once("listening on http://")?;
                rest.split_whitespace().next()?.parse().ok()
            })
            .expect("it listens");
        let complaints = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&complaints);
        // Somebody has to read it, or the server waits some day.
        thread::spawn(move || {
            let is_complaint =
                |line: &String| [" WARN ", "ERROR "].iter().any(|l| line.contains(l));
            for line in lines.filter(is_complaint) {
                if counted.fetch_add(1, Ordering::Relaxed) < SHOWN {
                    eprintln!("{line}");
                }
            }
        });
        Self {
            process,
            address,
            complaints,
            _directory: directory,
        }
    }

    /// How many warnings and errors it has logged.
    pub fn complaints(&self) -> usize {
        self.complaints.load(Ordering::Relaxed)
    }

    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(self.proc("status")).expect("it is running");
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let figure = line.and_then(|line| line.split_whitespace().next());
            figure
                .and_then(|figure| figure.parse::<u64>().ok())
                .expect("Linux tells")
        };
        Memory {
            now: kilobytes("VmRSS:") * 1024,
            peak: kilobytes("VmHWM:") * 1024,
        }
    }

    /// From here on the peak counts anew (proc(5), `clear_refs`).
    pub fn forget_peak(&self) {
        fs::write(self.proc("clear_refs"), "5").expect("Linux lets us");
    }

    /// Processor time since it started.
    pub fn cpu(&self) -> Duration {
        cpu(&self.proc("stat"))
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Processor time of this process, all threads of it.
pub fn own_cpu() -> Duration {
    cpu("/proc/self/stat")
}

fn cpu(stat: &str) -> Duration {
    let stat = fs::read_to_string(stat).expect("it is running");
    // After the name, which may have any characters: fields 14 and 15, user and system time.
    let (_, fields) = stat.rsplit_once(") ").expect("it has a name");
    let ticks: f64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("Linux counts"))
        .sum();
    Duration::from_secs_f64(ticks / TICKS)
}
