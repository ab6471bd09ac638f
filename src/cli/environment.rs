//! What `--help` says about the environment.

/// Settings, exit codes, and the entry of an agent host.
pub(super) const ENVIRONMENT: &str = "\
Environment:
  A setting is taken from the command line, then from the environment, then from a file named .env
  in the working directory. The first value that is not empty counts. `doctor` shows the source.

  ZEP_API_KEY           Your Zep Cloud key, from https://app.getzep.com. It has no flag, because
                        other users of this machine can read command lines.
  MEMORY_BACKEND        zep | local. Default: zep if ZEP_API_KEY is set, else local. Every answer
                        to a write names its backend.
  ZEP_API_URL           Zep's address without a path. Default: https://api.getzep.com. https, or
                        http to this machine. From .env only together with ZEP_API_KEY.
  ZEP_TIMEOUT_SECS      Seconds for one call to Zep, 1 to 600. Default: 30.
  ZEP_DEFAULT_USER_ID   The user of calls that name no user.
  MEM0_DEFAULT_USER_ID  The same, if ZEP_DEFAULT_USER_ID is not set, so that a configuration for
                        mem0-mcp-server keeps working. Default: mem0-mcp.
  ZEP_MCP_DATA_DIR      Where the local backend keeps memory.db. Default: zep-mcp-server in your
                        data directory (Linux: ~/.local/share, macOS: ~/Library/Application
                        Support, Windows: %LOCALAPPDATA%).
  ZEP_MCP_IMPORT_DIR    The only directory from which the migrate_user and validate_migration tools
                        read export files. Unset: none. Not from .env.
  ZEP_MCP_TOOLS         all | core | tool names separated by commas: the tools to offer. Default:
                        all. core: the five native ones.
  ZEP_MCP_CONFIRM       elicit | never. Whether the user confirms the deletion of all memories
                        of a user or agent, if the host can ask. Default: elicit. Not from .env.
  LOG_LEVEL             error | warn | info | debug | trace. Default: info. Logs go to stderr. At
                        info and above they contain no memories.
  LOG_FORMAT            text | json. Default: text.

On a network (serve --http; none of these from .env):
  HOST                  The address or name to listen on. Default: 127.0.0.1, this machine only.
                        Any other needs authentication: a token, a file of tokens, or an issuer.
  PORT                  The port. Default: 8081.
  MCP_AUTH_TOKEN        One token with all rights for all users, at least 16 characters:
                        \"$(zep-mcp-server token new)\". Sent as `Authorization: Bearer <token>`.
                        It has no flag.
  MCP_AUTH_TOKENS_FILE  A file of tokens, each with a role and users: see `token new --help`.
  MCP_OAUTH_ISSUER      The issuer of signed tokens (JWT), as in their `iss`. Their scope
                        (memory:read, memory:write, memory:operate) or `role` grants rights, `sub`
                        names the user, `zep_users` ([\"id\", …] or \"*\") more users, `zep_agents`
                        agents.
  MCP_OAUTH_AUDIENCE    The audience of signed tokens, as in their `aud`. Needed with an issuer.
  MCP_OAUTH_RESOURCE    This server's address for its clients. Default: the audience.
  MCP_OAUTH_JWKS_URL    The address of the issuer's keys. Default: from its metadata.
  MCP_OAUTH_USER_CLAIM  The claim that names the user. Default: sub.
  ZEP_MCP_ALLOWED_HOSTS    Host names of the server, separated by commas.
  ZEP_MCP_ALLOWED_ORIGINS  Origins of web pages that may call it, separated by commas. Default: none.
  ZEP_MCP_TLS_CERT      The certificate chain in PEM, and
  ZEP_MCP_TLS_KEY       its key in PEM: https instead of http.
  ZEP_MCP_MAX_SESSIONS  The limit of open sessions. Default: 2048.
  ZEP_MCP_GRACE_SECS    Seconds that calls in flight have when the server stops. Default: 10.

  Calls to Zep honour HTTPS_PROXY and NO_PROXY, the output honours NO_COLOR.
  Values in .env are literal: `$` is not expanded.

Exit codes:
  0  success        1  something failed        2  the command line or a setting is wrong

In an agent host (`zep-mcp-server install` writes it for you):
  {\"mcpServers\": {\"mem0\": {\"command\": \"zep-mcp-server\", \"env\": {\"ZEP_API_KEY\": \"…\"}}}}
  Keep the name of the old entry, so that agents find the tools under the names they know.";
