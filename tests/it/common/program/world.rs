//! A place for memories that outlives the servers of a test: a directory, and on one of the
//! backends an emulator.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{Client, binary};

/// The key that servers in front of the emulator have.
pub const API_KEY: &str = "z_test-4f1c0b7e";

/// A place for memories. Gone when dropped.
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

    /// On Zep's API, which the emulator speaks.
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
    /// If there is none.
    pub fn address(&self) -> &str {
        &self.emulator.as_ref().unwrap().address
    }

    /// The directory that servers run in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A server's command on these memories.
    pub fn command(&self) -> Command {
        let mut command = binary(self.directory());
        command.env("LOG_LEVEL", "warn");
        match &self.emulator {
            Some(emulator) => command
                .env("ZEP_API_URL", &emulator.address)
                .env("ZEP_API_KEY", API_KEY),
            None => command.env("ZEP_MCP_DATA_DIR", self.directory().join("data")),
        };
        command
    }

    /// A new server on these memories, with the handshake done.
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
