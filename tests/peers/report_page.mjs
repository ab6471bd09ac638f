// The report of a migration as a page, in a real headless browser (Chromium from npm): what a person
// sees in the light, in the dark, on a phone, and that names from a source stay text.

import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { pathToFileURL } from "node:url";

import { check, emulator } from "./peer.mjs";

const BINARY = process.argv[2] ?? process.env.ZEP_MCP_SERVER_BIN;
const PACKAGES = createRequire(process.env.PEER_PACKAGES + sep);
const HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>';
const SECRET = "the patient's own words";

/** A package of this peer's environment that is a module. */
async function load(name) {
  const module = await import(pathToFileURL(PACKAGES.resolve(name)));
  return module.default;
}

/** Migrates people with odd names, and writes the report of the run. */
function report(address, directory) {
  const memories = (user) =>
    Array.from({ length: 40 }, (_, n) => ({
      id: `${user.length}-${n}`,
      user_id: user,
      run_id: n % 2 ? `${HOSTILE} ${n % 3}` : null,
      memory: `${SECRET} ${n}`,
      created_at: `2024-01-${String(1 + (n % 28)).padStart(2, "0")}T10:00:00Z`,
    }));
  const export_ = [...memories(HOSTILE), ...memories("נועם לוי"), ...memories("w".repeat(200))];
  // One that cannot be migrated, so that the page has reasons to list.
  export_.push({ id: "long", user_id: "x".repeat(5_000), memory: SECRET });
  const file = join(directory, "export.json");
  writeFileSync(file, JSON.stringify(export_));
  const env = {
    ...process.env,
    ZEP_API_URL: address,
    ZEP_API_KEY: "z_peer",
    ZEP_MCP_DATA_DIR: join(directory, "data"),
    LOG_LEVEL: "error",
  };
  const run = (...command) => execFileSync(BINARY, command, { env, stdio: "pipe" });
  try {
    run("migrate", "--file", file, "--validate");
  } catch (error) {
    strictEqual(error.status, 1, String(error.stderr));
  }
  const page = join(directory, "report.html");
  run("report", "--html", page);
  return page;
}

/** The contrast of two colours, as WCAG 2.2 defines it. */
function contrast(one, other) {
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\d.]+/g).map((value) => {
      const part = Number(value) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

async function looks(browser, file) {
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
  const url = pathToFileURL(file).href;
  await page.goto(url, { waitUntil: "networkidle0" });
  // What is drawn in charts is not of the inner text.
  const text = await page.evaluate(() => document.body.textContent);

  await check("the page asks for nothing else, runs nothing and complains of nothing", async () => {
    deepStrictEqual(requests, [url]);
    deepStrictEqual(said, []);
    strictEqual(await page.evaluate(() => document.querySelectorAll("script, img").length), 0);
  });
  await check("names from the source stay text", () => {
    ok(text.includes(HOSTILE), `${text.length}: ${text.slice(0, 5000)}`);
    ok(text.includes("נועם לוי"));
  });
  await check("it never says what a memory says", () => {
    ok(!readFileSync(file, "utf8").includes(SECRET));
  });
  await check("it has the counts, the charts, the matrix and the reasons", async () => {
    for (const word of ["moved", "120", "Validation", "Records by type", "Progress over time"]) {
      ok(text.includes(word), word);
    }
    ok((await page.evaluate(() => document.querySelectorAll("svg rect").length)) > 0);
    ok(text.includes("user_id"), "the record that failed is named by its field");
  });
  for (const scheme of ["light", "dark"]) {
    await check(`it is readable in the ${scheme}`, async () => {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      const colors = await page.evaluate(() => {
        const back = getComputedStyle(document.body).backgroundColor;
        const of = (selector) => getComputedStyle(document.querySelector(selector)).color;
        return [back, of("body"), of(".dim"), of(".badge"), of("th")];
      });
      const [back, ...texts] = colors;
      for (const color of texts) ok(contrast(back, color) >= 4.5, colors.join("; "));
      const isDark = contrast(back, "rgb(0, 0, 0)") < contrast(back, "rgb(255, 255, 255)");
      strictEqual(isDark, scheme === "dark", back);
    });
  }
  await check("it fits a phone", async () => {
    await page.setViewport({ width: 360, height: 740 });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    ok(width <= 360, `${width} pixels`);
  });
  await check("axe finds nothing serious", async () => {
    // Its script is not of the page, whose policy refuses all scripts.
    const looked = await browser.newPage();
    await looked.setBypassCSP(true);
    await looked.goto(url);
    await looked.addScriptTag({ path: PACKAGES.resolve("axe-core") });
    const { violations } = await looked.evaluate(() => globalThis.axe.run());
    const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
    deepStrictEqual(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
  });
}

const directory = mkdtempSync(join(tmpdir(), "report-"));
try {
  // It is unpacked with the libraries that it needs, of which a machine may have none.
  process.env.TMPDIR = directory;
  process.env.AWS_LAMBDA_JS_RUNTIME = "nodejs22.x";
  const chromium = await load("@sparticuz/chromium");
  const puppeteer = await load("puppeteer-core");
  await emulator([], async (address) => {
    const file = report(address, directory);
    const executablePath = await chromium.executablePath();
    const launch = { executablePath, args: chromium.args, headless: "shell" };
    const browser = await puppeteer.launch(launch);
    try {
      await looks(browser, file);
    } finally {
      await browser.close();
    }
  });
} finally {
  rmSync(directory, { recursive: true, force: true });
}
