//! The settings on the command line.

use super::Setting;

/// The settings on the command line, as they were typed: what they may be is checked together with
/// those of the environment, so that everything wrong is said at once. The key has no flag: other
/// users of the machine can read command lines.
// These texts are also the help on a terminal, where `<…>` around an address would only be noise.
#[allow(rustdoc::bare_urls)]
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings (each flag wins over its environment variable)")]
pub struct Flags {
    /// Where memories are kept: `zep` (Zep Cloud) or `local` (one file on this machine)
    /// [MEMORY_BACKEND; without it: zep if ZEP_API_KEY is set, else local]
    #[arg(long, global = true, value_name = "BACKEND")]
    pub backend: Option<String>,

    /// Zep's address, without a path; https, or http to this machine only
    /// [ZEP_API_URL; default: https://api.getzep.com]
    #[arg(long, global = true, value_name = "URL")]
    pub api_url: Option<String>,

    /// How long one call to Zep may take, in seconds, from 1 to 600
    /// [ZEP_TIMEOUT_SECS; default: 30]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub timeout_secs: Option<String>,

    /// Whose memory it is where a call names nobody
    /// [ZEP_DEFAULT_USER_ID, else MEM0_DEFAULT_USER_ID; default: mem0-mcp]
    #[arg(long, global = true, value_name = "ID")]
    pub default_user_id: Option<String>,

    /// The directory of the local backend's file, `memory.db`
    /// [ZEP_MCP_DATA_DIR; default: zep-mcp-server in your data directory]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub data_dir: Option<String>,

    /// The only directory from which the tools migrate_user and validate_migration read export
    /// files [ZEP_MCP_IMPORT_DIR; default: none]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub import_dir: Option<String>,

    /// Which tools there are: `all`, `core` (add_memory, search_memory, get_session, migrate_user,
    /// validate_migration) or their names, separated by commas [ZEP_MCP_TOOLS; default: all]
    #[arg(long, global = true, value_name = "TOOLS")]
    pub tools: Option<String>,

    /// Whether to ask the person before all memories of somebody are deleted: `elicit` (where the
    /// host can ask) or `never` [ZEP_MCP_CONFIRM; default: elicit]
    #[arg(long, global = true, value_name = "HOW")]
    pub confirm: Option<String>,

    /// How much to log to stderr: `error`, `warn`, `info`, `debug` or `trace`
    /// [LOG_LEVEL; default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// How to log: `text` or `json`
    /// [LOG_FORMAT; default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Flags {
    /// What the command line says of a setting.
    pub(super) fn get(&self, setting: Setting) -> Option<&str> {
        match setting {
            Setting::Backend => self.backend.as_deref(),
            Setting::ApiUrl => self.api_url.as_deref(),
            Setting::TimeoutSecs => self.timeout_secs.as_deref(),
            Setting::DefaultUserId => self.default_user_id.as_deref(),
            Setting::DataDir => self.data_dir.as_deref(),
            Setting::ImportDir => self.import_dir.as_deref(),
            Setting::Tools => self.tools.as_deref(),
            Setting::Confirm => self.confirm.as_deref(),
            Setting::LogLevel => self.log_level.as_deref(),
            Setting::LogFormat => self.log_format.as_deref(),
            _ => None,
        }
    }
}
