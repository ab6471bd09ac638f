// The official TypeScript client of generation 3 (@getzep/zep-cloud 3.30.0) against the emulator:
// every call of the contract, its answers, its errors and its pages.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { check, emulator, listen, load, missing } from "./peer.mjs";

const { Zep, ZepClient, ZepError } = load("@getzep/zep-cloud");

const SAID_AT = "2024-06-15T10:30:00Z";
const sent = listen();

const connect = (address, apiKey) => new ZepClient({ apiKey, baseUrl: `${address}/api/v2` });

/** The error that this call ends with. */
async function refused(call, { kind = ZepError, status, says = "" } = {}) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    assert.ok(error instanceof kind, `${error}`);
    const message = error.body?.message;
    assert.ok(message, `an error without a message: ${JSON.stringify(error.body)}`);
    assert.ok(message.toLowerCase().includes(says), message);
    assert.ok(!status || [status].flat().includes(error.statusCode), `${error.statusCode}`);
    return error;
  }
  throw new assert.AssertionError({ message: `accepted: ${JSON.stringify(answer)}` });
}

const missed = { kind: Zep.NotFoundError, status: 404 };
const bad = { kind: Zep.BadRequestError, status: 400 };
const conflict = { kind: Zep.ConflictError, status: 409 };

/** Every item of a list, page by page, by the cursor in the answer's head. */
async function pages(call, request) {
  const items = [];
  for (let count = 1, cursor; ; count += 1) {
    assert.ok(count < 100, "the pages do not end");
    const asked = cursor === undefined ? request : { ...request, cursor };
    const { data, rawResponse } = await call(asked).withRawResponse();
    items.push(...data);
    cursor = rawResponse.headers.get("zep-next-cursor") ?? undefined;
    if (!cursor) return { items, count };
  }
}

/** Waits for something that is done in the background. */
async function until(condition) {
  for (const end = Date.now() + 60_000; ; await sleep(50)) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < end, "it did not happen in time");
  }
}

const ids = (items) => items.map((item) => item.uuid);
const sameTime = (one, other) => assert.equal(Date.parse(one), Date.parse(other));

async function users(zep) {
  await check("project.get", async () => {
    const { project } = await zep.project.get();
    assert.ok(project.uuid && project.name && project.createdAt);
  });
  await check("user.add", async () => {
    const metadata = { role: "patient", migration_source: "mem0" };
    const user = await zep.user.add({
      userId: "u-1",
      email: "jane@example.com",
      firstName: "Jane",
      lastName: "Doe",
      metadata,
    });
    assert.ok(user.uuid && user.createdAt);
    assert.equal(user.userId, "u-1");
    assert.deepEqual(user.metadata, metadata);
    await refused(() => zep.user.add({ userId: "u-1" }), { ...bad, says: "already exists" });
  });
  await check("user.get", async () => {
    const user = await zep.user.get("u-1");
    const named = [user.email, user.firstName, user.lastName];
    assert.deepEqual(named, ["jane@example.com", "Jane", "Doe"]);
    await refused(() => zep.user.get("nobody"), missed);
  });
  await check("user.update", async () => {
    const change = { email: "j@example.com", firstName: "J", lastName: "D" };
    await zep.user.update("u-1", { ...change, metadata: { role: "patient" } });
    const user = await zep.user.get("u-1");
    assert.deepEqual([user.email, user.firstName, user.lastName], ["j@example.com", "J", "D"]);
    assert.equal(user.metadata.role, "patient");
  });
  await check("user.listOrdered pages through every user once, in both directions", async () => {
    const expected = ["u-1"];
    for (let n = 0; n < 4; n += 1) {
      expected.push((await zep.user.add({ userId: `page-${n}` })).userId);
    }
    for (const asc of [true, false]) {
      const seen = [];
      for (let pageNumber = 1; pageNumber <= 4; pageNumber += 1) {
        const asked = { pageNumber, pageSize: 2, orderBy: "created_at", asc };
        const page = await zep.user.listOrdered(asked);
        assert.deepEqual([page.totalCount, page.rowCount], [5, page.users.length]);
        seen.push(...page.users.map((user) => user.userId));
      }
      assert.deepEqual(seen, asc ? expected : [...expected].reverse());
    }
  });
  await check("user.getNode", async () => {
    const { node } = await zep.user.getNode("u-1");
    assert.ok(node.uuid && node.name && node.createdAt);
    assert.equal((await zep.graph.node.get(node.uuid)).name, node.name);
  });
  await check("a user id with reserved characters is kept and reaches nobody else", async () => {
    for (const userId of ["a/b c", "../users/u-1", "u-1?x=1#y", "100% zoë"]) {
      await zep.user.add({ userId, firstName: "Reserved" });
      assert.equal((await zep.user.get(userId)).userId, userId);
      await zep.user.delete(userId);
      await refused(() => zep.user.get(userId), missed);
    }
    assert.equal((await zep.user.get("u-1")).firstName, "J");
  });
}

async function threads(zep) {
  await check("thread.create", async () => {
    const thread = await zep.thread.create({ threadId: "s-1", userId: "u-1" });
    assert.deepEqual([thread.threadId, thread.userId], ["s-1", "u-1"]);
    assert.ok(thread.uuid && thread.createdAt);
  });
  await check("thread.create refuses a thread that exists and a user who does not", async () => {
    for (const userId of ["u-1", "page-0"]) {
      const again = () => zep.thread.create({ threadId: "s-1", userId });
      await refused(again, { status: [400, 409], says: "already exists" });
    }
    const nobodys = () => zep.thread.create({ threadId: "s-x", userId: "nobody" });
    await refused(nobodys, { status: [400, 404] });
  });
  let added;
  await check("thread.addMessages", async () => {
    added = await zep.thread.addMessages("s-1", {
      messages: [
        {
          role: "user",
          content: "I drink green tea every morning",
          name: "Jane Doe",
          createdAt: SAID_AT,
          metadata: { migration_source: "mem0", tags: ["a", "b"], n: 1, y: true },
        },
        { role: "assistant", content: "Noted: green tea 🍵 مرحبا" },
      ],
      ignoreRoles: ["assistant"],
      returnContext: true,
    });
    assert.equal(added.messageUuids.length, 2);
    assert.equal(typeof added.context, "string");
  });
  await check("thread.get gives back what was said, in order, and its user", async () => {
    const thread = await zep.thread.get("s-1");
    assert.deepEqual([thread.totalCount, thread.rowCount, thread.userId], [2, 2, "u-1"]);
    const [first, second] = thread.messages;
    assert.deepEqual(ids(thread.messages), added.messageUuids);
    assert.deepEqual([first.role, first.name], ["user", "Jane Doe"]);
    assert.equal(first.content, "I drink green tea every morning");
    sameTime(first.createdAt, SAID_AT);
    const metadata = { migration_source: "mem0", tags: ["a", "b"], n: 1, y: true };
    assert.deepEqual(first.metadata, metadata);
    assert.deepEqual([second.role, second.content], ["assistant", "Noted: green tea 🍵 مرحبا"]);
    assert.equal(typeof second.processed, "boolean");
  });
  await check("every role of the client is kept", async () => {
    await zep.thread.create({ threadId: "roles", userId: "u-1" });
    const roles = ["norole", "system", "assistant", "user", "function", "tool"];
    const messages = roles.map((role) => ({ role, content: role }));
    await zep.thread.addMessages("roles", { messages });
    const stored = await zep.thread.get("roles");
    assert.deepEqual(stored.messages.map((message) => message.role), roles);
  });
  await check("thread.get by cursor to the end is the whole, and so is lastn", async () => {
    await zep.thread.create({ threadId: "long", userId: "u-1" });
    const said = Array.from({ length: 60 }, (_, n) => `turn ${n}`);
    for (const start of [0, 30]) {
      const part = said.slice(start, start + 30);
      const messages = part.map((content) => ({ role: "user", content }));
      await zep.thread.addMessages("long", { messages });
    }
    const read = [];
    for (let page; read.length < 60; read.push(...page.messages)) {
      page = await zep.thread.get("long", { limit: 17, cursor: read.length });
      assert.ok(page.messages.length, "the pages end early");
      assert.equal(page.totalCount, 60);
    }
    assert.deepEqual(read.map((message) => message.content), said);
    assert.deepEqual(ids((await zep.thread.get("long", { lastn: 60 })).messages), ids(read));
    const last = await zep.thread.get("long", { lastn: 10, limit: 3, cursor: 1 });
    assert.deepEqual(last.messages.map((message) => message.content), said.slice(50));
  });
  await check("messages for another user's thread are accepted, as Zep accepts them", async () => {
    await zep.thread.addMessages("s-1", { messages: [{ role: "user", content: "by whomever" }] });
    const thread = await zep.thread.get("s-1");
    assert.deepEqual([thread.totalCount, thread.userId], [3, "u-1"]);
  });
  await check("thread.message.update", async () => {
    const [, message] = added.messageUuids;
    const changed = await zep.thread.message.update(message, { metadata: { k: "v" } });
    assert.deepEqual([changed.uuid, changed.metadata.k], [message, "v"]);
    assert.equal((await zep.thread.get("s-1")).messages[1].metadata.k, "v");
    const change = () => zep.thread.message.update(randomUUID(), { metadata: { k: "v" } });
    await refused(change, missed);
  });
  await check("thread.getUserContext, with a template and without", async () => {
    for (const request of [{}, { templateId: "tpl" }]) {
      const { context } = await zep.thread.getUserContext("s-1", request);
      assert.ok(context.includes("green tea"), context);
    }
  });
  await check("thread.getEpisodes: a message is an episode of the same id", async () => {
    const { episodes } = await zep.thread.getEpisodes("s-1");
    for (const message of added.messageUuids) assert.ok(ids(episodes).includes(message));
    assert.ok(episodes.every((episode) => episode.threadId === "s-1"));
    assert.ok(episodes.every((episode) => episode.source === "message"));
  });
  await check("thread.listAll and user.getThreads", async () => {
    const seen = [];
    for (const pageNumber of [1, 2]) {
      const asked = { pageNumber, pageSize: 2, orderBy: "created_at", asc: true };
      const page = await zep.thread.listAll(asked);
      assert.deepEqual([page.totalCount, page.responseCount], [3, page.threads.length]);
      seen.push(...page.threads.map((thread) => thread.threadId));
    }
    assert.deepEqual(seen, ["s-1", "roles", "long"]);
    const theirs = await zep.user.getThreads("u-1");
    assert.deepEqual(theirs.map((thread) => thread.threadId).sort(), ["long", "roles", "s-1"]);
    assert.deepEqual(await zep.user.getThreads("page-0"), []);
  });
  await check("what is asked of a thread that does not exist is a 404", async () => {
    const hello = { messages: [{ role: "user", content: "hello" }] };
    for (const call of [
      () => zep.thread.get("nothing"),
      () => zep.thread.addMessages("nothing", hello),
      () => zep.thread.getUserContext("nothing"),
      () => zep.thread.getEpisodes("nothing"),
      () => zep.thread.getSummary("nothing"),
      () => zep.thread.delete("nothing"),
      () => zep.thread.getSummary("s-1"),
    ]) {
      await refused(call, { status: 404 });
    }
  });
}

async function limits(zep) {
  const say = (message) => zep.thread.addMessages("s-1", { messages: [message] });
  const hello = { role: "user", content: "hello" };
  const told = (await zep.thread.get("s-1")).totalCount;
  const keys = (count) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n]));
  await check("what is at Zep's limits is taken", async () => {
    await say({ role: "user", content: "ä".repeat(4_096) });
    await zep.thread.addMessages("s-1", { messages: Array(30).fill(hello) });
    await say({ ...hello, metadata: keys(10) });
  });
  await check("what is beyond them is refused, and nothing of it stored", async () => {
    const many = { messages: Array(31).fill(hello) };
    await refused(() => zep.thread.addMessages("s-1", many), { status: 400 });
    for (const message of [
      { role: "user", content: "ä".repeat(4_097) },
      { ...hello, name: "n".repeat(101) },
      { ...hello, createdAt: "soon" },
      { ...hello, metadata: keys(11) },
      { ...hello, metadata: { a: { b: 1 } } },
      { ...hello, metadata: { " ": 1 } },
      { ...hello, metadata: { a: [] } },
    ]) {
      await refused(() => say(message), { status: 400 });
    }
    assert.equal((await zep.thread.get("s-1", { lastn: 1 })).totalCount, told + 32);
  });
  await check("an episode of 10,001 characters and a query of 401 are refused", async () => {
    const add = (size) => zep.graph.add({ userId: "u-1", type: "text", data: "y".repeat(size) });
    const search = (size) => zep.graph.search({ userId: "u-1", query: "q".repeat(size) });
    assert.ok((await add(10_000)).uuid);
    await refused(() => add(10_001), bad);
    await search(400);
    await refused(() => search(401), bad);
  });
}

async function graphs(zep) {
  await check("graph.create, graph.get and graph.listAll", async () => {
    const graphId = "agent-a1";
    const made = { graphId, name: "agent a1", description: "memories of agent a1" };
    const graph = await zep.graph.create(made);
    assert.ok(graph.uuid && graph.createdAt);
    assert.deepEqual([graph.graphId, graph.name, graph.description], Object.values(made));
    await refused(() => zep.graph.create({ graphId }), { says: "already exists" });
    assert.equal((await zep.graph.get(graphId)).name, "agent a1");
    await refused(() => zep.graph.get("nothing"), missed);
    const page = await zep.graph.listAll({ pageNumber: 1, pageSize: 50 });
    assert.deepEqual(page.graphs.map((one) => one.graphId), [graphId]);
    assert.deepEqual([page.totalCount, page.rowCount], [1, 1]);
  });
  let tea;
  await check("graph.add of text to a user and of JSON to a graph", async () => {
    tea = await zep.graph.add({
      userId: "u-1",
      type: "text",
      data: "Prefers oolong tea",
      createdAt: SAID_AT,
      metadata: { mem0_id: "x", zm_id: "r-1" },
      sourceDescription: "mem0",
    });
    assert.deepEqual([tea.content, tea.source], ["Prefers oolong tea", "text"]);
    assert.equal(tea.sourceDescription, "mem0");
    assert.equal(tea.metadata.mem0_id, "x");
    sameTime(tea.createdAt, SAID_AT);
    for (const colour of ["turquoise", "ochre", "lilac"]) {
      const data = JSON.stringify({ colour });
      const added = await zep.graph.add({ graphId: "agent-a1", type: "json", data });
      assert.equal(added.source, "json");
    }
    const nobodys = () => zep.graph.add({ userId: "nobody", type: "text", data: "x" });
    await refused(nobodys, { status: [400, 404] });
    await refused(() => zep.graph.add({ type: "text", data: "x" }), bad);
  });
  return tea;
}

async function episodes(zep, tea) {
  const api = zep.graph.episode;
  await check("graph.episode.get and graph.episode.update", async () => {
    assert.equal((await api.get(tea.uuid)).content, "Prefers oolong tea");
    const changed = await api.update(tea.uuid, { metadata: { k: "v", mem0_id: null } });
    assert.deepEqual(changed.metadata, { zm_id: "r-1", k: "v" });
    assert.deepEqual((await api.get(tea.uuid)).metadata, changed.metadata);
    await refused(() => api.get(randomUUID()), { status: 404 });
  });
  await check("graph.episode.getByUserId and getByGraphId", async () => {
    assert.equal((await api.getByUserId("u-1", { lastn: 20 })).episodes.length, 20);
    const found = await api.getByGraphId("agent-a1", { lastn: 20 });
    const colours = found.episodes.map((episode) => JSON.parse(episode.content).colour);
    assert.deepEqual(colours, ["turquoise", "ochre", "lilac"]);
  });
  let all;
  await check("graph.episode.listByUserId by cursor to the end is the whole", async () => {
    const list = (asked) => api.listByUserId("u-1", asked);
    const { items, count } = await pages(list, { limit: 50 });
    all = ids(items);
    assert.ok(count > 1 && all.length > 90, `${all.length} in ${count}`);
    assert.equal(new Set(all).size, all.length);
    assert.deepEqual(all, [...all].sort().reverse(), "not ordered by id downwards");
    const whole = await api.getByUserId("u-1", { lastn: 1_000 });
    assert.deepEqual(ids(whole.episodes).sort(), [...all].sort());
    const known = all.slice(0, 3);
    const some = await pages(list, { limit: 50, mentionedNodeUuids: known });
    assert.deepEqual(ids(some.items).sort(), [...known].sort());
    assert.deepEqual(await api.listByUserId("page-0", { mentionedNodeUuids: known }), []);
    const byMetadata = await pages(list, {
      limit: 50,
      orderBy: "created_at",
      direction: "asc",
      episodeMetadataFilters: {
        type: "and",
        filters: [{ comparisonOperator: "=", propertyName: "zm_id", propertyValue: "r-1" }],
      },
    });
    assert.deepEqual(ids(byMetadata.items), [tea.uuid]);
  });
  await check("graph.episode.listByGraphId by cursor to the end", async () => {
    const { items, count } = await pages((ask) => api.listByGraphId("agent-a1", ask), { limit: 2 });
    assert.deepEqual([items.length, new Set(ids(items)).size, count], [3, 3, 2]);
  });
}

async function facts(zep, tea) {
  const { edge, node } = zep.graph;
  let fact;
  await check("graph.edge.getByUserId by cursor, and by the last id, to the end", async () => {
    await until(async () => (await zep.graph.episode.get(tea.uuid)).processed);
    const { items, count } = await pages((ask) => edge.getByUserId("u-1", ask), { limit: 50 });
    const all = ids(items);
    assert.ok(count > 1 && all.length > 50, `${all.length} in ${count}`);
    assert.equal(new Set(all).size, all.length);
    const walked = [];
    for (let page; page?.length !== 0; walked.push(...ids(page))) {
      page = await edge.getByUserId("u-1", { limit: 50, uuidCursor: walked.at(-1) });
      assert.ok(walked.length <= all.length, "the pages do not end");
    }
    assert.deepEqual(walked, all);
  });
  await check("graph.edge.getByUserId filtered by episodes and by facts", async () => {
    const byTime = { limit: 1, orderBy: "created_at", direction: "desc" };
    const first = edge.getByUserId("u-1", byTime).withRawResponse();
    const cursor = (await first).rawResponse.headers.get("zep-next-cursor");
    const filter = (filters) => edge.getByUserId("u-1", { limit: 50, filters });
    const ofTea = await filter({ episodeUuids: [tea.uuid] });
    assert.ok(ofTea.length && ofTea.every((one) => one.episodes.includes(tea.uuid)));
    [fact] = ofTea;
    const same = await filter({ edgeUuids: [fact.uuid, randomUUID()] });
    assert.deepEqual(ids(same), [fact.uuid]);
    const filters = { edgeUuids: [fact.uuid, randomUUID()], episodeUuids: [tea.uuid] };
    const behind = await edge.getByUserId("u-1", { ...byTime, limit: 50, cursor, filters });
    const newest = ids((await first).data)[0];
    assert.deepEqual(ids(behind), newest === fact.uuid ? [] : [fact.uuid]);
    const others = { filters: { edgeUuids: [fact.uuid] } };
    assert.deepEqual(await edge.getByUserId("page-0", others), [], "somebody else's facts");
  });
  await check("graph.edge.getByGraphId, graph.edge.get and graph.edge.update", async () => {
    const ofGraph = await until(async () => {
      const page = await edge.getByGraphId("agent-a1", { limit: 50 });
      return page.length === 3 && page;
    });
    assert.ok(ofGraph.every((one) => one.fact && one.sourceNodeUuid));
    const known = await edge.get(fact.uuid);
    assert.ok(known.fact.includes("oolong") && known.name && known.targetNodeUuid);
    const changed = { fact: "Likes sencha tea" };
    assert.equal((await edge.update(fact.uuid, changed)).fact, changed.fact);
    assert.equal((await edge.get(fact.uuid)).fact, changed.fact);
    await refused(() => edge.get(randomUUID()), missed);
  });
  await check("graph.node.getByUserId and graph.node.get", async () => {
    const nodes = await node.getByUserId("u-1", { limit: 50 });
    assert.ok(nodes.some((one) => one.name === "Jane Doe"), JSON.stringify(nodes));
    for (const { uuid, name } of nodes) assert.equal((await node.get(uuid)).name, name);
    await refused(() => node.get(randomUUID()), missed);
  });
  return fact;
}

async function search(zep, tea) {
  const find = (asked) => zep.graph.search({ userId: "u-1", query: "tea", ...asked });
  await check("graph.search for facts, ranked, and by likeness", async () => {
    const ranked = await find({ scope: "edges", reranker: "rrf", limit: 10 });
    assert.ok(ranked.edges.some((edge) => edge.fact.includes("green tea")));
    const filters = { createdAt: [[{ comparisonOperator: ">=", date: "2024-01-01T00:00:00Z" }]] };
    assert.ok((await find({ searchFilters: filters })).edges.length);
    filters.createdAt[0][0].date = "2999-01-01T00:00:00Z";
    assert.deepEqual((await find({ searchFilters: filters })).edges ?? [], []);
    const alike = await find({
      scope: "edges",
      reranker: "cross_encoder",
      limit: 50,
      searchFilters: { episodeUuids: [tea.uuid, randomUUID()] },
    });
    assert.ok(alike.edges.length && alike.edges.every(({ score }) => score >= 0 && score <= 1));
    assert.ok(alike.edges.every((edge) => edge.episodes.includes(tea.uuid)));
  });
  await check("graph.search for episodes, entities, and whatever fits", async () => {
    const episodes = (await find({ query: "oolong", scope: "episodes", limit: 5 })).episodes;
    assert.ok(ids(episodes).includes(tea.uuid));
    const nodes = (await find({ query: "Jane Doe", scope: "nodes" })).nodes;
    assert.ok(nodes.some((node) => node.name === "Jane Doe"), JSON.stringify(nodes));
    const inGraph = await zep.graph.search({ graphId: "agent-a1", query: "a1", scope: "nodes" });
    assert.deepEqual(inGraph.nodes.map((node) => node.name), ["agent a1"]);
    const fit = { scope: "auto", maxCharacters: 2_500, returnRawResults: true };
    const { context } = await find(fit);
    assert.ok(context.includes("tea") && context.length <= 2_500, context);
  });
  await check("graph.search finds nothing of anybody else, and refuses what is not", async () => {
    for (const owner of [{ userId: "page-0" }, { userId: undefined, graphId: "agent-a1" }]) {
      assert.deepEqual((await find({ query: "green tea", ...owner })).edges ?? [], []);
    }
    await refused(() => find({ userId: "nobody" }), { status: [400, 404] });
    await refused(() => find({ limit: 51 }), bad);
  });
}

async function batches(zep) {
  let batch, items;
  const type = "thread_message";
  const message = (threadId, content) => ({ type, threadId, role: "user", content });
  await check("batch.create, batch.add and batch.list", async () => {
    batch = await zep.batch.create({ metadata: { source: "mem0" } });
    assert.ok(batch.batchId);
    assert.deepEqual([batch.status, batch.metadata], ["draft", { source: "mem0" }]);
    await zep.thread.create({ threadId: "batched", userId: "u-1" });
    const dated = { createdAt: SAID_AT, metadata: { k: "v" } };
    items = await zep.batch.add(batch.batchId, {
      items: [
        { ...message("batched", "hello from a batch"), name: "Jane", ...dated },
        { type: "graph_episode", userId: "u-1", dataType: "text", data: "Batched tea", ...dated },
      ],
    });
    assert.deepEqual(items.map((item) => item.kind), ["thread_message", "graph_episode"]);
    assert.deepEqual(items.map((item) => item.status), ["pending", "pending"]);
    assert.ok(items.every((item) => item.episodeUuid && item.episodeUuid === item.sourceUuid));
    for (const asked of [{ limit: 50 }, { status: "draft" }]) {
      const listed = (await zep.batch.list(asked)).batches;
      assert.ok(listed.some((one) => one.batchId === batch.batchId));
    }
  });
  await check("batch.process, and polling until it is done", async () => {
    assert.notEqual((await zep.batch.process(batch.batchId)).status, "draft");
    const done = await until(async () => {
      const now = await zep.batch.get(batch.batchId);
      return now.status === "succeeded" && now;
    });
    assert.deepEqual([done.progress.totalItems, done.progress.succeededItems], [2, 2]);
    assert.ok(done.processedAt && done.completedAt);
    const [stored] = (await zep.thread.get("batched")).messages;
    assert.deepEqual([stored.content, stored.metadata], ["hello from a batch", { k: "v" }]);
    assert.equal(stored.uuid, items[0].episodeUuid);
    sameTime(stored.createdAt, SAID_AT);
    assert.equal((await zep.graph.episode.get(items[1].episodeUuid)).content, "Batched tea");
  });
  await check("batch.listItems, page by page and by status", async () => {
    const first = await zep.batch.listItems(batch.batchId, { limit: 1 });
    const asked = { limit: 100, cursor: first.nextCursor, status: "succeeded" };
    const rest = await zep.batch.listItems(batch.batchId, asked);
    const read = [...first.items, ...rest.items].map((item) => item.sequenceIndex);
    assert.deepEqual(read, items.map((item) => item.sequenceIndex));
    assert.ok(!rest.nextCursor);
    assert.deepEqual((await zep.batch.listItems(batch.batchId, { status: "failed" })).items, []);
  });
  await check("a batch that is no draft cannot be processed, added to, or deleted", async () => {
    await refused(() => zep.batch.process(batch.batchId), conflict);
    const late = { items: [message("batched", "late")] };
    await refused(() => zep.batch.add(batch.batchId, late), conflict);
    await refused(() => zep.batch.delete(batch.batchId), { status: 409 });
  });
  await check("what cannot be stored any more fails alone: partial, or failed", async () => {
    for (const [stays, status] of [[true, "partial"], [false, "failed"]]) {
      await zep.thread.create({ threadId: "doomed", userId: "u-1" });
      const { batchId } = await zep.batch.create();
      const given = [message("doomed", "goes"), ...(stays ? [message("batched", "stays")] : [])];
      await zep.batch.add(batchId, { items: given });
      await zep.thread.delete("doomed");
      await zep.batch.process(batchId);
      const done = await until(async () => {
        const now = await zep.batch.get(batchId);
        return now.status === status && now;
      });
      assert.deepEqual([done.progress.failedItems, done.progress.succeededItems], [1, +stays]);
      const asked = { limit: 100, cursor: 0, status: "failed" };
      const failed = await zep.batch.listItems(batchId, asked);
      assert.deepEqual(failed.items.map((item) => item.kind), ["thread_message"]);
      assert.ok(failed.items[0].error?.message);
    }
  });
  await check("batch.delete of a draft, and a batch of 351 items", async () => {
    const { batchId } = await zep.batch.create();
    const many = { items: Array(351).fill(message("batched", "x")) };
    await refused(() => zep.batch.add(batchId, many), { status: 400 });
    assert.ok((await zep.batch.delete(batchId)).message);
    await refused(() => zep.batch.get(batchId), missed);
  });
  await check("task.get of nothing is a NotFoundError", async () => {
    await refused(() => zep.task.get("t-nothing"), missed);
  });
}

async function deleting(zep, tea, fact) {
  await check("graph.edge.delete and graph.episode.delete", async () => {
    assert.ok((await zep.graph.edge.delete(fact.uuid)).message);
    await refused(() => zep.graph.edge.get(fact.uuid), missed);
    const extra = await zep.graph.add({ userId: "u-1", type: "text", data: "Keeps a pet axolotl" });
    const filters = { episodeUuids: [extra.uuid] };
    const edges = await until(async () => {
      const found = await zep.graph.edge.getByUserId("u-1", { filters });
      return found.length && found;
    });
    assert.ok((await zep.graph.episode.delete(extra.uuid)).message);
    await refused(() => zep.graph.episode.get(extra.uuid), { status: 404 });
    for (const edge of edges) await refused(() => zep.graph.edge.get(edge.uuid), missed);
  });
  await check("thread, graph and user are deleted with what is theirs", async () => {
    const [message] = (await zep.thread.get("roles")).messages;
    assert.ok((await zep.thread.delete("roles")).message);
    await refused(() => zep.thread.get("roles"), missed);
    await refused(() => zep.graph.episode.get(message.uuid), { status: 404 });
    assert.ok((await zep.graph.delete("agent-a1")).message);
    await refused(() => zep.graph.get("agent-a1"), missed);
    await zep.thread.create({ threadId: "theirs", userId: "page-0" });
    assert.ok((await zep.user.delete("u-1")).message);
    await refused(() => zep.user.get("u-1"), missed);
    await refused(() => zep.thread.get("s-1"), missed);
    await refused(() => zep.graph.episode.get(tea.uuid), { status: 404 });
    assert.equal((await zep.thread.get("theirs")).userId, "page-0");
  });
}

async function keysAndHeaders(address) {
  await check("a wrong key is refused with 401, and changes nothing", async () => {
    const wrong = connect(address, "wrong");
    const unauthorized = { status: 401, says: "unauthorized" };
    await refused(() => wrong.project.get(), unauthorized);
    await refused(() => wrong.user.add({ userId: "u-1" }), unauthorized);
    await refused(() => connect(address, "right").user.get("u-1"), missed);
  });
  await check("every answer says how many calls are left, errors, too", async () => {
    const zep = connect(address, "right");
    const { rawResponse } = await zep.project.get().withRawResponse();
    const error = await refused(() => zep.user.get("nobody"), missed);
    for (const { headers } of [rawResponse, error.rawResponse]) {
      for (const name of ["limit", "remaining", "reset", "increment"]) {
        assert.match(headers.get(`x-ratelimit-${name}`) ?? "", /^\d+$/);
      }
    }
  });
}

await emulator([], async (address) => {
  const zep = connect(address, "z_any");
  await users(zep);
  await threads(zep);
  const tea = await graphs(zep);
  await limits(zep);
  await episodes(zep, tea);
  const fact = await facts(zep, tea);
  await search(zep, tea);
  await batches(zep);
  await deleting(zep, tea, fact);
});
await emulator(["--api-key", "right"], keysAndHeaders);
await check("every call of the contract was sent", () => {
  // This client escapes what the recorded one left as it was.
  assert.deepEqual(missing(sent), ["user id with reserved characters"]);
});
