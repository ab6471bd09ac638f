//! The command line.

mod emulate;
mod install;
mod migrate;
mod token;

use clap::{Args, Parser, Subcommand};
use zep_mcp_server::config::{Flags, HttpFlags};

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
#[command(version, max_term_width = 100, after_long_help = ENVIRONMENT)]
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

const ENVIRONMENT: &str = "\
Environment:
  Each setting is looked for on the command line, then in the environment, then in a file called
  .env in the working directory. The first that is not empty counts. `doctor` shows which did.

  ZEP_API_KEY           Your Zep Cloud key, from https://app.getzep.com. It has no flag, because
                        everybody on this machine can read command lines.
  MEMORY_BACKEND        zep | local. Without it: zep if ZEP_API_KEY is set, else local. Every
                        answer to a write names the backend it went to.
  ZEP_API_URL           Zep's address if it is not https://api.getzep.com, without a path. https,
                        or http to this machine. From .env only if ZEP_API_KEY is from there too.
  ZEP_TIMEOUT_SECS      Seconds for one call to Zep, 1 to 600. Default: 30.
  ZEP_DEFAULT_USER_ID   Whose memory it is where a call names nobody.
  MEM0_DEFAULT_USER_ID  The same, if ZEP_DEFAULT_USER_ID is not set, so that a configuration made
                        for mem0-mcp-server keeps working. Default: mem0-mcp.
  ZEP_MCP_DATA_DIR      Where the local backend keeps memory.db. Default: zep-mcp-server in your
                        data directory (Linux: ~/.local/share, macOS: ~/Library/Application
                        Support, Windows: %LOCALAPPDATA%).
  ZEP_MCP_IMPORT_DIR    The only directory from which the migrate_user and validate_migration tools
                        read export files. Unset: none. Not from .env.
  ZEP_MCP_TOOLS         all | core | names of tools separated by commas: which tools there are.
                        Default: all. core: the five of our own.
  ZEP_MCP_CONFIRM       elicit | never. Whether the person is asked before all memories of somebody
                        are deleted, where the host can ask. Default: elicit. Not from .env.

  Over the network (none of these counts from .env):
  MCP_AUTH_TOKEN        The one token that may do everything for everybody, 16 characters at least:
                        \"$(zep-mcp-server token new)\". It has no flag.
  MCP_AUTH_TOKENS_FILE  The file of tokens, each for some users and a role: see `token new --help`.
  MCP_OAUTH_ISSUER      Who signs tokens, as in their `iss`. Their scope (memory:read, memory:write,
                        memory:operate) or `role` says what they allow, `sub` for whom, `zep_users`
                        ([\"id\", …] or \"*\") for whom besides, `zep_agents` with which agents.
  MCP_OAUTH_AUDIENCE    What they are made out to, as in their `aud`. Needed with an issuer.
  MCP_OAUTH_RESOURCE    This server's address for its clients. Default: the audience.
  MCP_OAUTH_JWKS_URL    Where the issuer's keys are. Default: where its metadata says.
  MCP_OAUTH_USER_CLAIM  The claim that names the user. Default: sub.

  LOG_LEVEL             error | warn | info | debug | trace. Default: info. Logs go to stderr, and
                        from info up hold nothing that anybody said.
  LOG_FORMAT            text | json. Default: text.

On a network (serve --http; none of it from .env):
  HOST                  The address or name to listen on. Default: 127.0.0.1, this machine only.
                        Anything else needs one of the next three.
  PORT                  The port. Default: 8081.
  MCP_AUTH_TOKEN        A token that may do everything for everybody, shown as
                        `Authorization: Bearer <token>`. It has no flag. `token new` makes one.
  MCP_AUTH_TOKENS_FILE  A file of tokens for some users each, with a role: see `token new --help`.
  MCP_OAUTH_ISSUER      Who signs tokens (JWT), MCP_OAUTH_AUDIENCE for whom. Beside them, where
                        needed: MCP_OAUTH_RESOURCE, MCP_OAUTH_JWKS_URL, MCP_OAUTH_USER_CLAIM.
  ZEP_MCP_ALLOWED_HOSTS    Names under which the server is reached, separated by commas.
  ZEP_MCP_ALLOWED_ORIGINS  Origins whose web pages may call it, separated by commas. Default: none.
  ZEP_MCP_TLS_CERT      The certificate and its chain, in PEM, and
  ZEP_MCP_TLS_KEY       its key, in PEM: https instead of http.
  ZEP_MCP_MAX_SESSIONS  Sessions that may be open at once. Default: 2048.
  ZEP_MCP_GRACE_SECS    Seconds that calls in flight have when the server stops. Default: 10.

  HTTPS_PROXY and NO_PROXY are honoured for calls to Zep, NO_COLOR for what you read.
  In .env, a value is taken as it stands: `$` is not replaced.

Exit codes:
  0  all is well        1  something failed        2  the command line or a setting is wrong

In an agent host (`zep-mcp-server install` writes it for you):
  {\"mcpServers\": {\"mem0\": {\"command\": \"zep-mcp-server\", \"env\": {\"ZEP_API_KEY\": \"…\"}}}}
  Keep the entry's old name, and your agents find their tools under the names they know.";
