// MCP's own inspector, on its command line, lists the tools and calls them.

import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { check } from "./peer.mjs";

const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;

const store = mkdtempSync(join(tmpdir(), "peer-"));
const settings = ["MEMORY_BACKEND=local", `ZEP_MCP_DATA_DIR=${store}`, "LOG_LEVEL=warn"];

/** What the inspector says of one request to a server that it starts. */
function inspect(...request) {
  const command = ["--no-install", "@modelcontextprotocol/inspector", "--cli"];
  for (const setting of settings) command.push("-e", setting);
  const told = execFileSync("npx", [...command, BINARY, ...request], {
    cwd: process.env.PEER_PACKAGES,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  return JSON.parse(told);
}

function call(tool, ...pairs) {
  const given = pairs.flatMap((pair) => ["--tool-arg", pair]);
  const result = inspect("--method", "tools/call", "--tool-name", tool, ...given);
  ok(!result.isError, JSON.stringify(result));
  deepStrictEqual(JSON.parse(result.content[0].text), result.structuredContent);
  return result.structuredContent;
}

const text = "Ingrid plays the bassoon in a ship's orchestra.";

await check("the inspector lists the tools, with what they take", () => {
  const { tools } = inspect("--method", "tools/list");
  const names = tools.map(({ name }) => name);
  for (const name of ["add_memory", "search_memory", "get_session", "list_sessions"]) {
    ok(names.includes(name), names.join(", "));
  }
  ok(tools.every(({ description, inputSchema }) => description && inputSchema.type === "object"));
});

await check("the inspector calls add_memory and search_memory", () => {
  strictEqual(call("add_memory", `text=${text}`, "user_id=ada").results[0].memory, text);
  const { results } = call("search_memory", "query=bassoon", "user_id=ada");
  deepStrictEqual(results.map(({ memory }) => memory), [text]);
});

rmSync(store, { recursive: true });
