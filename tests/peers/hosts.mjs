// The hosts' own programs load what `install` writes: an entry of a remote server with everything
// that only such a server has becomes one that the host reads, starts and lists. Offline, without an
// account: the memories stay in a file.

import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { check } from "./peer.mjs";

const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;
const MODULES = join(process.env.PEER_PACKAGES, "node_modules");
const URL = "https://mcp.mem0.ai/mcp";

/** The package of opencode's binary for this machine. */
function opencode() {
  const named = readdirSync(MODULES).filter((name) => name.startsWith("opencode-"));
  return named.find((name) => name !== "opencode-ai");
}

/** Each host: its file, the members that only a remote server has, its program, what it answers. */
const HOSTS = [
  {
    name: "codex",
    at: ".codex/config.toml",
    before: `[mcp_servers.mem0]
url = "${URL}"
bearer_token_env_var = "MEM0_API_KEY"
oauth_resource = "${URL}"
auth = "oauth"
scopes = ["memory"]
startup_timeout_sec = 15

[mcp_servers.mem0.http_headers]
Authorization = "Token m0-x"

[mcp_servers.mem0.env_http_headers]
X-Key = "MEM0_API_KEY"

[mcp_servers.mem0.oauth]
client_id = "x"

[mcp_servers.mem0.tools.add_memory]
approval_mode = "approve"
`,
    // Each alone keeps Codex from starting.
    leftovers: [
      `oauth_resource = "${URL}"`,
      `http_headers_helper = "/opt/headers"`,
      `bearer_token_env_var = "MEM0_API_KEY"`,
      `http_headers = { a = "b" }`,
      `env_http_headers = { a = "b" }`,
      `oauth = { client_id = "x" }`,
      `auth = "oauth"`,
    ],
    list: ["@openai/codex/bin/codex.js", "mcp", "list", "--json"],
    listed(output) {
      const [server, ...others] = JSON.parse(output);
      deepStrictEqual(others, []);
      strictEqual(server.name, "mem0");
      strictEqual(server.transport.type, "stdio");
      strictEqual(server.transport.command, BINARY);
      deepStrictEqual(server.transport.env, { MEMORY_BACKEND: "local" });
    },
  },
  {
    name: "claude-code",
    at: ".claude.json",
    before: JSON.stringify({
      mcpServers: {
        mem0: {
          type: "http",
          url: URL,
          headers: { Authorization: "Token m0-x" },
          headersHelper: "/opt/headers",
          oauth: { clientId: "x", callbackPort: 8080 },
          timeout: 60000,
        },
      },
    }),
    list: ["@anthropic-ai/claude-code/cli-wrapper.cjs", "mcp", "list"],
    listed(output) {
      match(output, /^mem0: .*zep-mcp-server.* - . Connected$/m);
    },
  },
  {
    name: "opencode",
    at: ".config/opencode/opencode.json",
    before: JSON.stringify({
      mcp: {
        mem0: {
          type: "remote",
          url: URL,
          headers: { Authorization: "Token m0-x" },
          oauth: { clientId: "x" },
          timeout: 20000,
        },
      },
    }),
    // Its package replaces a placeholder by this binary in a script, which is not run.
    list: [`${opencode()}/bin/opencode`, "mcp", "list"],
    listed(output) {
      match(output, /mem0 .*connected/);
      ok(output.includes(BINARY), output);
    },
  },
  {
    name: "gemini-cli",
    at: ".gemini/settings.json",
    before: JSON.stringify({
      mcpServers: {
        mem0: {
          httpUrl: URL,
          type: "http",
          headers: { Authorization: "Token m0-x" },
          authProviderType: "google_credentials",
          oauth: { enabled: true, scopes: ["memory"] },
          timeout: 20000,
          trust: false,
        },
      },
    }),
    list: ["@google/gemini-cli/bundle/gemini.js", "mcp", "list"],
    listed(output) {
      match(output, /mem0: .*zep-mcp-server.*\(stdio\) - Connected/);
    },
  },
];

/** Runs a program in a home; answers its code and what it said. */
function run(home, file, ...words) {
  const env = {
    HOME: home,
    PATH: process.env.PATH,
    // No look at the network for a newer version, for models or with statistics.
    DISABLE_AUTOUPDATER: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    GEMINI_CLI_TRUST_WORKSPACE: "true",
    NO_COLOR: "1",
  };
  const options = { cwd: join(home, "work"), env, timeout: 300_000, maxBuffer: 1 << 24 };
  return new Promise((resolve) => {
    const child = execFile(file, words, options, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr });
    });
    child.stdin.end();
  });
}

/** Runs the host's own program. */
function list(home, host) {
  const [program, ...words] = host.list;
  const path = join(MODULES, program);
  const isScript = /\.c?js$/.test(path);
  return isScript ? run(home, process.execPath, path, ...words) : run(home, path, ...words);
}

async function loads(host) {
  const home = mkdtempSync(join(tmpdir(), "host-"));
  const file = join(home, host.at);
  try {
    mkdirSync(join(home, "work"));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, host.before);
    const install = (...words) => run(home, BINARY, "install", "--yes", "--host", host.name, ...words);
    await check(`${host.name} loads the entry, and lists the server`, async () => {
      const installed = await install("--local");
      strictEqual(installed.code, 0, installed.stderr);
      const { code, stdout, stderr } = await list(home, host);
      strictEqual(code, 0, stdout + stderr);
      host.listed(stdout + (host.name === "codex" ? "" : stderr));
    });
    if (host.leftovers) {
      await check(`${host.name} would not load any of what goes`, async () => {
        const after = readFileSync(file, "utf8");
        for (const line of host.leftovers) {
          writeFileSync(file, after.replace("[mcp_servers.mem0]\n", `[mcp_servers.mem0]\n${line}\n`));
          const { code, stderr } = await list(home, host);
          ok(code !== 0, `${line}: ${stderr}`);
        }
        writeFileSync(file, after);
      });
    }
    await check(`${host.name}: the undo brings all of it back`, async () => {
      // The program may have written to its file; then a restore must be forced.
      const restored = await install("--restore", "--force");
      strictEqual(restored.code, 0, restored.stderr);
      strictEqual(readFileSync(file, "utf8"), host.before);
    });
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

await Promise.all(HOSTS.map(loads));
