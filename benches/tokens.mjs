// The tokens that tools and answers cost in a prompt, beside mem0-mcp-server's: what a host tells a
// model of each tool (name, description, input schema), output schemas, and whole answers.
//
//   tests/peers/run target/release/zep-mcp-server tokens
//
// Counted with o200k by gpt-tokenizer, which brings its tables. The answers are those to the questions
// of tests/fixtures/recall, on the embedded store.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { check, load } from "../tests/peers/peer.mjs";

const { encode } = load("gpt-tokenizer/encoding/o200k_base");
const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;
const CORE = ["add_memory", "search_memory", "get_session", "migrate_user", "validate_migration"];
// The most that may be spent.
const MOST = { nine: 1800, all: 3000, core: 1400, answers: 600, search: 1600, list: 7500 };

const fixture = (name) =>
  JSON.parse(readFileSync(new URL(`../tests/fixtures/${name}`, import.meta.url), "utf8"));
const tokens = (text) => encode(text).length;
const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
const mean = (numbers) => Math.round(sum(numbers) / numbers.length);

/** What a host tells a model of a tool. */
const told = ({ name, description, inputSchema }) =>
  tokens(JSON.stringify({ name, description, inputSchema }));

/** A server on an embedded store while `use` may ask it. */
async function serving(use) {
  const directory = mkdtempSync(join(tmpdir(), "tokens-"));
  const env = { ...process.env, MEMORY_BACKEND: "local", ZEP_MCP_DATA_DIR: directory };
  const child = spawn(BINARY, [], { stdio: ["pipe", "pipe", "ignore"], env });
  const waiting = new Map();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { id, result } = JSON.parse(line);
    waiting.get(id)?.(result);
  });
  let last = 0;
  const ask = (method, params) =>
    new Promise((resolve) => {
      last += 1;
      waiting.set(last, resolve);
      child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: last, method, params })}\n`);
    });
  try {
    const client = { name: "tokens", version: "1" };
    await ask("initialize", { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: client });
    return await use(ask);
  } finally {
    child.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The texts of answers: ten results of a search each, and pages of 50. */
async function answers(ask) {
  const call = async (name, args) =>
    (await ask("tools/call", { name, arguments: args })).content[0].text;
  const { conversations } = fixture("recall/conversations.json");
  const asked = fixture("recall/questions.json").conversations;
  const found = [];
  const listed = [];
  for (const [number, { sessions }] of conversations.entries()) {
    const user_id = `conv-${number}`;
    for (const [index, { at, turns }] of sessions.entries()) {
      const messages = turns.map(({ by, text }) => {
        return { role: "user", name: by, content: `${by}: ${text}`, created_at: at };
      });
      await call("add_memory", { user_id, session_id: `${user_id}-session-${index}`, messages });
    }
    const filters = { AND: [{ user_id }] };
    for (const { question } of asked[number].questions) {
      found.push(await call("search_memories", { query: question, filters }));
    }
    listed.push(await call("get_memories", { filters, page_size: 50 }));
  }
  const full = (texts, count) => texts.filter((text) => JSON.parse(text).results.length === count);
  return { search: full(found, 10), list: full(listed, 50) };
}

const theirs = fixture("mem0-mcp-server/tools.json");
const { tools, search, list } = await serving(async (ask) => {
  const { tools } = await ask("tools/list", {});
  return { tools, ...(await answers(ask)) };
});
const cost = Object.fromEntries(tools.map((tool) => [tool.name, told(tool)]));
const costs = (names) => sum(names.map((name) => cost[name]));
const nine = theirs.map(({ name }) => name);
const spent = {
  nine: costs(nine),
  all: costs(Object.keys(cost)),
  core: costs(CORE),
  answers: sum(tools.map(({ outputSchema: schema }) => (schema ? tokens(JSON.stringify(schema)) : 0))),
  search: mean(search.map(tokens)),
  list: mean(list.map(tokens)),
};
const row = (...cells) => console.log(`  ${cells.map((cell, n) => String(cell)[n ? "padStart" : "padEnd"](n ? 8 : 34)).join("")}`);
row("tokens (o200k)", "ours", "mem0's");
for (const { name } of tools) {
  const mem0s = theirs.find((tool) => tool.name === name);
  row(name, cost[name], mem0s ? told(mem0s) : "");
}
row("mem0's nine tools", spent.nine, sum(theirs.map(told)));
row("all tools", spent.all, "");
row("core", spent.core, "");
row("output schemas", spent.answers, sum(theirs.map(({ outputSchema }) => (outputSchema ? tokens(JSON.stringify(outputSchema)) : 0))));
row("search_memories, ten results", spent.search, "");
row("get_memories, a page of 50", spent.list, "");
for (const [what, most] of Object.entries(MOST)) {
  await check(`tokens, ${what}: at most ${most}`, () => {
    if (!(spent[what] <= most)) throw new Error(`${spent[what]}`);
  });
}
