//! The settings by name, and where a value can come from.

use std::fmt;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setting {
    /// `MEMORY_BACKEND`
    Backend,
    /// `ZEP_API_KEY`
    ApiKey,
    /// `ZEP_API_URL`
    ApiUrl,
    /// `ZEP_TIMEOUT_SECS`
    TimeoutSecs,
    /// `ZEP_DEFAULT_USER_ID`
    DefaultUserId,
    /// `MEM0_DEFAULT_USER_ID`
    Mem0DefaultUserId,
    /// `ZEP_MCP_DATA_DIR`
    DataDir,
    /// `ZEP_MCP_IMPORT_DIR`
    ImportDir,
    /// `ZEP_MCP_TOOLS`
    Tools,
    /// `ZEP_MCP_CONFIRM`
    Confirm,
    /// `MCP_AUTH_TOKEN`
    AuthToken,
    /// `MCP_AUTH_TOKENS_FILE`
    AuthTokensFile,
    /// `MCP_OAUTH_ISSUER`
    OauthIssuer,
    /// `MCP_OAUTH_AUDIENCE`
    OauthAudience,
    /// `MCP_OAUTH_RESOURCE`
    OauthResource,
    /// `MCP_OAUTH_JWKS_URL`
    OauthJwksUrl,
    /// `MCP_OAUTH_USER_CLAIM`
    OauthUserClaim,
    /// `LOG_LEVEL`
    LogLevel,
    /// `LOG_FORMAT`
    LogFormat,
    /// `HOST`, as in mem0-mcp-server
    Host,
    /// `PORT`, as in mem0-mcp-server
    Port,
    /// `ZEP_MCP_ALLOWED_HOSTS`
    AllowedHosts,
    /// `ZEP_MCP_ALLOWED_ORIGINS`
    AllowedOrigins,
    /// `ZEP_MCP_TLS_CERT`
    TlsCert,
    /// `ZEP_MCP_TLS_KEY`
    TlsKey,
    /// `ZEP_MCP_MAX_SESSIONS`
    MaxSessions,
    /// `ZEP_MCP_GRACE_SECS`
    GraceSecs,
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::Backend,
        Self::ApiKey,
        Self::ApiUrl,
        Self::TimeoutSecs,
        Self::DefaultUserId,
        Self::Mem0DefaultUserId,
        Self::DataDir,
        Self::ImportDir,
        Self::Tools,
        Self::Confirm,
        Self::LogLevel,
        Self::LogFormat,
        Self::Host,
        Self::Port,
        Self::AuthToken,
        Self::AuthTokensFile,
        Self::OauthIssuer,
        Self::OauthAudience,
        Self::OauthResource,
        Self::OauthJwksUrl,
        Self::OauthUserClaim,
        Self::AllowedHosts,
        Self::AllowedOrigins,
        Self::TlsCert,
        Self::TlsKey,
        Self::MaxSessions,
        Self::GraceSecs,
    ];

    /// Those that only `serve --http` reads.
    pub const HTTP: [Self; 15] = [
        Self::Host,
        Self::Port,
        Self::AuthToken,
        Self::AuthTokensFile,
        Self::OauthIssuer,
        Self::OauthAudience,
        Self::OauthResource,
        Self::OauthJwksUrl,
        Self::OauthUserClaim,
        Self::AllowedHosts,
        Self::AllowedOrigins,
        Self::TlsCert,
        Self::TlsKey,
        Self::MaxSessions,
        Self::GraceSecs,
    ];

    /// Its name in the environment and in `.env`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backend => "MEMORY_BACKEND",
            Self::ApiKey => "ZEP_API_KEY",
            Self::ApiUrl => "ZEP_API_URL",
            Self::TimeoutSecs => "ZEP_TIMEOUT_SECS",
            Self::DefaultUserId => "ZEP_DEFAULT_USER_ID",
            Self::Mem0DefaultUserId => "MEM0_DEFAULT_USER_ID",
            Self::DataDir => "ZEP_MCP_DATA_DIR",
            Self::ImportDir => "ZEP_MCP_IMPORT_DIR",
            Self::Tools => "ZEP_MCP_TOOLS",
            Self::Confirm => "ZEP_MCP_CONFIRM",
            Self::AuthToken => "MCP_AUTH_TOKEN",
            Self::AuthTokensFile => "MCP_AUTH_TOKENS_FILE",
            Self::OauthIssuer => "MCP_OAUTH_ISSUER",
            Self::OauthAudience => "MCP_OAUTH_AUDIENCE",
            Self::OauthResource => "MCP_OAUTH_RESOURCE",
            Self::OauthJwksUrl => "MCP_OAUTH_JWKS_URL",
            Self::OauthUserClaim => "MCP_OAUTH_USER_CLAIM",
            Self::LogLevel => "LOG_LEVEL",
            Self::LogFormat => "LOG_FORMAT",
            Self::Host => "HOST",
            Self::Port => "PORT",
            Self::AllowedHosts => "ZEP_MCP_ALLOWED_HOSTS",
            Self::AllowedOrigins => "ZEP_MCP_ALLOWED_ORIGINS",
            Self::TlsCert => "ZEP_MCP_TLS_CERT",
            Self::TlsKey => "ZEP_MCP_TLS_KEY",
            Self::MaxSessions => "ZEP_MCP_MAX_SESSIONS",
            Self::GraceSecs => "ZEP_MCP_GRACE_SECS",
        }
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

/// Where a value comes from, first come first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment of the process.
    Environment,
    /// The file `.env` in the working directory.
    DotEnv,
    /// Nobody set it.
    Default,
}

impl Origin {
    /// The origin in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::DotEnv => ".env",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
