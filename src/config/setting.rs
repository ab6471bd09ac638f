//! The table of settings: their names, flags, help texts and defaults.

use std::fmt;

/// What the table says about one setting.
pub(super) struct Row {
    /// Its name in the environment and in `.env`.
    name: &'static str,
    /// The flag without its dashes, and the name of its value in the help.
    flag: Option<(&'static str, &'static str)>,
    /// Whether `.env` may set it.
    dotenv: bool,
    /// What it means, for the help.
    help: &'static str,
    default: Fallback,
}

/// What holds where a setting is not set.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fallback {
    /// This value.
    Value(&'static str),
    /// No fixed value: what the help says about it.
    Described(&'static str),
}

/// Builds [`Setting`] from the table.
macro_rules! settings {
    (
        general { $($general:ident = $general_name:literal { $($general_row:tt)* })+ }
        network { $($network:ident = $network_name:literal { $($network_row:tt)* })+ }
    ) => {
        /// A setting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Setting {
            $(#[doc = concat!("`", $general_name, "`")] $general,)+
            $(#[doc = concat!("`", $network_name, "`")] $network,)+
        }

        impl Setting {
            /// The settings of every command.
            pub const GENERAL: [Self; [$($general_name),+].len()] = [$(Self::$general),+];

            /// The settings that only `serve --http` reads.
            pub const HTTP: [Self; [$($network_name),+].len()] = [$(Self::$network),+];

            /// All settings.
            pub const ALL: [Self; Self::GENERAL.len() + Self::HTTP.len()] =
                [$(Self::$general,)+ $(Self::$network),+];

            fn row(self) -> &'static Row {
                match self {
                    $(Self::$general => &Row { name: $general_name, $($general_row)* },)+
                    $(Self::$network => &Row { name: $network_name, $($network_row)* },)+
                }
            }
        }
    };
}

// The network settings do not count in `.env`: its author may be somebody else, who could open this
// machine to others. `HOST` and `PORT` are as in mem0-mcp-server.
settings! {
    general {
        Backend = "MEMORY_BACKEND" {
            flag: Some(("backend", "BACKEND")),
            dotenv: true,
            help: "Where memories are kept: `zep` (Zep Cloud), `local` (one file on this machine), \
                   `mem0` (mem0 Platform, as with mem0-mcp-server) or `phased` (Zep, and mem0 for \
                   users who are not moved yet)",
            default: Fallback::Described("zep if ZEP_API_KEY is set, else local"),
        }
        ApiKey = "ZEP_API_KEY" {
            flag: None,
            dotenv: true,
            help: "Your Zep Cloud key, from https://app.getzep.com. It has no flag, since other \
                   users of this machine can read command lines",
            default: Fallback::Described("none"),
        }
        ApiUrl = "ZEP_API_URL" {
            flag: Some(("api-url", "URL")),
            dotenv: true,
            help: "Zep's address, without a path; https, or http to this machine only. From .env \
                   only if ZEP_API_KEY is from there too",
            default: Fallback::Value("https://api.getzep.com"),
        }
        TimeoutSecs = "ZEP_TIMEOUT_SECS" {
            flag: Some(("timeout-secs", "SECONDS")),
            dotenv: true,
            help: "How long one call to Zep may take, in seconds, from 1 to 600",
            default: Fallback::Value("30"),
        }
        RecheckSecs = "ZEP_RECHECK_SECS" {
            flag: Some(("recheck-secs", "SECONDS")),
            dotenv: true,
            help: "How long after a write was sent to Zep again, since it got no answer, to look \
                   whether it arrived twice, in seconds, separated by commas",
            default: Fallback::Value("60,600,3600"),
        }
        Queue = "ZEP_MCP_QUEUE" {
            flag: Some(("queue", "on|off")),
            dotenv: true,
            help: "Whether what is added to Zep is safe on this machine before Zep has it, and a call \
                   does not wait for a Zep that does not answer",
            default: Fallback::Value("on"),
        }
        WriteWaitMs = "ZEP_MCP_WRITE_WAIT_MS" {
            flag: Some(("write-wait-ms", "MILLISECONDS")),
            dotenv: true,
            help: "How long a call waits for Zep before it answers that its memories are queued, in \
                   milliseconds, from 0 to 60000",
            default: Fallback::Value("2000"),
        }
        DefaultUserId = "ZEP_DEFAULT_USER_ID" {
            flag: Some(("default-user-id", "ID")),
            dotenv: true,
            help: "The user of memories where a call names nobody",
            default: Fallback::Described("MEM0_DEFAULT_USER_ID"),
        }
        Mem0DefaultUserId = "MEM0_DEFAULT_USER_ID" {
            flag: None,
            dotenv: true,
            help: "The same as --default-user-id, if ZEP_DEFAULT_USER_ID is not set, so that a \
                   configuration made for mem0-mcp-server keeps working",
            default: Fallback::Value("mem0-mcp"),
        }
        DataDir = "ZEP_MCP_DATA_DIR" {
            flag: Some(("data-dir", "DIRECTORY")),
            dotenv: true,
            help: "The directory of the local backend's file, `memory.db`, and of notes on \
                   migrations into Zep that have not ended and on writes that were sent again",
            default: Fallback::Described(
                "zep-mcp-server in your data directory (Linux: ~/.local/share, macOS: \
                 ~/Library/Application Support, Windows: %LOCALAPPDATA%)"
            ),
        }
        EncryptionKeyFile = "ZEP_MCP_ENCRYPTION_KEY_FILE" {
            flag: Some(("encryption-key-file", "FILE")),
            dotenv: false,
            help: "The file of the key with which what waits for Zep, and backups of hosts' files, are \
                   encrypted on the disk; `zep-mcp-server key new` makes one",
            default: Fallback::Described("none: they are not encrypted"),
        }
        EncryptionKey = "ZEP_MCP_ENCRYPTION_KEY" {
            flag: None,
            dotenv: false,
            help: "The key itself, instead of a file",
            default: Fallback::Described("none"),
        }
        Audit = "ZEP_MCP_AUDIT" {
            flag: Some(("audit", "on|warn|off")),
            dotenv: false,
            help: "Whether it is noted who did what to whose memories: `on` (a call is refused while \
                   that cannot be written), `warn` (it goes on) or `off`",
            default: Fallback::Value("on"),
        }
        AuditDays = "ZEP_MCP_AUDIT_DAYS" {
            flag: Some(("audit-days", "DAYS")),
            dotenv: false,
            help: "How many days that is kept, from 1 to 36500",
            default: Fallback::Value("2190"),
        }
        ImportDir = "ZEP_MCP_IMPORT_DIR" {
            flag: Some(("import-dir", "DIRECTORY")),
            dotenv: false,
            help: "The only directory from which the tools migrate_user and validate_migration \
                   read export files",
            default: Fallback::Described("none"),
        }
        Tools = "ZEP_MCP_TOOLS" {
            flag: Some(("tools", "TOOLS")),
            dotenv: true,
            help: "Which tools the server has: `all`, `core` (add_memory, search_memory, \
                   get_session, migrate_user, validate_migration) or their names, separated by \
                   commas",
            default: Fallback::Value("all"),
        }
        Confirm = "ZEP_MCP_CONFIRM" {
            flag: Some(("confirm", "HOW")),
            dotenv: false,
            help: "Whether to ask the person before all memories of somebody are deleted: \
                   `elicit` (where the host can ask) or `never`",
            default: Fallback::Value("elicit"),
        }
        Mem0ApiKey = "MEM0_API_KEY" {
            flag: None,
            dotenv: true,
            help: "The key of mem0 Platform, for migrations from it (`migrate --from mem0`, \
                   `switch`, the tool migrate_user) and for the backends `mem0` and `phased`",
            default: Fallback::Described("none"),
        }
        Mem0Enabled = "MEM0_ENABLED" {
            flag: None,
            dotenv: true,
            help: "Whether mem0 is used at all beside Zep: `false` once everybody is moved",
            default: Fallback::Value("true"),
        }
        Mem0Fallback = "MEM0_FALLBACK" {
            flag: None,
            dotenv: true,
            help: "Whether reads come from mem0 where Zep does not have a user, or does not answer",
            default: Fallback::Value("false"),
        }
        Mem0Mirror = "MEM0_MIRROR" {
            flag: None,
            dotenv: true,
            help: "Whether what is added to Zep is added to mem0, too, so that going back stays \
                   possible",
            default: Fallback::Value("false"),
        }
        Mem0BaseUrl = "MEM0_BASE_URL" {
            flag: None,
            dotenv: false,
            help: "The address of mem0 Platform",
            default: Fallback::Described("https://api.mem0.ai"),
        }
        Mem0ServerUrl = "MEM0_SERVER_URL" {
            flag: None,
            dotenv: false,
            help: "The address of a self-hosted mem0, for `migrate --from mem0-server`, and for \
                   the tool migrate_user where MEM0_API_KEY is not set",
            default: Fallback::Described("none"),
        }
        Mem0ServerKey = "MEM0_SERVER_KEY" {
            flag: None,
            dotenv: false,
            help: "The key of the self-hosted mem0",
            default: Fallback::Described("none"),
        }
        QdrantApiKey = "QDRANT_API_KEY" {
            flag: None,
            dotenv: false,
            help: "The key of Qdrant, for `migrate --from qdrant`",
            default: Fallback::Described("none"),
        }
        Mem0Dir = "MEM0_DIR" {
            flag: None,
            dotenv: false,
            help: "The directory of mem0's library, for `migrate --from mem0-dir`",
            default: Fallback::Described("~/.mem0"),
        }
        LogLevel = "LOG_LEVEL" {
            flag: Some(("log-level", "LEVEL")),
            dotenv: true,
            help: "How much to log to stderr: `error`, `warn`, `info`, `debug` or `trace`; from \
                   `info` up, logs hold nothing that anybody said",
            default: Fallback::Value("info"),
        }
        LogFormat = "LOG_FORMAT" {
            flag: Some(("log-format", "FORMAT")),
            dotenv: true,
            help: "How to log: `text` or `json`",
            default: Fallback::Value("text"),
        }
    }
    network {
        ApiHost = "MEMORY_SERVER_HOST" {
            flag: None,
            dotenv: false,
            help: "Where `serve --api` listens; HOST wins",
            default: Fallback::Described("127.0.0.1"),
        }
        ApiPort = "MEMORY_SERVER_PORT" {
            flag: None,
            dotenv: false,
            help: "The port of `serve --api`; PORT wins",
            default: Fallback::Described("5003"),
        }
        ApiCompat = "MEMORY_API_COMPAT" {
            flag: None,
            dotenv: false,
            help: "Whether the Memory API answers like the original server: 200 for every success, \
                   400 for every failure",
            default: Fallback::Value("false"),
        }
        Host = "HOST" {
            flag: Some(("host", "HOST")),
            dotenv: false,
            help: "The address or name to listen on; beyond this machine only with authentication",
            default: Fallback::Value("127.0.0.1"),
        }
        Port = "PORT" {
            flag: Some(("port", "PORT")),
            dotenv: false,
            help: "The port to listen on; 0 for any free one, which is logged",
            default: Fallback::Value("8081"),
        }
        AuthToken = "MCP_AUTH_TOKEN" {
            flag: None,
            dotenv: false,
            help: "The one token that may do everything for everybody, 16 characters at least, \
                   sent as `Authorization: Bearer <token>`; `zep-mcp-server token new` makes one. \
                   It has no flag, since other users of this machine can read command lines",
            default: Fallback::Described("none"),
        }
        AuthTokensFile = "MCP_AUTH_TOKENS_FILE" {
            flag: Some(("auth-tokens-file", "FILE")),
            dotenv: false,
            help: "The file of tokens, each for some users and a role, made by `token new`",
            default: Fallback::Described("none"),
        }
        OauthIssuer = "MCP_OAUTH_ISSUER" {
            flag: Some(("oauth-issuer", "URL")),
            dotenv: false,
            help: "The OAuth issuer of signed tokens (JWT), exactly as in their `iss`. Their \
                   scope (memory:read, memory:write, memory:operate) or `role` says what they \
                   allow, `sub` for which user, `zep_users` ([\"id\", …] or \"*\") for which \
                   others, `zep_agents` for which agents",
            default: Fallback::Described("none"),
        }
        OauthAudience = "MCP_OAUTH_AUDIENCE" {
            flag: Some(("oauth-audience", "AUDIENCE")),
            dotenv: false,
            help: "The audience of signed tokens for this server (`aud`); needed with an issuer",
            default: Fallback::Described("none"),
        }
        OauthResource = "MCP_OAUTH_RESOURCE" {
            flag: Some(("oauth-resource", "URL")),
            dotenv: false,
            help: "The address by which clients know this server",
            default: Fallback::Described("the audience, if that is an address"),
        }
        OauthJwksUrl = "MCP_OAUTH_JWKS_URL" {
            flag: Some(("oauth-jwks-url", "URL")),
            dotenv: false,
            help: "The address of the issuer's keys",
            default: Fallback::Described("the address in the issuer's metadata"),
        }
        OauthUserClaim = "MCP_OAUTH_USER_CLAIM" {
            flag: Some(("oauth-user-claim", "CLAIM")),
            dotenv: false,
            help: "The claim of signed tokens that names the user they act for",
            default: Fallback::Value("sub"),
        }
        AllowedHosts = "ZEP_MCP_ALLOWED_HOSTS" {
            flag: Some(("allowed-hosts", "NAMES")),
            dotenv: false,
            help: "Names under which this server is reached, separated by commas, beside \
                   localhost, its host and addresses: calls to other names are refused",
            default: Fallback::Described("none"),
        }
        AllowedOrigins = "ZEP_MCP_ALLOWED_ORIGINS" {
            flag: Some(("allowed-origins", "ORIGINS")),
            dotenv: false,
            help: "Origins whose web pages may call this server, separated by commas, for \
                   instance https://app.example.com",
            default: Fallback::Described("none"),
        }
        TlsCert = "ZEP_MCP_TLS_CERT" {
            flag: Some(("tls-cert", "FILE")),
            dotenv: false,
            help: "The certificate and its chain, in PEM: with --tls-key, https instead of http",
            default: Fallback::Described("none"),
        }
        TlsKey = "ZEP_MCP_TLS_KEY" {
            flag: Some(("tls-key", "FILE")),
            dotenv: false,
            help: "The certificate's private key, in PEM",
            default: Fallback::Described("none"),
        }
        MaxConnections = "ZEP_MCP_MAX_CONNECTIONS" {
            flag: Some(("max-connections", "COUNT")),
            dotenv: false,
            help: "How many connections may be open at once; fewer where the system allows fewer \
                   files",
            default: Fallback::Value("4096"),
        }
        MaxSessions = "ZEP_MCP_MAX_SESSIONS" {
            flag: Some(("max-sessions", "COUNT")),
            dotenv: false,
            help: "How many sessions may be open at once; one more replaces an unused one of the \
                   token that has the most",
            default: Fallback::Value("2048"),
        }
        MaxCalls = "ZEP_MCP_MAX_CALLS" {
            flag: Some(("max-calls", "COUNT")),
            dotenv: false,
            help: "How many calls may be in flight at once",
            default: Fallback::Value("2048"),
        }
        MaxCallsPerMinute = "ZEP_MCP_MAX_CALLS_PER_MINUTE" {
            flag: Some(("max-calls-per-minute", "COUNT")),
            dotenv: false,
            help: "How many requests may arrive in a minute",
            default: Fallback::Described("60000, or any number where only one token can exist"),
        }
        MaxUnreadMb = "ZEP_MCP_MAX_UNREAD_MB" {
            flag: Some(("max-unread-mb", "MEGABYTES")),
            dotenv: false,
            help: "How much memory answers may take that are not read yet, in megabytes",
            default: Fallback::Value("256"),
        }
        TokenShare = "ZEP_MCP_TOKEN_SHARE" {
            flag: Some(("token-share", "PERCENT")),
            dotenv: false,
            help: "How much of each of these bounds one token may take, in percent; connections \
                   without a token count by their address",
            default: Fallback::Described("50, or 100 where only one token can exist"),
        }
        GraceSecs = "ZEP_MCP_GRACE_SECS" {
            flag: Some(("grace", "SECONDS")),
            dotenv: false,
            help: "How long calls in flight may continue after SIGTERM or Ctrl-C, in seconds",
            default: Fallback::Value("10"),
        }
    }
}

impl Setting {
    /// Its name in the environment and in `.env`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its flag, dashes included. Secrets have none: other users of the machine can read command
    /// lines.
    pub fn flag(self) -> Option<String> {
        self.row().flag.map(|(flag, _)| format!("--{flag}"))
    }

    /// Its flag without dashes, and the name of its value in the help.
    pub(super) fn flag_and_value(self) -> Option<(&'static str, &'static str)> {
        self.row().flag
    }

    /// What it means, with its name, and what holds where it is not set.
    pub(super) fn described(self) -> String {
        let Row { name, help, .. } = self.row();
        let not_from_dotenv = match Self::GENERAL.contains(&self) && !self.counts_in_dotenv() {
            true => ", not from .env",
            false => "",
        };
        let (Fallback::Value(default) | Fallback::Described(default)) = self.row().default;
        format!("{help} [{name}{not_from_dotenv}; default: {default}]")
    }

    /// Whether `.env` may set it.
    pub(super) fn counts_in_dotenv(self) -> bool {
        self.row().dotenv
    }

    /// What holds where it is not set.
    pub(super) fn default(self) -> Fallback {
        self.row().default
    }

    /// The setting of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.name() == name)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
