#!/usr/bin/env node
// Assembles the npm packages: the launcher `zep-mcp-server`, and one package per platform with its
// binary.
//
//     node npm/assemble.mjs OUT TARGET=BINARY …
//
// OUT must not exist; it gets one directory per package. TARGET is a Rust target listed below. The
// launcher is always made and depends on all platforms. Version, description, keywords, licence and
// repository come from Cargo.toml. Needs cargo and Node.js 18 or later.

import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

// npm, pnpm and yarn select by `libc` on Linux; the launcher derives the same names.
const PLATFORMS = {
  "x86_64-unknown-linux-gnu": { os: "linux", cpu: "x64", libc: "glibc" },
  "aarch64-unknown-linux-gnu": { os: "linux", cpu: "arm64", libc: "glibc" },
  "x86_64-unknown-linux-musl": { os: "linux", cpu: "x64", libc: "musl" },
  "aarch64-unknown-linux-musl": { os: "linux", cpu: "arm64", libc: "musl" },
  "x86_64-apple-darwin": { os: "darwin", cpu: "x64" },
  "aarch64-apple-darwin": { os: "darwin", cpu: "arm64" },
  "x86_64-pc-windows-msvc": { os: "win32", cpu: "x64" },
  "aarch64-pc-windows-msvc": { os: "win32", cpu: "arm64" },
};

function place({ os, cpu, libc }) {
  return `${os}-${cpu}${libc === "musl" ? "-musl" : ""}`;
}

function crate() {
  const found = execFileSync(
    "cargo",
    ["metadata", "--no-deps", "--format-version=1", "--manifest-path", join(ROOT, "Cargo.toml")],
    { encoding: "utf8", maxBuffer: 16 * 1024 * 1024 },
  );
  return JSON.parse(found).packages.find(({ name }) => name === "zep-mcp-server");
}

/** The name in server.json, which the MCP registry looks for in the package. */
function mcpName({ repository }) {
  const owner = /^https:\/\/github\.com\/([^/]+)\//.exec(repository ?? "")?.[1];
  return owner && `io.github.${owner}/zep-mcp-server`;
}

/** Fields of every manifest. */
function common({ version, license, repository }) {
  return {
    version,
    license,
    ...(repository && { repository: { type: "git", url: `git+${repository}.git` } }),
    // Scoped packages are private by default.
    publishConfig: { access: "public" },
  };
}

function write(directory, manifest) {
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  copyFileSync(join(ROOT, "LICENSE"), join(directory, "LICENSE"));
}

function launcher(out, about) {
  const directory = join(out, "zep-mcp-server");
  mkdirSync(directory);
  copyFileSync(join(ROOT, "npm", "zep-mcp-server.js"), join(directory, "zep-mcp-server.js"));
  copyFileSync(join(ROOT, "README.md"), join(directory, "README.md"));
  const names = Object.values(PLATFORMS).map((each) => `@zep-mcp-server/${place(each)}`);
  write(directory, {
    name: "zep-mcp-server",
    description: about.description,
    keywords: about.keywords,
    ...(mcpName(about) && { mcpName: mcpName(about) }),
    ...common(about),
    bin: { "zep-mcp-server": "zep-mcp-server.js" },
    files: ["zep-mcp-server.js"],
    engines: { node: ">=18" },
    optionalDependencies: Object.fromEntries(names.map((name) => [name, about.version])),
  });
}

function platform(out, about, target, binary) {
  const { os, cpu, libc } = PLATFORMS[target];
  const name = place(PLATFORMS[target]);
  const directory = join(out, name);
  mkdirSync(join(directory, "bin"), { recursive: true });
  const file = join(directory, "bin", os === "win32" ? "zep-mcp-server.exe" : "zep-mcp-server");
  copyFileSync(binary, file);
  // Workflow artefacts lose the executable bit.
  chmodSync(file, 0o755);
  writeFileSync(
    join(directory, "README.md"),
    `The binary of [zep-mcp-server](https://www.npmjs.com/package/zep-mcp-server) for ${target}.\n` +
      "Install that package instead: it depends on this one.\n",
  );
  write(directory, {
    name: `@zep-mcp-server/${name}`,
    description: `The binary of zep-mcp-server for ${target}`,
    ...common(about),
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    files: ["bin"],
    // Yarn cannot run a binary inside its zip archive.
    preferUnplugged: true,
  });
}

function main([out, ...pairs]) {
  const binaries = pairs.map((pair) => [
    pair.slice(0, pair.indexOf("=")),
    pair.slice(pair.indexOf("=") + 1),
  ]);
  const unknown = binaries.find(([target]) => !(target in PLATFORMS));
  if (!out || unknown) {
    console.error("usage: node npm/assemble.mjs OUT TARGET=BINARY …");
    console.error(`targets: ${Object.keys(PLATFORMS).join(" ")}`);
    process.exit(2);
  }
  mkdirSync(out);
  const about = crate();
  launcher(out, about);
  for (const [target, binary] of binaries) platform(out, about, target, binary);
}

main(process.argv.slice(2));
