//! The FastAPI stub of the original Memory API (`benches/memory_api_stub.py`), where its packages are
//! installed.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::server::{STORE, Server};

/// A Python with FastAPI and uvicorn.
const PYTHON: &str = "BENCH_PYTHON";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/memory_api_stub.py");
/// Says the versions of what the stub needs.
const VERSIONS: &str = "import platform, fastapi, httptools, uvicorn, uvloop
print(f'FastAPI {fastapi.__version__}, uvicorn {uvicorn.__version__}, Python {platform.python_version()}')";

/// How the stub writes its answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answers {
    /// From dicts, as the original does.
    Dicts,
    /// By a response model, which is FastAPI's fastest way.
    Typed,
}

impl Answers {
    pub(crate) const ALL: [Self; 2] = [Self::Dicts, Self::Typed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dicts => "dicts",
            Self::Typed => "typed",
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
            return Err(format!("{PYTHON} has no FastAPI with uvicorn[standard]"));
        }
        let versions = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        Ok(Self { python, versions })
    }

    /// Starts it on the store of this directory.
    pub(crate) fn start(&self, answers: Answers, directory: TempDir) -> Server {
        let mut command = Command::new(&self.python);
        // Isolated: `benches/queue.py` beside it is not the library's `queue`.
        command
            .args(["-I", "-B", SCRIPT, STORE, answers.name()])
            .env_clear();
        Server::run(command, directory)
    }
}
