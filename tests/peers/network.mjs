// The server on a network, for the peers in JavaScript.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;

/** Milliseconds for whatever takes as long as it takes. */
export const PATIENCE = 120_000;

/** A promise of what `work` makes, or of an error once it is too late. */
export async function inTime(work, what) {
  let overdue;
  const late = new Promise((_, reject) => {
    overdue = setTimeout(() => reject(new Error(`${what} takes too long`)), PATIENCE);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(overdue);
  }
}

/** Waits for so many milliseconds. */
export const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

/** A server on a network, on a free port, which it keeps when it restarts. */
class Listening {
  #settings;
  #flags;
  #port = "0";
  #child;
  #ended;

  constructor(settings, flags) {
    this.#settings = settings;
    this.#flags = flags;
  }

  /** Starts it, and waits until it listens. */
  async start() {
    this.#child = spawn(BINARY, ["serve", "--http", "--port", this.#port, ...this.#flags], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...this.#settings, LOG_LEVEL: "info" },
    });
    this.#ended = once(this.#child, "exit");
    let said = "";
    const log = createInterface({ input: this.#child.stderr });
    const listens = new Promise((resolve) => {
      log.on("line", (line) => {
        const found = line.match(/listening on (http:\/\/\S+:(\d+)) /);
        if (found) resolve(found);
        else if (said.length < 2000) said += `${line}\n`;
      });
    });
    const early = this.#ended.then(() => null);
    const found = await inTime(Promise.race([listens, early]), "the server's start");
    if (!found) throw new Error(`it does not listen: ${said}`);
    [, this.url, this.#port] = found;
  }

  /** Sends it SIGTERM; its exit code. */
  async stop() {
    this.#child.kill("SIGTERM");
    const overdue = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE);
    const [code] = await this.#ended;
    clearTimeout(overdue);
    return code;
  }

  /** Ends it without a word. */
  async kill() {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

/** Runs a server on a network while `use` has it. It must end in order. */
export async function listening(settings, use, flags = []) {
  const running = new Listening(settings, flags);
  await running.start();
  try {
    await use(running);
  } catch (error) {
    await running.kill();
    throw error;
  }
  const code = await running.stop();
  if (code !== 0) throw new Error(`the server ended with ${code ?? "a kill"}`);
}

/** Gives `use` a directory that is thrown away. */
export async function directory(use) {
  const made = mkdtempSync(join(tmpdir(), "peer-"));
  try {
    await use(made);
  } finally {
    rmSync(made, { recursive: true });
  }
}

/** Gives `use` the settings of a server on an embedded store that is thrown away. */
export const embedded = (use) =>
  directory((made) => use({ MEMORY_BACKEND: "local", ZEP_MCP_DATA_DIR: made }));

/** Settings of a server in front of Zep's API at this address. */
export const inFrontOf = (address) => ({
  MEMORY_BACKEND: "zep",
  ZEP_API_URL: address,
  ZEP_API_KEY: "z_peer-5d1f",
});

/** Puts a new token with these options into a file of tokens; the token. */
export function token(file, name, ...options) {
  const command = ["token", "new", "--name", name, "--file", file, ...options];
  const how = { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] };
  return execFileSync(BINARY, command, how).split(/\s+/)[0];
}
