//! The export that a command reads: a file, or standard input.

use std::io::{self, Read};
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::sources::Export;

use crate::output::Misuse;

/// An export that was opened.
pub enum Input {
    /// A file.
    File(Export),
    /// Standard input.
    Stdin,
}

impl Input {
    /// Opens what `--file` names.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Misuse> {
        if path == Path::new("-") {
            return Ok(Self::Stdin);
        }
        let opened = Export::file(path);
        opened.map(Self::File).map_err(|error| {
            Misuse(format!(
                "--file {} cannot be opened: {error}",
                path.display()
            ))
        })
    }

    /// As a migration reads it, until it is stopped. To be called within a runtime.
    pub fn export(self, stop: &CancellationToken) -> Export {
        match self {
            Self::File(export) => export,
            Self::Stdin => Export::reader(Stdin {
                inner: tokio::io::stdin(),
                runtime: Handle::current(),
                stop: stop.clone(),
            }),
        }
    }
}

/// Standard input, read from a thread that may block, and given up when the run is stopped: nobody
/// may ever write to it.
struct Stdin {
    inner: tokio::io::Stdin,
    runtime: Handle,
    stop: CancellationToken,
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reading = self.stop.run_until_cancelled(self.inner.read(buffer));
        self.runtime
            .block_on(reading)
            .unwrap_or_else(|| Err(io::Error::other("stopped before anything was written")))
    }
}
