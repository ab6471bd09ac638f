// The operators' page in a real headless browser (Chromium, where it is installed): signing in, a conversation with
// hostile text, a migration as it happens, its rollback, the dark, a phone, the keyboard, and axe.

import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

import { check, emulator } from "./peer.mjs";

const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;
const PACKAGES = createRequire(process.env.PEER_PACKAGES + sep);
// Where pictures of all pages are put, for people.
const SHOTS = process.env.UI_SHOTS;
const HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>';
// Debian's and others' places. The one from npm has no fonts for all that is typed here, and ends.
const BROWSERS = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server"];
const OVERRIDE = "\u202egnp.exe";

/** A package of this peer's environment that is a module. */
async function load(name) {
  const module = await import(pathToFileURL(PACKAGES.resolve(name)));
  return module.default;
}

/** Runs a server of the Memory API while `use` has its address and an operator's token. */
async function server(address, directory, use) {
  const tokens = join(directory, "tokens.jsonl");
  const made = (name, role) => {
    const flags = ["--name", name, "--role", role, "--all-users", "--file", tokens];
    const printed = execFileSync(BINARY, ["token", "new", ...flags], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return printed.match(/zmcp_[0-9a-f]{64}/)[0];
  };
  const operator = made("olga", "operator");
  const reader = made("rita", "reader");
  const child = spawn(BINARY, ["serve", "--api", "--port", "0", "--auth-tokens-file", tokens], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      ZEP_API_URL: address,
      ZEP_API_KEY: "z_peer",
      ZEP_MCP_DATA_DIR: join(directory, "data"),
      ZEP_MCP_WRITE_WAIT_MS: "60000",
      LOG_LEVEL: "info",
    },
  });
  const ended = once(child, "exit");
  try {
    for await (const line of createInterface({ input: child.stderr })) {
      const found = line.match(/listening on (http:\S+)/);
      if (!found) continue;
      child.stderr.resume();
      await use({ url: found[1], operator, reader });
      break;
    }
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

async function call({ url, operator }, method, path, body) {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${operator}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

/** A user with a conversation and snapshots; the address of its page. */
async function conversation(served) {
  const new_ = { email: "ann@example.com", name: `Ann ${HOSTILE}`, metadata: { note: HOSTILE } };
  const { user_id } = await call(served, "POST", "/api/v1/users", new_);
  const { session_id } = await call(served, "POST", "/api/v1/sessions", { user_id });
  const at = `/api/v1/memory/${session_id}`;
  for (const [role, content] of [
    ["user", "I slept badly before the exam, and kept the diary as we agreed last week."],
    ["assistant", "What did you notice when you woke up?"],
    ["user", `${HOSTILE} ${OVERRIDE}`],
    ["user", "שלום, מה שלומך היום?"],
    ["assistant", "w".repeat(400)],
  ]) {
    await call(served, "POST", `${at}/messages`, { user_id, role, content });
  }
  const summary = { user_id, summary: `Sleep. ${HOSTILE}`, key_points: ["sleeps better", HOSTILE] };
  await call(served, "POST", `${at}/summary`, summary);
  const state = { user_id, emotions: { fear: 0.4, hope: 0.7 }, context: HOSTILE, triggers: ["exam"] };
  await call(served, "POST", `${at}/emotional-state`, state);
  return `/ui/session?user=${user_id}&id=${session_id}`;
}

/** Begins a migration of so many memories. */
function migration(served, user, length) {
  const results = Array.from({ length }, (_, n) => ({
    id: `m${n}`,
    memory: `remembers ${n}`,
    user_id: user,
    created_at: "2024-05-01T10:00:00Z",
  }));
  return call(served, "POST", "/api/v1/migrations", { user: { id: user }, data: { results } });
}

async function signIn(page, url, token) {
  await page.goto(`${url}/ui/login`);
  await page.type("#token", token);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

async function drive(browser, served) {
  const { url, operator, reader } = served;
  const page = await browser.newPage();
  const requests = [];
  const said = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("dialog", async (dialog) => {
    said.push(`a dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  const shot = async (name) => {
    if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
  };
  const text = () => page.evaluate(() => document.body.innerText);
  const go = (path) => page.goto(url + path, { waitUntil: "load" });

  await check("wrong tokens, and those of others than operators, are refused", async () => {
    await signIn(page, url, "wrong");
    ok((await text()).includes("unknown, expired or revoked"));
    await shot("login-wrong");
    await signIn(page, url, reader);
    ok((await text()).includes("not one of the role operator"));
    // The browser reports the status of both.
    said.splice(0);
  });
  await check("an operator signs in with the keyboard alone", async () => {
    await signIn(page, url, operator);
    strictEqual(await page.evaluate(() => location.pathname), "/ui");
    await page.keyboard.press("Tab");
    strictEqual(await page.evaluate(() => document.activeElement.className), "skip");
    strictEqual(await page.evaluate(() => document.cookie), "", "no script sees the cookie");
  });
  const talk = await conversation(served);
  await check("what was said stays text, and nothing of it runs", async () => {
    await go(talk);
    const shown = await text();
    ok(shown.includes(HOSTILE), shown.slice(0, 2000));
    ok(shown.includes("⟨U+202E⟩gnp.exe"));
    ok(shown.includes("שלום"));
    await shot("conversation");
    strictEqual(await page.evaluate(() => document.querySelectorAll("img").length), 0);
    await go(`/ui/user?id=${new URLSearchParams(talk.split("?")[1]).get("user")}`);
    ok((await text()).includes(HOSTILE));
    await shot("user");
  });
  await check("a migration is shown as it happens", async () => {
    await go("/ui/migrations");
    const { run_id: run } = await migration(served, "moved", 300);
    await page.waitForSelector(`[data-run="${run}"] progress`);
    const how = () => page.$eval(`[data-run="${run}"] .how`, (it) => it.textContent);
    const seen = new Set();
    await page.waitForFunction(
      (id) => document.querySelector(`[data-run="${id}"] .how`)?.textContent.startsWith("writing"),
      {},
      run,
    );
    await shot("migration-live");
    const runs = () => page.$(`[data-run="${run}"][data-state="running"]`);
    for (;;) {
      try {
        if (!(await runs())) break;
        seen.add(await how());
      } catch {
        // The page is being loaded again, since it has ended.
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await page.waitForSelector(`[data-run="${run}"][data-state="done"]`);
    ok(seen.size > 2, [...seen].join("; "));
  });
  await check("its rollback needs the run's id, and is shown", async () => {
    await go("/ui/migrations");
    await Promise.all([page.waitForNavigation(), page.click("table a")]);
    await shot("run");
    const id = await page.$eval("input[name=run]", (it) => it.value);
    await page.type("#typed", "undo");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    ok((await text()).includes("Nothing was removed"));
    await shot("rollback-refused");
    said.splice(0);
    await page.type("#typed", id);
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    await page.waitForFunction(() => document.body.innerText.includes("Rolled back"));
    await shot("rollback-done");
  });
  await check("a migration is stopped by its button", async () => {
    // More than is moved until the button is found, however busy this machine is.
    const { run_id: run } = await migration(served, "stopped", 5_000);
    await go("/ui/migrations");
    await Promise.all([page.waitForNavigation(), page.click(`[data-run="${run}"] button`)]);
    await page.waitForSelector(`[data-run="${run}"][data-state="stopped"]`);
    await shot("migration-stopped");
    ok((await text()).includes("stopped"));
  });
  const pages = {
    health: "/ui",
    people: "/ui/people",
    sessions: "/ui/people?kind=run",
    conversation: talk,
    migrations: "/ui/migrations",
    trail: "/ui/trail",
    tokens: "/ui/tokens",
    missing: "/ui/user?id=nobody",
  };
  await check("no page asks for anything from elsewhere, or complains", () => {
    deepStrictEqual(requests.filter((it) => !it.startsWith(url) && !it.startsWith("data:")), []);
    deepStrictEqual(said, []);
  });
  const axe = await browser.newPage();
  // axe is not of the page, whose policy refuses it.
  await axe.setBypassCSP(true);
  for (const scheme of ["light", "dark"]) {
    await check(`axe finds nothing serious in the ${scheme}`, async () => {
      const found = [];
      await axe.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      for (const [name, path] of Object.entries(pages)) {
        await axe.goto(url + path);
        await axe.addScriptTag({ path: PACKAGES.resolve("axe-core") });
        const { violations } = await axe.evaluate(() => globalThis.axe.run());
        const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
        found.push(...serious.map(({ id, nodes }) => `${name}, ${id}: ${nodes[0].html}`));
      }
      deepStrictEqual(found, []);
    });
  }
  await check("it is dark where that is wanted", async () => {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    await go(talk);
    const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    ok(back.match(/\d+/g).every((part) => Number(part) < 60), back);
    await shot("conversation-dark");
  });
  for (const width of [320, 360]) {
    await check(`no page scrolls sideways at ${width} pixels`, async () => {
      await page.setViewport({ width, height: 740 });
      for (const [name, path] of Object.entries(pages)) {
        await go(path);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        ok(wide <= width, `${name}: ${wide} pixels`);
        await shot(`${name}-${width}`);
      }
    });
  }
  await check("signing out ends it", async () => {
    await page.setViewport({ width: 1000, height: 740 });
    await page.emulateMediaFeatures([]);
    for (const name of ["health", "people", "trail", "tokens"]) {
      await go(pages[name]);
      await shot(name);
    }
    await page.focus(".out button");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    strictEqual(await page.evaluate(() => location.pathname), "/ui/login");
    await shot("login");
    await go("/ui/people");
    strictEqual(await page.evaluate(() => location.pathname), "/ui/login");
  });
}

async function main(executablePath) {
  const directory = mkdtempSync(join(tmpdir(), "ui-"));
  if (SHOTS) mkdirSync(SHOTS, { recursive: true });
  try {
    const puppeteer = await load("puppeteer-core");
    await emulator(["--latency", "30"], async (address) => {
      await server(address, directory, async (served) => {
        const browser = await puppeteer.launch({ executablePath, args: ARGUMENTS });
        try {
          await drive(browser, served);
        } finally {
          await browser.close();
        }
      });
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const browser = BROWSERS.find((path) => path && existsSync(path));
if (browser) await main(browser);
else console.log("ok not checked: no Chromium is installed here");
