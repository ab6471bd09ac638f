//! The command line.

mod audit;
mod emulate;
mod environment;
mod export;
mod install;
mod key;
mod migrate;
mod queue;
mod report;
mod switch;
mod token;

use clap::{ArgGroup, Args, Parser, Subcommand};
use zep_mcp_server::config::{Flags, HttpFlags};

pub(crate) use audit::{AuditArgs, AuditCommand, AuditFormat, WhichArgs};
pub(crate) use emulate::EmulateArgs;
pub(crate) use export::{ExportFileArgs, FormatArg};
pub(crate) use install::{EntryArgs, InstallArgs};
pub(crate) use key::{KeyArgs, KeyCommand};
pub(crate) use migrate::{
    ExportArgs, HostEntry, MigrateArgs, SelectionArgs, SourceArgs, SystemArg, ValidateArgs,
    WritingArgs,
};
pub(crate) use queue::{QueueArgs, QueueCommand};
pub(crate) use report::{ReportArgs, RollbackArgs};
pub(crate) use switch::SwitchArgs;
pub(crate) use token::{NewTokenArgs, TokenArgs, TokenCommand};

/// Memory for AI agents over MCP, kept in Zep Cloud or in one file on this machine
///
/// Replaces mem0-mcp-server: change one entry of your agent host's configuration, and your agents
/// keep their tools. Without a command it serves MCP over stdin and stdout, as a host expects.
///
/// New here? `zep-mcp-server try` shows it at work in a few seconds. It needs no key, leaves nothing
/// behind, and prints the configuration to paste into your host.
#[derive(Debug, Default, Parser)]
#[command(version, max_term_width = 100, after_long_help = environment::environment())]
pub(crate) struct Cli {
    /// The settings.
    #[command(flatten)]
    pub settings: Flags,

    /// The command; without one, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve MCP over stdin and stdout (as without a command), or on a network with --http
    ///
    /// Logs go to stderr. Over stdin and stdout the server ends when its stdin ends. On a network
    /// it serves Streamable HTTP at /mcp, the older HTTP with SSE at /sse, /health and /ready; with
    /// --api the Memory API on port 5003, described at /docs. On SIGTERM or Ctrl-C it finishes calls in flight and ends; a second signal ends it at once.
    #[command(after_long_help = environment::network_environment())]
    Serve(Box<ServeArgs>),

    /// See it work: a scripted session with a real server on a temporary store
    ///
    /// Needs no key and no network, ignores your settings, and leaves nothing behind. Prints the
    /// configuration to paste into your agent host.
    Try,

    /// Move from mem0: migrate its memories, prove that they arrived, and change the host's entry
    ///
    /// Finds the entry that runs mem0 in the configuration of your hosts, takes the key of mem0 from
    /// it, shows what would be moved and what that costs, and asks once. The entry changes only after
    /// every record was found in Zep, word for word.
    #[command(after_long_help = switch::SWITCHING)]
    Switch(Box<SwitchArgs>),

    /// Make an agent host's mem0 entry run this server, without moving memories
    ///
    /// Finds the entry that runs mem0 in the configuration of your hosts, shows what would change,
    /// asks, and changes that one entry. The rest of the file stays as it is, byte for byte, and a
    /// backup is kept beside it.
    #[command(after_long_help = install::INSTALLING)]
    Install(Box<InstallArgs>),

    /// Check the configuration, the key and the backend, with advice for what fails
    ///
    /// To prove write access, it creates a user named zep-mcp-doctor-<uuid> and deletes it. Exit
    /// codes: 0 if all checks pass, 1 if one fails, 2 if the configuration is wrong.
    Doctor(DoctorArgs),

    /// Serve Zep's HTTP API from the embedded store: for tests and rehearsals
    ///
    /// Set ZEP_API_URL to it, for instance ZEP_API_URL=http://127.0.0.1:8000, with any ZEP_API_KEY.
    /// It can be slow and fail on demand: see the faults below.
    Emulate(Box<EmulateArgs>),

    /// Migrate from mem0 or a file: users, sessions, messages and memories, each once
    ///
    /// Reads from mem0 itself (--from), or from a file: answers of mem0 Platform, its servers and
    /// libraries, and an application's own dump (users with messages, insights, summary, traits,
    /// preferences). The shape is detected. Writes to the backend of your settings, and reports the
    /// result, with each record that failed.
    #[command(after_long_help = migrate::MIGRATING)]
    Migrate(Box<MigrateArgs>),

    /// Compare what is stored with its source, record by record, and report differences
    #[command(after_long_help = migrate::VALIDATING)]
    Validate(Box<ValidateArgs>),

    /// Show past migrations: what was moved, skipped and why, what is left, requests and waits
    Report(ReportArgs),

    /// Undo a migration: remove what a run wrote, and nothing else
    #[command(after_long_help = report::ROLLING_BACK)]
    Rollback(RollbackArgs),

    /// Write what is stored into a file that `migrate` and mem0's `import` can read
    ///
    /// Everything of everybody, from Zep Cloud or the embedded store: users, sessions in order, memories,
    /// times, metadata. Facts are none of it, since each store draws its own. Exit codes: 0 if all is in
    /// the file; 1 if something could not be read, or there is no file; 2 wrong usage.
    Export(ExportFileArgs),

    /// Show and send what waits until Zep has it
    Queue(QueueArgs),

    /// Show whether all is well: the backend, where users are, what waits, migrations, the audit trail
    ///
    /// With --url also the requests of a running server: their number, failures and durations. Exit
    /// codes: 0 if all is well, 1 if something needs a look, which the line with `!` names.
    Status(StatusArgs),

    /// Check and search the audit trail: who did what to whose memories
    Audit(AuditArgs),

    /// Make keys, and encrypt with them what is on the disk
    Key(KeyArgs),

    /// Create tokens for clients on the network
    Token(TokenArgs),

    /// Check a server on a network by its /health: for container engines and monitors
    ///
    /// Checks the server with these settings on this machine, or the one of --url. Exit codes: 0 if
    /// it is healthy, 1 if not.
    Health(HealthArgs),
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(Box::default())
    }
}

/// The transport of `serve`.
#[derive(Debug, Default, Args)]
#[command(group = ArgGroup::new("network").args(["http", "api"]).multiple(true))]
pub(crate) struct ServeArgs {
    /// Serve MCP on a network instead of stdin and stdout
    #[arg(long)]
    pub http: bool,

    /// Serve the Memory API (REST), alone or on one port with --http; see /docs there
    #[arg(long)]
    pub api: bool,

    /// The settings of the listener.
    #[command(flatten)]
    pub flags: HttpFlags,
}

/// The output of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The output of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show as one JSON object
    #[arg(long)]
    pub json: bool,

    /// Also ask this server, with the token of MCP_AUTH_TOKEN; the address without a path
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// The request of `health`.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Check /ready instead: whether the backend answers, too
    #[arg(long)]
    pub ready: bool,

    /// The server's address, without a path [default: http://127.0.0.1 and PORT]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}
