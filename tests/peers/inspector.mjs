// MCP's own inspector, on its command line, lists the tools and calls them: of a server that it
// starts, and at both doors of one on a network.

import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

import { directory, embedded, listening, token } from "./network.mjs";
import { check } from "./peer.mjs";

const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;
const NAMES = ["add_memory", "search_memory", "get_session", "list_sessions"];
const text = "Ingrid plays the bassoon in a ship's orchestra.";

/** What the inspector says of one request to a server that is found in this way. */
async function inspect(server, ...request) {
  const command = ["--no-install", "@modelcontextprotocol/inspector", "--cli"];
  const { stdout } = await promisify(execFile)("npx", [...command, ...server, ...request], {
    cwd: process.env.PEER_PACKAGES,
  });
  return JSON.parse(stdout);
}

async function call(server, tool, ...pairs) {
  const given = pairs.flatMap((pair) => ["--tool-arg", pair]);
  const result = await inspect(server, "--method", "tools/call", "--tool-name", tool, ...given);
  ok(!result.isError, JSON.stringify(result));
  deepStrictEqual(JSON.parse(result.content[0].text), result.structuredContent);
  return result.structuredContent;
}

async function inspects(server, place) {
  await check(`${place}: the inspector lists the tools, with what they take`, async () => {
    const { tools } = await inspect(server, "--method", "tools/list");
    const names = tools.map(({ name }) => name);
    for (const name of NAMES) ok(names.includes(name), names.join(", "));
    ok(tools.every(({ description, inputSchema }) => description && inputSchema.type === "object"));
  });
  await check(`${place}: the inspector calls add_memory and search_memory`, async () => {
    const { results: added } = await call(server, "add_memory", `text=${text}`, "user_id=ada");
    strictEqual(added[0].memory, text);
    const { results } = await call(server, "search_memory", "query=bassoon", "user_id=ada");
    deepStrictEqual(results.map(({ memory }) => memory), [text]);
  });
}

await embedded((settings) => {
  const pairs = Object.entries({ ...settings, LOG_LEVEL: "warn" });
  return inspects([...pairs.flatMap(([name, value]) => ["-e", `${name}=${value}`]), BINARY], "stdio");
});

await directory(async (made) => {
  const file = join(made, "tokens.jsonl");
  const secret = token(file, "inspector", "--role", "writer", "--user", "ada");
  for (const [door, transport] of [["mcp", "http"], ["sse", "sse"]]) {
    await embedded((settings) =>
      listening({ ...settings, MCP_AUTH_TOKENS_FILE: file }, ({ url }) => {
        const header = ["--header", `Authorization: Bearer ${secret}`];
        return inspects([`${url}/${door}`, "--transport", transport, ...header], `/${door}`);
      }),
    );
  }
});
