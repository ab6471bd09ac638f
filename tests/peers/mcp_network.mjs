// The official TypeScript client of MCP at both doors of a server on a network: every tool,
// questions to the person, tokens, a cut connection, and a server that restarts while clients are
// connected.

import { ok, rejects, strictEqual } from "node:assert";
import { createServer, connect as dial } from "node:net";
import { join } from "node:path";

import { ask, call, elsewhere, everyTool } from "./every_tool.mjs";
import {
  directory,
  embedded,
  inFrontOf,
  inTime,
  listening,
  PATIENCE,
  pause,
  token,
} from "./network.mjs";
import { check, emulator, load } from "./peer.mjs";

const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { SSEClientTransport } = load("@modelcontextprotocol/sdk/client/sse.js");
const { ElicitRequestSchema } = load("@modelcontextprotocol/sdk/types.js");

const DOORS = { mcp: StreamableHTTPClientTransport, sse: SSEClientTransport };

/** The client's end of a connection to a door. */
function transport(url, door, secret) {
  const headers = secret ? { Authorization: `Bearer ${secret}` } : {};
  return new DOORS[door](new URL(`${url}/${door}`), { requestInit: { headers } });
}

/** A client, not yet connected. `says` is what the person says; without it nobody can be asked. */
function client(says) {
  const asked = says === undefined ? {} : { capabilities: { elicitation: {} } };
  const made = new Client({ name: "peer", version: "1.0.0" }, asked);
  made.questions = 0;
  if (says !== undefined) {
    made.setRequestHandler(ElicitRequestSchema, () => {
      made.questions += 1;
      return { action: "accept", content: { confirm: says } };
    });
  }
  return made;
}

/** Gives `use` a client that is connected. */
async function connected(url, door, secret, use, says) {
  const made = client(says);
  await made.connect(transport(url, door, secret));
  try {
    return await use(made);
  } finally {
    await made.close();
  }
}

/** The texts of a session, in order. */
async function texts(from, place) {
  const { messages } = await call(from, "get_session", place);
  return messages.map(({ content }) => content).join(" / ");
}

async function asks(url, door, secret) {
  const place = { user_id: `asked at ${door}`, session_id: "s" };
  await check(`/${door}: a person is asked before all memories are deleted, and may say no`, () =>
    connected(url, door, secret, async (no) => {
      await call(no, "add_memory", { ...place, text: "Keeps bees on the roof." });
      const { answer, error } = await ask(no, "delete_all_memories", { user_id: place.user_id });
      ok(error && answer.error === "declined" && no.questions === 1, JSON.stringify(answer));
      strictEqual(await texts(no, place), "Keeps bees on the roof.");
    }, false),
  );
  await check(`/${door}: and once they say yes, they are gone`, () =>
    connected(url, door, secret, async (yes) => {
      await call(yes, "delete_all_memories", { user_id: place.user_id });
      strictEqual(yes.questions, 1);
      const { answer } = await ask(yes, "get_session", place);
      strictEqual(answer.error, "no_such_session");
    }, true),
  );
}

async function refuses(url, door, secrets) {
  await check(`/${door}: a reader is told what they may not do`, () =>
    connected(url, door, secrets.reader, async (reader) => {
      await call(reader, "search_memory", { user_id: "ann", query: "tea" });
      for (const [tool, given] of [
        ["add_memory", { user_id: "ann", text: "new" }],
        ["search_memory", { user_id: "ben", query: "tea" }],
      ]) {
        const { answer, error } = await ask(reader, tool, given);
        ok(error && answer.error === "forbidden", JSON.stringify(answer));
      }
    }),
  );
  await check(`/${door}: neither no token nor a wrong one lets anybody in`, async () => {
    for (const wrong of [undefined, `zmcp_${"0".repeat(64)}`]) {
      const made = client();
      await inTime(rejects(made.connect(transport(url, door, wrong)), { code: 401 }), "a refusal");
      await made.close();
    }
  });
}

// The client does not initialize a new session by itself. The server answers 404, as MCP asks for, and
// the client reports that as an error to this call and all later ones, until its user connects the same
// client with another transport, which the check does.
async function restartsAtMcp(running, secret, end) {
  const place = { user_id: `known at mcp, ${end}`, session_id: "s" };
  const said = { ...place, text: "Moved to Porto.", idempotency_key: end };
  await check(`/mcp, ${end}: after a restart the client says 404, and works again when it reconnects`, () =>
    connected(running.url, "mcp", secret, async (live) => {
      await call(live, "add_memory", { ...place, text: "Lives in Lisbon." });
      await running[end]();
      await running.start();
      for (let times = 0; times < 2; times += 1) {
        await inTime(rejects(call(live, "add_memory", said), { code: 404 }), "the refusal");
      }
      await live.close();
      await live.connect(transport(running.url, "mcp", secret));
      await call(live, "add_memory", said);
      strictEqual(await texts(live, place), "Lives in Lisbon. / Moved to Porto.");
    }),
  );
}

// The event source under the client reopens its stream by itself, after about three seconds, and
// learns there where to post from now on. It does not initialize again, and need not.
async function restartsAtSse(running, secret, end) {
  const place = { user_id: `known at sse, ${end}`, session_id: "s" };
  const said = { ...place, text: "Moved to Porto.", idempotency_key: end };
  await check(`/sse, ${end}: after a restart the same client reopens its stream and continues`, () =>
    connected(running.url, "sse", secret, async (live) => {
      await call(live, "add_memory", { ...place, text: "Lives in Lisbon." });
      await running[end]();
      await running.start();
      const until = Date.now() + PATIENCE;
      for (;;) {
        try {
          await call(live, "add_memory", said);
          break;
        } catch (error) {
          // That of before is over, or the connection to it.
          ok(/404|fetch failed/.test(error.message) && Date.now() < until, error);
          await pause(200);
        }
      }
      strictEqual(await texts(live, place), "Lives in Lisbon. / Moved to Porto.");
    }),
  );
}

/** A proxy to a server that can cut its connections; new ones get through. */
async function line(url, use) {
  const { hostname, port } = new URL(url);
  const ends = new Set();
  const door = createServer((here) => {
    const there = dial(port, hostname);
    for (const [end, other] of [[here, there], [there, here]]) {
      ends.add(end);
      end.on("error", () => {});
      end.on("close", () => other.destroy());
      end.pipe(other);
    }
  });
  await new Promise((resolve) => door.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const end of ends) end.destroy();
    ends.clear();
  };
  try {
    await use(`http://127.0.0.1:${door.address().port}`, cut);
  } finally {
    door.close();
    cut();
  }
}

async function isCutOff(url, secret) {
  await check("/mcp: a call whose line is cut is answered on the next one", () =>
    line(url, (through, cut) =>
      connected(through, "mcp", secret, async (live) => {
        let cuts = 0;
        const onprogress = ({ progress }) => {
          if (progress < 25 || cuts) return;
          cuts += 1;
          cut();
        };
        const given = { user: { id: "cut off" }, data: elsewhere(600) };
        const options = { onprogress, timeout: 2 * PATIENCE };
        const report = await call(live, "migrate_user", given, options);
        ok(report.success && report.memories_migrated === 600, JSON.stringify(report));
        strictEqual(cuts, 1);
      }),
    ),
  );
}

await directory(async (made) => {
  const file = join(made, "tokens.jsonl");
  const secrets = {
    operator: token(file, "operator", "--role", "operator", "--all-users"),
    reader: token(file, "reader", "--role", "reader", "--user", "ann"),
  };
  const access = { MCP_AUTH_TOKENS_FILE: file };
  const secret = secrets.operator;
  for (const door of Object.keys(DOORS)) {
    await embedded((settings) =>
      listening({ ...settings, ...access }, async (running) => {
        await connected(running.url, door, secret, async (live) => {
          await check(`/${door}: the server says who it is, and has its prompt`, async () => {
            strictEqual(live.getServerVersion().name, "zep-mcp-server");
            const { prompts } = await live.listPrompts();
            strictEqual(prompts.map(({ name }) => name).join(), "memory_assistant");
            const { messages } = await live.getPrompt({ name: "memory_assistant" });
            ok(messages[0].content.text.includes("add_memory"));
          });
          await everyTool(live, `embedded, /${door}`, "local");
        });
        await asks(running.url, door, secret);
        await refuses(running.url, door, secrets);
        for (const end of ["stop", "kill"]) {
          await { mcp: restartsAtMcp, sse: restartsAtSse }[door](running, secret, end);
        }
      }),
    );
  }
  await emulator([], (address) =>
    listening({ ...inFrontOf(address), ...access }, async ({ url }) => {
      await connected(url, "mcp", secret, (live) => everyTool(live, "emulator, /mcp", "zep"));
      // So that there is a middle of a call.
      await fetch(`${address}/_emulator/faults`, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ latency_ms: 400 }),
      });
      await isCutOff(url, secret);
    }),
  );
});
