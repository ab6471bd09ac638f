//! `switch` end to end, as a newcomer runs it: a host's file, mem0 behind a stand-in, Zep behind the
//! emulator. The entry changes only after everything was validated.

mod asking;
mod differing;
mod killed;
mod moving;
mod pointing;
mod tools;

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use zep_mcp_server::agent_hosts::document::Syntax;

use crate::common::mem0_stand_in::{KEY, StandIn};
use crate::common::program::{API_KEY, World};
use crate::common::service::Service;
use crate::install::{Home, Outcome, bytes, entry, program};

const CLAUDE: &str = ".config/Claude/claude_desktop_config.json";

/// A person with an agent host that runs mem0, memories in mem0, and an account of Zep.
struct Newcomer {
    home: Home,
    mem0: StandIn,
    zep: World,
}

impl Newcomer {
    fn new() -> Self {
        Self::with_zep(&[])
    }

    fn with_zep(flags: &[&str]) -> Self {
        let home = Home::empty();
        let config = String::from_utf8(bytes("claude-desktop/claude_desktop_config.json")).unwrap();
        home.put(CLAUDE, config.replace("m0-s3cr3tOfMem0", KEY).as_bytes());
        Self {
            home,
            mem0: StandIn::start(),
            zep: World::emulated_with(flags),
        }
    }

    /// Gives jane and joe two sessions of `count` memories each, and jane one memory without a session.
    fn remembers(self, count: usize) -> Self {
        for user in ["jane", "joe"] {
            for number in 0..2 * count {
                let run = format!("{user}-{}", number % 2);
                self.mem0.add(json!({
                    "user_id": user, "run_id": run, "session_id": run,
                    "memory": format!("{user} said {number}"),
                }));
            }
        }
        self.mem0
            .add(json!({"user_id": "jane", "memory": "jane likes tea", "metadata": {"a": [1]}}));
        self
    }

    /// `switch` with these arguments and no terminal, and with a key of Zep in the environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"));
        command
            .arg("switch")
            .args(arguments)
            .current_dir(self.home.path("work"))
            .env_clear()
            .env("HOME", self.home.dir.path())
            .env("MEM0_BASE_URL", &self.mem0.url)
            .env("ZEP_API_URL", self.zep.address())
            .env("ZEP_API_KEY", API_KEY)
            .env("LOG_LEVEL", "warn")
            .stdin(Stdio::null());
        command
    }

    fn switch(&self, arguments: &[&str]) -> Outcome {
        outcome(&mut self.command(arguments))
    }

    fn config(&self) -> String {
        self.home.text(CLAUDE)
    }

    /// Asserts that the file is as it was, and that no backup is beside it.
    #[track_caller]
    fn is_unchanged(&self, before: &str) {
        assert_eq!(self.config(), before);
        assert!(self.home.backups(CLAUDE).is_empty());
    }

    /// Asserts that the entry runs this server, with the keys of both, and nothing else has changed.
    #[track_caller]
    fn is_changed(&self) {
        let mem0 = entry(&self.config(), Syntax::Json, "mcpServers|mem0");
        assert_eq!(mem0["command"], program());
        let env = &mem0["env"];
        assert_eq!(env["MEM0_API_KEY"], KEY);
        assert_eq!(env["ZEP_API_KEY"], API_KEY);
        assert_eq!(env["ZEP_API_URL"], self.zep.address());
        assert_eq!(env["MEM0_DEFAULT_USER_ID"], "jane");
        assert!(self.config().contains("ghp_s3cr3tOfGithub"));
    }

    /// Asserts that each memory of mem0 is in Zep, once, and in order.
    #[track_caller]
    fn has_moved(&self, count: usize) {
        let service = Service::of(&self.zep);
        for user in ["jane", "joe"] {
            for session in 0..2 {
                let thread = format!("{user}-{session}");
                let stored = service.messages(&thread);
                let stored: Vec<_> = stored.iter().map(|message| &message["content"]).collect();
                let expected: Vec<_> = (0..count)
                    .map(|n| format!("{user} said {}", 2 * n + session))
                    .collect();
                assert_eq!(json!(stored), json!(expected), "{thread}");
            }
        }
    }

    /// How often something was written to Zep.
    fn writes(&self) -> u64 {
        let requests = self.zep.requests();
        let writes = requests.iter().filter(|(route, _)| {
            let reads = ["GET ", "POST /api/v2/graph/search"];
            !reads.iter().any(|read| route.starts_with(read))
                && !route.contains("/list")
                && !route.contains("/episodes/")
        });
        writes.map(|(_, count)| count).sum()
    }
}

/// Runs it; no key may be shown.
fn outcome(command: &mut Command) -> Outcome {
    let outcome = Outcome::of(command.output().unwrap());
    for key in [KEY, API_KEY] {
        assert!(
            !outcome.everything().contains(key),
            "{}",
            outcome.everything()
        );
    }
    outcome
}

fn read(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.everything()))
}
