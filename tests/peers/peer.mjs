// What the peers in JavaScript share: named checks, a running emulator, the official packages, and
// the requests that were sent.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join, sep } from "node:path";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";

const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;
const SCRIPT = basename(process.argv[1]);
const RECORDED = new URL("../fixtures/zep/v3-requests.jsonl", import.meta.url);
// The ids of the recording; each matches any id.
const IDS = /(?<=\/)(?:u-1|s-1|agent-a1|b-1|t-1|[demn]-uuid)(?=\/|$)/;

/** A package of this peer's environment. */
export function load(name) {
  const directory = process.env.PEER_PACKAGES;
  if (!directory) {
    console.error("set PEER_PACKAGES to a directory with npm packages, as tests/peers/run does");
    process.exit(1);
  }
  return createRequire(directory + sep)(name);
}

/** Prints whether `keep` kept the promise, and goes on either way. */
export async function check(promise, keep) {
  try {
    await keep();
  } catch (error) {
    process.exitCode = 1;
    const line = /\.mjs:(\d+):\d+\)?$/m;
    const frames = (error.stack ?? "").split("\n").filter((frame) => frame.includes(SCRIPT));
    const where = frames[0]?.match(line)?.[1] ?? "?";
    const text = `${error.name}: ${error.message}`.split(/\s+/).join(" ");
    console.log(`FAIL ${promise}: line ${where}: ${text.slice(0, 600)}`);
    return;
  }
  console.log(`ok ${promise}`);
}

/** Runs `emulate` on a free port while `use` has its address. */
export async function emulator(flags, use) {
  if (!BINARY) {
    console.error("set ZEP_MCP_SERVER_BIN to the binary, or give it as the first argument");
    process.exit(1);
  }
  const temporary = mkdtempSync(join(tmpdir(), "peer-"));
  const child = spawn(BINARY, ["emulate", "--port", "0", ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TMPDIR: temporary },
  });
  const ended = once(child, "exit");
  try {
    const told = once(createInterface({ input: child.stdout }), "line");
    const early = ended.then(([code]) => [`it ended with ${code}`]);
    const [line] = await Promise.race([told, early]);
    const address = line.match(/http:\/\/\S+/);
    if (!address) throw new Error(`the emulator did not say where it listens: ${line}`);
    await use(address[0]);
  } finally {
    child.kill("SIGTERM");
    const overdue = setTimeout(() => child.kill("SIGKILL"), 60_000);
    const [code] = await ended;
    clearTimeout(overdue);
    const left = readdirSync(temporary);
    rmSync(temporary, { recursive: true });
    await check("the emulator ends on SIGTERM and leaves nothing behind", () => {
      if (code !== 0) throw new Error(`ended with ${code ?? "a kill"}`);
      if (left.length) throw new Error(left.join(", "));
    });
  }
}

/** Notes from now on every request that is sent: its method, path, names in the query, and body. */
export function listen() {
  const sent = [];
  const send = globalThis.fetch;
  globalThis.fetch = (target, options) => {
    const url = new URL(target);
    const body = options.body ? JSON.parse(options.body) : null;
    const query = [...url.searchParams.keys()].sort();
    sent.push({ method: options.method, path: url.pathname, query, body: shape(body) });
    return send(target, options);
  };
  return sent;
}

/** The field names of a body at every level, without the values. */
function shape(value) {
  if (Array.isArray(value)) {
    return [...new Set(value.map((item) => JSON.stringify(shape(item))))].sort();
  }
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort();
    return Object.fromEntries(
      names.map((name) => [name, name === "metadata" ? null : shape(value[name])]),
    );
  }
  return null;
}

/** The calls of the recorded contract that are not among the requests sent. */
export function missing(sent) {
  const lines = readFileSync(RECORDED, "utf8").split("\n").filter(Boolean);
  return lines
    .map((line) => JSON.parse(line))
    .filter(({ method, path, query, body }) => {
      const parts = path.split(IDS).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
      const pattern = new RegExp(`^${parts.join("[^/]+")}$`);
      const wanted = [method, Object.keys(query).sort(), shape(body)];
      return !sent.some(
        (one) =>
          pattern.test(one.path) && isDeepStrictEqual([one.method, one.query, one.body], wanted),
      );
    })
    .map(({ call }) => call);
}
