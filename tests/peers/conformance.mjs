// MCP's own conformance suite: every scenario for servers that asks for nothing but what a server of
// tools and prompts has passes; the others are listed with what they ask for, and fail for that and
// nothing else.

import { ok, strictEqual } from "node:assert";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { directory, embedded, listening, PATIENCE } from "./network.mjs";
import { check } from "./peer.mjs";

const PACKAGES = join(process.env.PEER_PACKAGES, "node_modules");
const SUITE = join(PACKAGES, "@modelcontextprotocol/conformance/dist/index.js");
// The suite needs a newer Node.js than the other peers; `run` has put it beside it.
const NODE = join(
  PACKAGES,
  readdirSync(PACKAGES).find((name) => /^node(-bin)?-(linux|darwin)-/.test(name)),
  "bin/node",
);

// A tool, a prompt or a resource that only the suite's own example server has.
const noTool = (name) => ({
  asks: `calls its own tool ${name}`,
  fails: new RegExp(`tool not found: \`${name}\``),
});
const noPrompt = (name) => ({
  asks: `gets its own prompt ${name}`,
  fails: new RegExp(`prompt '${name}' not found`),
});
const noResource = { asks: "reads its own resources; we have none", fails: /-32601: resources\// };

const DO_NOT_APPLY = {
  "tools-call-simple-text": noTool("test_simple_text"),
  "tools-call-image": noTool("test_image_content"),
  "tools-call-audio": noTool("test_audio_content"),
  "tools-call-embedded-resource": noTool("test_embedded_resource"),
  "tools-call-mixed-content": noTool("test_multiple_content_types"),
  "tools-call-error": noTool("test_error_handling"),
  "tools-call-with-progress": noTool("test_tool_with_progress"),
  "tools-call-sampling": noTool("test_sampling"),
  "tools-call-elicitation": noTool("test_elicitation"),
  "elicitation-sep1034-defaults": noTool("test_elicitation_sep1034_defaults"),
  "elicitation-sep1330-enums": noTool("test_elicitation_sep1330_enums"),
  "json-schema-2020-12": {
    asks: "looks for its own tool json_schema_2020_12_tool",
    fails: /Tool 'json_schema_2020_12_tool' not found/,
  },
  "logging-set-level": {
    asks: "sets the level of log messages to the client; we send none",
    fails: /-32601: logging\/setLevel/,
  },
  "tools-call-with-logging": {
    asks: "sets that level, too, and calls its own tool test_tool_with_logging",
    fails: /-32601: logging\/setLevel/,
  },
  "resources-read-text": noResource,
  "resources-read-binary": noResource,
  "resources-templates-read": noResource,
  "resources-subscribe": noResource,
  "resources-unsubscribe": noResource,
  "prompts-get-simple": noPrompt("test_simple_prompt"),
  "prompts-get-with-args": noPrompt("test_prompt_with_arguments"),
  "prompts-get-embedded-resource": noPrompt("test_prompt_with_embedded_resource"),
  "prompts-get-with-image": noPrompt("test_prompt_with_image"),
};

// What applies in part: the warnings of the other part.
const APPLY_IN_PART = {
  // Its own tool test_reconnection closes the stream in the middle of a call.
  "server-sse-polling": ["server-sse-disconnect-resume"],
};

/** What the suite says; it ends with an error if any scenario fails. */
function suite(...request) {
  try {
    const options = { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 10 * PATIENCE };
    return execFileSync(NODE, [SUITE, ...request], options);
  } catch (error) {
    if (error.status === null || error.status === undefined) throw error;
    return error.stdout;
  }
}

/** The checks that were made in each scenario. */
function checksIn(results) {
  const all = {};
  for (const name of readdirSync(results)) {
    const [, scenario] = name.match(/^server-(.+)-\d{4}-\d\d-\d\dT/);
    all[scenario] = JSON.parse(readFileSync(join(results, name, "checks.json"), "utf8"));
  }
  return all;
}

const listed = suite("list", "--server");
const scenarios = [...listed.matchAll(/^ +- (\S+)/gm)].map(([, name]) => name);

await check("the table of what does not apply names scenarios of the suite", () => {
  for (const name of Object.keys(DO_NOT_APPLY)) ok(scenarios.includes(name), name);
});

let made = {};
await check("the suite runs through against a server without anything in it", () =>
  embedded((settings) =>
    listening(settings, ({ url }) =>
      directory((results) => {
        suite("server", "--url", `${url}/mcp`, "--suite", "all", "--output-dir", results);
        made = checksIn(results);
        for (const name of scenarios) ok(made[name], `${name} was not run`);
      }),
    ),
  ),
);

for (const name of scenarios.filter((each) => !(each in DO_NOT_APPLY))) {
  await check(`conformance: ${name}`, () => {
    const checks = made[name] ?? [];
    const bad = checks.filter(
      ({ id, status }) =>
        status !== "SUCCESS" && status !== "INFO" && !APPLY_IN_PART[name]?.includes(id),
    );
    strictEqual(bad.length, 0, bad.map((each) => `${each.id}: ${each.errorMessage}`).join("; "));
    ok(checks.some(({ status }) => status === "SUCCESS"), "nothing was checked");
  });
}

await check("what does not apply fails for what it asks for, and for nothing else", () => {
  for (const [name, { fails }] of Object.entries(DO_NOT_APPLY)) {
    const failures = (made[name] ?? []).filter(({ status }) => status === "FAILURE");
    ok(failures.length > 0, `${name} applies: it passes`);
    for (const { errorMessage } of failures) ok(fails.test(errorMessage), `${name}: ${errorMessage}`);
  }
});

for (const [name, { asks }] of Object.entries(DO_NOT_APPLY)) {
  console.log(`  does not apply: ${name}: ${asks}`);
}
