//! The FastAPI stub of the original Memory API (`benches/memory_api_stub.py`), where its packages are
//! installed.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::server::Server;

/// A Python with FastAPI, uvicorn and zep-cloud.
const PYTHON: &str = "BENCH_PYTHON";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/memory_api_stub.py");
/// Says the versions of what the stub needs.
const VERSIONS: &str = "import platform, fastapi, httptools, uvicorn, uvloop, zep_cloud
print(f'FastAPI {fastapi.__version__}, uvicorn {uvicorn.__version__},', end=' ')
print(f'zep-cloud {zep_cloud.__version__}, Python {platform.python_version()}')";

/// Where the stub has its messages, and how it works.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// In Zep. It waits for one answer at a time, as the original does.
    Original,
    /// In Zep. It waits on threads, and its answers are made as those of [`Self::Typed`].
    Tuned,
    /// In the store's file. Answers are made from dicts, as the original does.
    Dicts,
    /// In the store's file. Answers are made by a response model, which is FastAPI's fastest way.
    Typed,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        self.arguments()[1]
    }

    /// The first arguments of the script.
    fn arguments(self) -> [&'static str; 2] {
        match self {
            Self::Original => ["zep", "original"],
            Self::Tuned => ["zep", "tuned"],
            Self::Dicts => ["sql", "dicts"],
            Self::Typed => ["sql", "typed"],
        }
    }
}

/// What the stub runs on.
pub(crate) struct Stub {
    python: String,
    /// Its versions.
    pub(crate) versions: String,
}

impl Stub {
    /// The one that is set.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn find() -> Result<Self, String> {
        let python = std::env::var(PYTHON).map_err(|_| format!("{PYTHON} is not set"))?;
        let asked = Command::new(&python)
            .args(["-I", "-B", "-c", VERSIONS])
            .stderr(Stdio::null())
            .output();
        let asked = asked.map_err(|error| format!("{PYTHON} does not run ({error})"))?;
        if !asked.status.success() {
            return Err(format!(
                "{PYTHON} has no FastAPI with uvicorn[standard] and zep-cloud"
            ));
        }
        let versions = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        Ok(Self { python, versions })
    }

    /// Starts it in this directory, with its messages at this place: a file or an address.
    pub(crate) fn start(&self, kind: Kind, place: &str, directory: TempDir) -> Server {
        let mut command = Command::new(&self.python);
        // Isolated: `benches/queue.py` beside it is not the library's `queue`.
        command
            .args(["-I", "-B", SCRIPT])
            .args(kind.arguments())
            .arg(place)
            .env_clear();
        Server::run(command, directory)
    }
}
