#!/usr/bin/env node
// Runs the binary of this platform. npm has installed it as one of the optional dependencies: the
// one whose `os`, `cpu` and `libc` are this machine's.
"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const { optionalDependencies } = require("./package.json");

/** The packages that run here, the best first. */
function packages() {
  const own = `@zep-mcp-server/${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return [own];
  // The musl one is linked statically and runs on any Linux.
  return usesGlibc() ? [own, `${own}-musl`] : [`${own}-musl`];
}

function usesGlibc() {
  // Otherwise the report looks up the name of every open connection.
  process.report.excludeNetwork = true;
  return Boolean(process.report.getReport().header.glibcVersionRuntime);
}

function binary() {
  const file = process.platform === "win32" ? "zep-mcp-server.exe" : "zep-mcp-server";
  for (const name of packages()) {
    try {
      return require.resolve(`${name}/bin/${file}`);
    } catch {
      // Not installed: the next one may be.
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
      "With a Rust toolchain: cargo install zep-mcp-server"
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
      // On Windows the console tells both of Ctrl-C, and `kill` would leave no time to finish.
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
