//! The command line.

mod emulate;
mod install;
mod migrate;
mod token;

use clap::{Args, Parser, Subcommand};
use zep_mcp_server::config::{Flags, HttpFlags, Setting, without_flags};

pub use emulate::EmulateArgs;
pub use install::InstallArgs;
pub use migrate::{MigrateArgs, MovingArgs, ValidateArgs};
pub use token::{NewTokenArgs, TokenArgs, TokenCommand};

/// Memory for AI agents over MCP, kept in Zep Cloud or in one file on this machine
///
/// Stands where mem0-mcp-server stood: change one entry of your agent host's configuration, and
/// your agents keep their tools. Without a command it serves MCP over stdin and stdout, which is
/// what a host expects.
///
/// New here? `zep-mcp-server try` shows it at work in a few seconds, without a key and without
/// leaving anything behind, and prints the configuration to paste into your host.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_long_help = environment())]
pub struct Cli {
    /// The settings.
    #[command(flatten)]
    pub settings: Flags,

    /// What to do; to serve, if absent.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve MCP over stdin and stdout (as without a command), or on a network with --http
    ///
    /// Logs go to stderr. Over stdin and stdout the server ends when its stdin ends. On a network
    /// it answers Streamable HTTP at /mcp and the older HTTP with SSE at /sse, /health and /ready,
    /// until SIGTERM or Ctrl-C: it then finishes what is in flight; a second one does not wait.
    #[command(after_long_help = network_environment())]
    Serve(Box<ServeArgs>),

    /// See it work: an agent's day with a real server on a throw-away store
    ///
    /// Needs no key and no network, uses none of your settings, and leaves nothing behind. Prints
    /// the configuration to paste into your agent host.
    Try,

    /// Switch: let an agent host's mem0 entry run this server
    ///
    /// Finds the entry that runs mem0 in your hosts' configurations, shows what would change, asks,
    /// and changes that one entry. Everything else in the file stays as it is, to the byte, and a
    /// backup is left beside it.
    #[command(after_long_help = install::INSTALLING)]
    Install(Box<InstallArgs>),

    /// Check the configuration, the key and the backend, and say what to do about what fails
    ///
    /// To prove write access, makes a user called zep-mcp-doctor-<uuid> and deletes it again. Ends
    /// with exit code 0 if all is well, 1 if something failed, and 2 if the configuration itself is
    /// wrong.
    Doctor(DoctorArgs),

    /// Answer as Zep's own HTTP API does, from the embedded store: for tests and rehearsals
    ///
    /// Point ZEP_API_URL at it, for instance ZEP_API_URL=http://127.0.0.1:8000, with any ZEP_API_KEY.
    /// It can be made as slow and as unkind as life: see what goes wrong, below.
    Emulate(Box<EmulateArgs>),

    /// Move an export of mem0 over: users, sessions, messages and memories, each once
    ///
    /// Reads what mem0 Platform, its servers and libraries answer, written to a file, and the
    /// application's own dump (users with messages, insights, summary, traits, preferences). The
    /// shape is recognised by looking. Writes into the backend of your settings, and reports what
    /// was done, record by record where something went wrong.
    #[command(after_long_help = migrate::MIGRATING)]
    Migrate(Box<MigrateArgs>),

    /// Compare what is stored with an export, record by record, and say what differs
    #[command(after_long_help = migrate::VALIDATING)]
    Validate(Box<ValidateArgs>),

    /// Make tokens that let clients in over the network
    Token(TokenArgs),

    /// Ask a server on a network whether it is alive (its /health): for container engines and
    /// monitors
    ///
    /// Asks the one on this machine that has these settings, or that of --url. Ends with exit code 0
    /// if all is well, and 1 if not.
    Health(HealthArgs),
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(Box::default())
    }
}

/// Through which door `serve` lets agents in.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Serve on a network instead of stdin and stdout
    #[arg(long)]
    pub http: bool,

    /// How.
    #[command(flatten)]
    pub flags: HttpFlags,
}

/// How `doctor` reports.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `health` asks.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Ask whether it can do its work (its /ready): whether the backend answers, too
    #[arg(long)]
    pub ready: bool,

    /// The server's address, without a path [default: http://127.0.0.1 and PORT]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// The end of the long help. The flags above it name their variables.
fn environment() -> String {
    let network = Setting::HTTP.map(Setting::name);
    let network: Vec<_> = network.chunks(4).map(|line| line.join(", ")).collect();
    format!(
        "\
Environment:
  Each setting is looked up on the command line, then in the environment, then in a file called
  .env in the working directory. The first value that is not empty counts; `doctor` shows which.
  The flags above name their variables in brackets. These have no flag:

{general}
  `serve --http` has further settings, none of them from .env; `serve --help` describes them:
  {network}

  HTTPS_PROXY and NO_PROXY are honoured for calls to Zep, NO_COLOR for what you read.
  In .env, a value is taken literally: `$` is not replaced.

Exit codes:
  0  all is well        1  something failed        2  the command line or a setting is wrong

In an agent host (`zep-mcp-server install` writes it for you):
  {{\"mcpServers\": {{\"mem0\": {{\"command\": \"zep-mcp-server\", \"env\": {{\"ZEP_API_KEY\": \"…\"}}}}}}}}
  Keep the entry's old name, and your agents find their tools under the names they know.",
        network = network.join(",\n  "),
        general = without_flags(&Setting::GENERAL),
    )
}

/// The end of the long help of `serve`.
fn network_environment() -> String {
    format!(
        "On a network, without a flag:\n{}",
        without_flags(&Setting::HTTP)
    )
}
