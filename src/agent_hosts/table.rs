//! What distinguishes one host from another: one entry a host. A new host is a variant of [`Host`]
//! and an entry here.
//!
//! Sources, read in November 2026:
//! - Claude Desktop: modelcontextprotocol.io, "Connect to local MCP servers" (macOS, Windows). On
//!   Linux and in the Windows Store edition it is Electron's directory of the application.
//! - Claude Code: code.claude.com/docs/en/mcp ("MCP installation scopes", "Environment variable
//!   expansion in `.mcp.json`"; user scope does not expand: anthropics/claude-code#43693) and
//!   `CLAUDE_CONFIG_DIR` of code.claude.com/docs/en/env-vars.
//! - Cursor: cursor.com/docs/mcp ("Configuration locations", "Config interpolation").
//! - Windsurf: docs.windsurf.com/windsurf/cascade/mcp ("mcp_config.json", "Config Interpolation").
//! - VS Code: code.visualstudio.com/docs/copilot/reference/mcp-configuration ("Configuration
//!   structure", "Input variables for sensitive data"). Until 1.102 servers were in `settings.json`.
//! - Codex: developers.openai.com/codex/mcp and openai/codex `docs/config.md` (`CODEX_HOME`,
//!   `env_vars`; a project's `.codex/config.toml` is read if the project is trusted).
//! - Gemini CLI: google-gemini/gemini-cli `docs/tools/mcp-server.md`.
//! - Antigravity: antigravity.google/docs/mcp; since 2.0 the editor and the command line share
//!   `~/.gemini/config/mcp_config.json`. Variables are not expanded
//!   (google-antigravity/antigravity-cli#233).
//! - opencode: opencode.ai/docs/mcp-servers (1.x: `mcp`), opencode.ai/v2/docs/mcp-servers (2.x:
//!   `mcp.servers`), opencode.ai/docs/config ("Locations", "Env vars").
//! - Zed: zed.dev/docs/ai/mcp, zed.dev/docs/configuring-zed ("Settings files"); no reference is
//!   documented.
//! - Cline: docs.cline.bot/mcp/mcp-overview; the place and the expansion of `${env:…}` in the
//!   extension: cline/cline `sdk/packages/shared/src/storage/paths.ts`,
//!   `apps/vscode/src/utils/envExpansion.ts`. Its command line documents no reference.
//! - Roo Code: docs.roocode.com/features/mcp/using-mcp-in-roo; RooCodeInc/Roo-Code
//!   `src/utils/config.ts`.
//! - Kiro: kiro.dev/docs/mcp/configuration ("Configuration locations", "Environment variables").
//! - LM Studio: lmstudio.ai/docs/app/mcp; no reference is documented.
//! - Goose: block.github.io/goose/docs/guides/config-files; `env_keys` are read from the
//!   environment, then from the keyring: block/goose `crates/goose/src/agents/extension.rs`.
//! - Junie: junie.jetbrains.com/docs/junie-cli-mcp-configuration, jetbrains.com/help/junie; no
//!   reference is documented. JetBrains AI Assistant documents its settings page only, no file.
//! - Amp: ampcode.com/manual ("MCP", "Configuration").
//! - Hermes: hermes-agent.nousresearch.com/docs/reference/mcp-config-reference; `HERMES_HOME`.

use super::Host;
use super::convention::{Base, Dialect, Entry, Place, Plugins, Reference, STANDARD};
use super::document::{Section, Syntax};

const OPENCODE: Dialect = Dialect {
    args: None,
    env: "environment",
    stdio: "local",
    required: &[("type", "\"local\"")],
    ..STANDARD
};
const ZED: Dialect = Dialect {
    needs_args: true,
    ..STANDARD
};
const GOOSE: Dialect = Dialect {
    program: "cmd",
    needs_args: true,
    env: "envs",
    required: &[
        ("name", "\"NAME\""),
        ("type", "\"stdio\""),
        ("enabled", "true"),
        ("timeout", "300"),
    ],
    ..STANDARD
};

const MCP_SERVERS: &[Section] = &[&["mcpServers"]];

/// A file in the home directory with `mcpServers` in JSON.
const USER: Place = Place {
    base: Base::Home,
    path: "",
    on_windows: None,
    sections: MCP_SERVERS,
    syntax: Syntax::Json,
    reference: None,
};
const PROJECT: Place = Place {
    base: Base::Project,
    ..USER
};

const PLAIN: Option<Reference> = Some(Reference::Interpolated("${", "}"));
const ENV: Option<Reference> = Some(Reference::Interpolated("${env:", "}"));
const CLAUDE: Base = Base::Variable("CLAUDE_CONFIG_DIR", "");
const CODEX: Base = Base::Variable("CODEX_HOME", ".codex");
const CODEX_FILE: Place = Place {
    base: CODEX,
    path: "config.toml",
    sections: &[&["mcp_servers"]],
    syntax: Syntax::Toml,
    reference: Some(Reference::Forwarded("env_vars")),
    ..USER
};
const VSCODE_FILE: Place = Place {
    base: Base::VsCode,
    path: "mcp.json",
    sections: &[&["servers"]],
    reference: Some(Reference::Prompted),
    ..USER
};
const OPENCODE_FILE: Place = Place {
    base: Base::Xdg,
    path: "opencode/opencode.json",
    sections: &[&["mcp"], &["mcp", "servers"]],
    reference: Some(Reference::Interpolated("{env:", "}")),
    ..USER
};
const ZED_FILE: Place = Place {
    base: Base::WindowsOrXdg,
    path: "zed/settings.json",
    on_windows: Some("Zed/settings.json"),
    sections: &[&["context_servers"]],
    ..USER
};
const AMP_FILE: Place = Place {
    base: Base::Xdg,
    path: "amp/settings.json",
    sections: &[&["amp.mcpServers"]],
    reference: PLAIN,
    ..USER
};

/// All hosts, in the order of [`Host`].
#[rustfmt::skip]
pub(super) static HOSTS: [Entry; 18] = [
    Entry {
        host: Host::ClaudeDesktop,
        name: "Claude Desktop",
        dialect: &STANDARD,
        places: &[
            Place { base: Base::Settings, path: "Claude/claude_desktop_config.json", ..USER },
            Place { base: Base::ClaudeStore, path: "claude_desktop_config.json", ..USER },
        ],
        sign: None,
        plugins: &[],
        restart: "quit it completely, including its tray icon, and start it again",
    },
    Entry {
        host: Host::ClaudeCode,
        name: "Claude Code",
        dialect: &STANDARD,
        places: &[
            Place {
                base: CLAUDE,
                path: ".claude.json",
                sections: &[&["mcpServers"], &["projects", "*", "mcpServers"]],
                ..USER
            },
            Place { path: ".mcp.json", reference: PLAIN, ..PROJECT },
        ],
        sign: Some((Base::Variable("CLAUDE_CONFIG_DIR", ".claude"), "")),
        plugins: &[
            Plugins {
                base: Base::Variable("CLAUDE_CONFIG_DIR", ".claude"),
                path: "settings.json",
                syntax: Syntax::Json,
                member: "enabledPlugins",
                remove: "claude plugin uninstall",
            },
            Plugins {
                base: Base::Project,
                path: ".claude/settings.json",
                syntax: Syntax::Json,
                member: "enabledPlugins",
                remove: "claude plugin uninstall --scope project",
            },
        ],
        restart: "end its sessions and start a new one; `/mcp` shows the server. A running session \
                  may overwrite this change: then run `install` again",
    },
    Entry {
        host: Host::Cursor,
        name: "Cursor",
        dialect: &STANDARD,
        places: &[
            Place { path: ".cursor/mcp.json", reference: ENV, ..USER },
            Place { path: ".cursor/mcp.json", reference: ENV, ..PROJECT },
        ],
        sign: None,
        plugins: &[],
        restart: "restart it, or turn the server off and on in its MCP settings",
    },
    Entry {
        host: Host::Windsurf,
        name: "Windsurf",
        dialect: &STANDARD,
        places: &[Place { path: ".codeium/windsurf/mcp_config.json", reference: ENV, ..USER }],
        sign: None,
        plugins: &[],
        restart: "press refresh in Cascade's MCP panel, or restart it",
    },
    Entry {
        host: Host::VsCode,
        name: "VS Code",
        dialect: &STANDARD,
        places: &[
            VSCODE_FILE,
            Place { path: "settings.json", sections: &[&["mcp", "servers"]], ..VSCODE_FILE },
            Place { base: Base::VsCodeProfiles, ..VSCODE_FILE },
            Place { base: Base::Project, path: ".vscode/mcp.json", ..VSCODE_FILE },
        ],
        sign: None,
        plugins: &[],
        restart: "run `MCP: List Servers` from the command palette and restart the server",
    },
    Entry {
        host: Host::Codex,
        name: "Codex",
        dialect: &STANDARD,
        places: &[
            CODEX_FILE,
            Place { base: Base::Project, path: ".codex/config.toml", ..CODEX_FILE },
        ],
        sign: None,
        plugins: &[Plugins {
            base: CODEX,
            path: "config.toml",
            syntax: Syntax::Toml,
            member: "plugins",
            remove: "codex plugin remove",
        }],
        restart: "start a new session; `/mcp` shows the server",
    },
    Entry {
        host: Host::Gemini,
        name: "Gemini CLI",
        dialect: &STANDARD,
        places: &[
            Place { path: ".gemini/settings.json", reference: PLAIN, ..USER },
            Place { path: ".gemini/settings.json", reference: PLAIN, ..PROJECT },
        ],
        sign: None,
        plugins: &[],
        restart: "restart it; `/mcp` shows the server",
    },
    Entry {
        host: Host::Antigravity,
        name: "Antigravity",
        dialect: &STANDARD,
        places: &[
            Place { path: ".gemini/antigravity/mcp_config.json", ..USER },
            Place { path: ".gemini/config/mcp_config.json", ..USER },
            Place { path: ".agents/mcp_config.json", ..PROJECT },
        ],
        sign: None,
        plugins: &[],
        restart: "press refresh under \"Manage MCP Servers\", or restart it",
    },
    Entry {
        host: Host::OpenCode,
        name: "opencode",
        dialect: &OPENCODE,
        places: &[
            OPENCODE_FILE,
            Place { path: "opencode/opencode.jsonc", ..OPENCODE_FILE },
            Place { base: Base::Project, path: "opencode.json", ..OPENCODE_FILE },
            Place { base: Base::Project, path: "opencode.jsonc", ..OPENCODE_FILE },
            Place { base: Base::Project, path: ".opencode/opencode.json", ..OPENCODE_FILE },
        ],
        sign: None,
        plugins: &[],
        restart: "restart it; `opencode mcp list` shows the server",
    },
    Entry {
        host: Host::Zed,
        name: "Zed",
        dialect: &ZED,
        places: &[
            ZED_FILE,
            Place { base: Base::Project, path: ".zed/settings.json", on_windows: None, ..ZED_FILE },
        ],
        sign: None,
        plugins: &[],
        restart: "it starts the server again by itself; the Agent Panel's settings show it",
    },
    Entry {
        host: Host::Cline,
        name: "Cline",
        dialect: &STANDARD,
        places: &[
            Place { path: ".cline/data/settings/cline_mcp_settings.json", ..USER },
            Place { path: ".cline/mcp.json", ..USER },
            Place {
                base: Base::Extension,
                path: "saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
                reference: ENV,
                ..USER
            },
        ],
        sign: Some((Base::Home, ".cline")),
        plugins: &[],
        restart: "it starts the server again by itself; its MCP Servers panel shows it",
    },
    Entry {
        host: Host::RooCode,
        name: "Roo Code",
        dialect: &STANDARD,
        places: &[
            Place {
                base: Base::Extension,
                path: "rooveterinaryinc.roo-cline/settings/mcp_settings.json",
                reference: ENV,
                ..USER
            },
            Place { path: ".roo/mcp.json", reference: ENV, ..PROJECT },
        ],
        sign: None,
        plugins: &[],
        restart: "it starts the server again by itself; its MCP settings show it",
    },
    Entry {
        host: Host::Kiro,
        name: "Kiro",
        dialect: &STANDARD,
        places: &[
            Place { path: ".kiro/settings/mcp.json", reference: PLAIN, ..USER },
            Place { path: ".kiro/settings/mcp.json", reference: PLAIN, ..PROJECT },
        ],
        sign: Some((Base::Home, ".kiro")),
        plugins: &[],
        restart: "it connects again by itself, and asks once before it expands a variable",
    },
    Entry {
        host: Host::LmStudio,
        name: "LM Studio",
        dialect: &STANDARD,
        places: &[Place { path: ".lmstudio/mcp.json", ..USER }],
        sign: None,
        plugins: &[],
        restart: "turn the server off and on under Program > Integrations, or restart it",
    },
    Entry {
        host: Host::Goose,
        name: "Goose",
        dialect: &GOOSE,
        places: &[Place {
            base: Base::WindowsOrXdg,
            path: "goose/config.yaml",
            on_windows: Some("Block/goose/config/config.yaml"),
            sections: &[&["extensions"]],
            syntax: Syntax::Yaml,
            reference: Some(Reference::Forwarded("env_keys")),
        }],
        sign: None,
        plugins: &[],
        restart: "start a new session; `goose info -v` shows the configuration",
    },
    Entry {
        host: Host::Junie,
        name: "Junie",
        dialect: &STANDARD,
        places: &[
            Place { path: ".junie/mcp/mcp.json", ..USER },
            Place { path: ".junie/mcp/mcp.json", ..PROJECT },
        ],
        sign: Some((Base::Home, ".junie")),
        plugins: &[],
        restart: "restart the IDE or the session; Settings > Tools > Junie > MCP shows the server",
    },
    Entry {
        host: Host::Amp,
        name: "Amp",
        dialect: &STANDARD,
        places: &[
            AMP_FILE,
            Place { path: "amp/settings.jsonc", ..AMP_FILE },
            Place { base: Base::Project, path: ".amp/settings.json", ..AMP_FILE },
        ],
        sign: None,
        plugins: &[],
        restart: "restart it; in a project, run `amp mcp approve NAME` first",
    },
    Entry {
        host: Host::Hermes,
        name: "Hermes",
        dialect: &STANDARD,
        places: &[Place {
            base: Base::Hermes,
            path: "config.yaml",
            sections: &[&["mcp_servers"]],
            syntax: Syntax::Yaml,
            reference: PLAIN,
            ..USER
        }],
        sign: None,
        plugins: &[],
        restart: "run `/reload-mcp`, or start a new session",
    },
];

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn each_host_has_its_entry() {
        let hosts: Vec<_> = HOSTS.iter().map(|it| it.host).collect();
        assert_eq!(hosts, Host::value_variants());
        for entry in &HOSTS {
            assert_ne!(entry.places[0].base, Base::Project, "{}", entry.name);
            for (_, value) in entry.dialect.required {
                assert!(serde_json::from_str::<serde_json::Value>(value).is_ok());
            }
        }
    }
}
