//! The export: a file or standard input.

use std::io::{self, Read};
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::sources::Export;

use crate::output::Misuse;

/// An opened export.
pub(crate) enum Input {
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
    pub(crate) fn open(path: &Path) -> Result<Self, Misuse> {
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

    /// The source of a migration. Must be called within a runtime; reading ends when `stop` is
    /// cancelled.
    pub(crate) fn export(self, stop: &CancellationToken) -> Export {
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

/// Standard input for a thread that may block. Reading fails when the run is stopped, because input
/// may never come.
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
            .unwrap_or_else(|| Err(io::Error::other("stopped while reading standard input")))
    }
}
