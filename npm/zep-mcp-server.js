#!/usr/bin/env node
// Runs this platform's binary, which npm installed as the optional dependency with matching `os`,
// `cpu` and `libc`.
"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const { optionalDependencies } = require("./package.json");

/** The packages that run on this machine, best first. */
function packages() {
  const own = `@zep-mcp-server/${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return [own];
  // The musl binary is static and runs on any Linux.
  return usesGlibc() ? [own, `${own}-musl`] : [`${own}-musl`];
}

function usesGlibc() {
  // Without this, the report resolves the host name of every open connection.
  process.report.excludeNetwork = true;
  return Boolean(process.report.getReport().header.glibcVersionRuntime);
}

function binary() {
  const file = process.platform === "win32" ? "zep-mcp-server.exe" : "zep-mcp-server";
  for (const name of packages()) {
    try {
      return require.resolve(`${name}/bin/${file}`);
    } catch {
      // Not installed; try the next.
    }
  }
  return null;
}

function missing() {
  const [name] = packages();
  const known = Object.keys(optionalDependencies);
  if (!known.includes(name)) {
    const places = known.map((each) => each.split("/")[1]).join(", ");
    return (
      `there is no binary for ${name.split("/")[1]}, only for ${places}. ` +
      "With a Rust toolchain: cargo install --locked --profile dist zep-mcp-server"
    );
  }
  return (
    `the package ${name} is not installed. It is an optional dependency: install ` +
    "zep-mcp-server again without --omit=optional, and not from another machine's node_modules"
  );
}

function run(file) {
  const child = spawn(file, process.argv.slice(2), { stdio: "inherit", windowsHide: true });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // On Windows the console sends Ctrl-C to both processes, and `kill` would end the child at once.
      if (process.platform !== "win32") child.kill(signal);
    });
  }
  child.on("error", (error) => fail(`${file} could not be started: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) {
      process.exitCode = code;
      return;
    }
    process.exitCode = 128 + constants.signals[signal];
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function fail(problem) {
  console.error(`zep-mcp-server: ${problem}`);
  process.exitCode = 1;
}

const file = binary();
if (file === null) fail(missing());
else run(file);
