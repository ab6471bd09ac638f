// Every tool of the server, called once or more through a connection, and what it must answer.

import { deepStrictEqual, ok, strictEqual } from "node:assert";

import { PATIENCE, pause } from "./network.mjs";
import { check } from "./peer.mjs";

export const TOOLS = [
  "add_memory",
  "delete_all_memories",
  "delete_entities",
  "delete_memory",
  "get_event_status",
  "get_memories",
  "get_memory",
  "get_session",
  "list_entities",
  "list_events",
  "list_sessions",
  "migrate_user",
  "migration_status",
  "search_memories",
  "search_memory",
  "update_memory",
  "validate_migration",
];

const SAID = [
  { role: "user", content: "Please book the night train to Lisbon." },
  { role: "assistant", content: "You have berth 12 on the night train." },
];

/** An export to migrate: one session of one user. */
export function elsewhere(count) {
  const start = Date.parse("2024-03-01T10:00:00Z");
  const messages = Array.from({ length: count }, (_, number) => ({
    role: "user",
    content: `Note ${number} from before.`,
    session_id: "before",
    created_at: new Date(start + 1000 * number).toISOString(),
  }));
  return { messages };
}

/** What a tool answered, and whether it is an error. */
export async function ask(client, tool, given = {}, options = undefined) {
  const result = await client.callTool({ name: tool, arguments: given }, undefined, options);
  const answer = JSON.parse(result.content[0].text);
  const error = result.isError ?? false;
  if (!error) deepStrictEqual(result.structuredContent, answer);
  return { answer, error };
}

/** The answer of a call that must succeed. */
export async function call(client, tool, given, options) {
  const { answer, error } = await ask(client, tool, given, options);
  ok(!error, `${tool}: ${JSON.stringify(answer)}`);
  return answer;
}

/** Calls them all, on a store where nobody called ada, john or mara is. Needs an operator. */
export async function everyTool(client, place, backend) {
  const called = new Set();
  const use = (tool, given, options) => {
    called.add(tool);
    return call(client, tool, given, options);
  };
  // Facts may be drawn in the background.
  const when = async (kept, tool, given) => {
    const until = Date.now() + PATIENCE;
    for (;;) {
      const answer = await use(tool, given);
      if (kept(answer)) return answer;
      ok(Date.now() < until, `${tool}: ${JSON.stringify(answer)}`);
      await pause(200);
    }
  };
  const finds = (text) => (answer) => answer.results.some(({ memory }) => memory.includes(text));
  const users = async () => {
    const { results } = await use("list_entities", {});
    return results.filter(({ type }) => type === "user").map(({ id }) => id).sort();
  };
  const trip = { user_id: "ada", session_id: "trip" };
  let added, listed;

  await check(`${place}: all ${TOOLS.length} tools are listed`, async () => {
    const { tools } = await client.listTools();
    deepStrictEqual(tools.map(({ name }) => name).sort(), TOOLS);
  });
  await check(`${place}: add_memory, list_sessions and get_session keep what was said`, async () => {
    added = await use("add_memory", { ...trip, messages: SAID });
    strictEqual(added.backend, backend);
    strictEqual(added.results.length, SAID.length);
    const { sessions } = await use("list_sessions", { user_id: "ada" });
    deepStrictEqual(sessions.map(({ session_id }) => session_id), ["trip"]);
    const { messages } = await use("get_session", trip);
    deepStrictEqual(messages.map(({ role, content }) => ({ role, content })), SAID);
  });
  await check(`${place}: list_events and get_event_status say what became of it`, async () => {
    const { results } = await use("list_events", { user_id: "ada" });
    ok(results.length && results.every(({ event_type }) => event_type === "ADD"));
    const one = { event_id: added.event_id, user_id: "ada" };
    await when(({ status }) => status === "SUCCEEDED", "get_event_status", one);
  });
  await check(`${place}: three tools find what was said, each person's their own`, async () => {
    await use("add_memory", { user_id: "john", text: "John is allergic to peanuts." });
    const ada = { user_id: "ada" };
    await when(finds("night train"), "search_memory", { ...ada, query: "night train" });
    const johns = { filters: { AND: [{ user_id: "john" }] } };
    await when(finds("peanuts"), "search_memories", { ...johns, query: "peanuts" });
    listed = await when(finds("peanuts"), "get_memories", johns);
    ok(!finds("peanuts")(await use("search_memory", { ...ada, query: "peanuts" })));
  });
  await check(`${place}: update_memory, get_memory and delete_memory change a memory`, async () => {
    const fact = listed.results.find(({ memory }) => memory.includes("peanuts"));
    const text = "John is allergic to almonds.";
    const { id } = await use("update_memory", { memory_id: fact.id, text });
    strictEqual((await use("get_memory", { memory_id: id })).memory, text);
    await use("delete_memory", { memory_id: id });
    const { answer, error } = await ask(client, "get_memory", { memory_id: id });
    ok(error && answer.error === "not_found", JSON.stringify(answer));
  });
  await check(`${place}: migrate_user tells its progress, validate_migration agrees`, async () => {
    const given = { user: { id: "mara" }, data: elsewhere(60) };
    const told = [];
    const report = await use("migrate_user", given, { onprogress: (step) => told.push(step) });
    ok(report.success && report.memories_migrated === 60, JSON.stringify(report));
    ok(told.length && told.every(({ progress, total }) => progress <= total), "no progress");
    const found = await use("validate_migration", given);
    ok(found.valid && found.memory_count === 60, JSON.stringify(found));
  });
  await check(`${place}: a migration in the background is followed by migration_status`, async () => {
    const given = { user: { id: "mara" }, data: elsewhere(60), background: true };
    const { run } = await use("migrate_user", given);
    const ended = await when(({ state }) => state !== "running", "migration_status", { run });
    ok(ended.state === "done" && ended.report.success, JSON.stringify(ended));
  });
  await check(`${place}: list_entities, and what deletes whole people, know everybody`, async () => {
    deepStrictEqual(await users(), ["ada", "john", "mara"]);
    const gone = await use("delete_all_memories", { user_id: "mara" });
    ok(gone.complete && gone.removed.messages === 60, JSON.stringify(gone));
    deepStrictEqual((await use("list_sessions", { user_id: "mara" })).sessions, []);
    await use("delete_entities", { user_id: "john" });
    await use("delete_entities", { user_id: "mara" });
    deepStrictEqual(await users(), ["ada"]);
    strictEqual((await use("get_session", trip)).messages.length, SAID.length);
  });
  await check(`${place}: that was every tool`, () => deepStrictEqual([...called].sort(), TOOLS));
}
