//! `install` end to end: the built binary, a home directory, real files.

mod asking;
mod example;
mod finding;
mod hosts;
mod keeping;
mod loading;
mod refusing;
mod restoring;
mod telling;
mod writing;

#[cfg(target_os = "linux")]
pub use asking::asked;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use zep_mcp_server::agent_hosts::document::Syntax;

/// The Zep key in these tests. Like all secrets of the fixtures, it contains `s3cr3t`.
pub const KEY: &str = "z_s3cr3tOfZep";

/// A temporary home directory.
pub struct Home {
    pub dir: tempfile::TempDir,
}

/// The result of a run.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir }
    }

    /// A home directory with one host's file.
    pub fn with(at: &str, fixture: &str) -> Self {
        let home = Self::empty();
        home.put(at, &bytes(fixture));
        home
    }

    /// A path in this home; `.config/Claude` and `.config/Code` stand for the system's directory of
    /// settings.
    pub fn path(&self, at: &str) -> PathBuf {
        match at.strip_prefix(".config/") {
            Some(inside)
                if cfg!(target_os = "macos")
                    && (inside.starts_with("Claude/") || inside.starts_with("Code/")) =>
            {
                let settings = self.dir.path().join("Library/Application Support");
                settings.join(inside)
            }
            _ => self.dir.path().join(at),
        }
    }

    pub fn put(&self, at: &str, bytes: &[u8]) {
        let path = self.path(at);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn text(&self, at: &str) -> String {
        std::fs::read_to_string(self.path(at)).unwrap()
    }

    pub fn backups(&self, at: &str) -> Vec<PathBuf> {
        let path = self.path(at);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let directory = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let mut found: Vec<_> = directory
            .map(|entry| entry.unwrap().path())
            .filter(|it| *it != path)
            .filter(|it| it.file_name().unwrap().to_str().unwrap().contains(&name))
            .collect();
        found.sort();
        found
    }

    /// `install` with these arguments, in this home, without a terminal.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"));
        command
            .arg("install")
            .args(arguments)
            .current_dir(self.path("work"))
            .env_clear()
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    pub fn install(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(
            self.command(arguments)
                .env("ZEP_API_KEY", KEY)
                .output()
                .unwrap(),
        )
    }

    pub fn install_without_key(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }
}

impl Outcome {
    /// Checks for every run that no key is shown.
    pub fn of(output: Output) -> Self {
        let outcome = Self {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        let all = outcome.everything();
        assert!(!all.contains("s3cr3t"), "a key was shown: {all}");
        outcome
    }

    pub fn everything(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.everything());
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.everything().contains(text),
            "{text}: {}",
            self.everything()
        );
        self
    }
}

pub fn bytes(fixture: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts");
    std::fs::read(fixtures.join(fixture)).unwrap()
}

/// The path of the program in entries; `target` may be a symbolic link.
pub fn program() -> &'static str {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        let path = fs::canonicalize(env!("CARGO_BIN_EXE_zep-mcp-server")).unwrap();
        path.into_os_string().into_string().unwrap()
    });
    &PROGRAM
}

/// The language of a file, by its name.
pub fn syntax(at: &str) -> Syntax {
    if at.ends_with("toml") {
        Syntax::Toml
    } else if at.ends_with("yaml") {
        Syntax::Yaml
    } else {
        Syntax::Json
    }
}

/// The value at `path`, whose names are separated by `|`.
pub fn entry(text: &str, syntax: Syntax, path: &str) -> Value {
    let document = syntax.read(text.trim_start_matches('\u{feff}')).unwrap();
    let path: Vec<String> = path.split('|').map(str::to_owned).collect();
    zep_mcp_server::agent_hosts::document::at(&document, &path)
        .unwrap()
        .clone()
}
