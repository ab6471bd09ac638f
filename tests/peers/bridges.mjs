// Programs that stand between a host and a server: mcp-remote makes a server on a network one over
// stdio, supergateway the reverse. Every tool is listed and one is called through each.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { sep } from "node:path";
import { embedded, inTime, listening, pause } from "./network.mjs";
import { check } from "./peer.mjs";

const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;
const TOOLS = 17;

/** The script of a package's program. */
function program(name) {
  const packages = createRequire(process.env.PEER_PACKAGES + sep);
  const file = join(process.env.PEER_PACKAGES, "node_modules", name, "package.json");
  const { bin } = packages(file);
  return join(dirname(file), typeof bin === "string" ? bin : bin[name]);
}

const request = (id, method, params) => ({ jsonrpc: "2.0", id, method, params });
const hello = () =>
  request(1, "initialize", {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "bridges", version: "1" },
  });
const add = () => request(3, "tools/call", { name: "add_memory", arguments: { text: "Ada sings" } });

function isGood(listed, added) {
  if (listed.result.tools.length !== TOOLS) throw new Error(`${listed.result.tools.length} tools`);
  const answer = JSON.parse(added.result.content[0].text);
  if (answer.results[0].memory !== "Ada sings") throw new Error(added.result.content[0].text);
}

/** Lists and calls over the stdio of mcp-remote. */
async function overStdio(url, flags) {
  const home = mkdtempSync(join(tmpdir(), "bridges-"));
  const child = spawn(process.execPath, [program("mcp-remote"), `${url}/mcp`, ...flags], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, HOME: home, MCP_REMOTE_CONFIG_DIR: home },
  });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  const waiting = new Map();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line);
    waiting.get(message.id)?.(message);
  });
  const ask = (message) => {
    const answer = new Promise((resolve) => waiting.set(message.id, resolve));
    child.stdin.write(`${JSON.stringify(message)}\n`);
    return answer;
  };
  try {
    const ended = once(child, "exit").then(() => Promise.reject(new Error(said.slice(-500))));
    const asked = (async () => {
      await ask(hello());
      child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
      isGood(await ask(request(2, "tools/list", {})), await ask(add()));
    })();
    await inTime(Promise.race([asked, ended]), `mcp-remote: ${said.slice(-300)}`);
  } finally {
    child.kill();
    rmSync(home, { recursive: true, force: true });
  }
}

/** Lists and calls over the HTTP of supergateway. */
async function overHttp(settings) {
  const reserved = createServer().listen(0, "127.0.0.1");
  await once(reserved, "listening");
  const { port } = reserved.address();
  await new Promise((resolve) => reserved.close(resolve));
  const flags = ["--stdio", BINARY, "--outputTransport", "streamableHttp", "--port", `${port}`];
  const child = spawn(process.execPath, [program("supergateway"), ...flags, "--stateful"], {
    stdio: ["ignore", "ignore", "ignore"],
    env: { ...process.env, ...settings },
  });
  const headers = {
    "Content-Type": "application/json",
    Accept: "application/json, text/event-stream",
  };
  const ask = async (message) => {
    const answer = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: "POST",
      headers,
      body: JSON.stringify(message),
    });
    headers["Mcp-Session-Id"] ??= answer.headers.get("mcp-session-id");
    const text = await answer.text();
    const data = text.split("\n").find((line) => line.startsWith("data: "));
    return text ? JSON.parse(data ? data.slice(6) : text) : null;
  };
  try {
    let up = false;
    for (const end = Date.now() + 60_000; !up && Date.now() < end; await pause(50)) {
      up = await ask(hello()).then(Boolean, () => false);
    }
    await ask({ jsonrpc: "2.0", method: "notifications/initialized" });
    isGood(await ask(request(2, "tools/list", {})), await ask(add()));
  } finally {
    child.kill();
  }
}

await embedded(async (settings) => {
  await listening(settings, async ({ url }) => {
    for (const flags of [[], ["--transport", "sse-first"], ["--transport", "http-only"]]) {
      const how = flags.join(" ") || "by itself";
      await check(`mcp-remote ${how}: every tool is listed, and one called`, () =>
        overStdio(url, flags),
      );
    }
    await check("GET /mcp without a session answers 405", async () => {
      const answer = await fetch(`${url}/mcp`, { headers: { Accept: "text/event-stream" } });
      if (answer.status !== 405) throw new Error(`${answer.status}`);
    });
  });
});
await embedded((settings) =>
  check("supergateway: every tool is listed, and one called", () => inTime(overHttp(settings), "it")),
);
process.exit();
