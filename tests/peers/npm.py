"""`npx -y zep-mcp-server` from a registry that holds the assembled packages: npm chooses the one of
this platform, and the server serves over stdio. What starts the binary passes on its signals and
how it ended, and says which platform is missing."""

import asyncio
import base64
import hashlib
import http.server
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import urllib.parse
from pathlib import Path

from installed import serves
from peer import BINARY, check, finish

ROOT = Path(__file__).resolve().parents[2]
TARGETS = [
    f"{processor}-{system}"
    for system in ["unknown-linux-gnu", "unknown-linux-musl", "apple-darwin", "pc-windows-msvc"]
    for processor in ["x86_64", "aarch64"]
]


def here():
    """This machine's target, and the name of its package."""
    processor = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())
    cpu = {"x86_64": "x64", "aarch64": "arm64"}[processor]
    if platform.system() == "Darwin":
        return f"{processor}-apple-darwin", f"@zep-mcp-server/darwin-{cpu}"
    if platform.libc_ver()[0] == "glibc":
        return f"{processor}-unknown-linux-gnu", f"@zep-mcp-server/linux-{cpu}"
    return f"{processor}-unknown-linux-musl", f"@zep-mcp-server/linux-{cpu}-musl"


def run(command, **options):
    done = subprocess.run(
        [*map(str, command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        **options,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}: {(done.stderr or '')[-500:]}"
    return done.stdout


def packed(out, settings):
    """All packages as npm packs them: this machine's with the binary, the others with a dummy."""
    target, _ = here()
    dummy = out / "dummy"
    dummy.write_text("not for this machine")
    binaries = [f"{each}={BINARY if each == target else dummy}" for each in TARGETS]
    run(["node", ROOT / "npm" / "assemble.mjs", out / "packages", *binaries])
    archives = out / "archives"
    archives.mkdir()
    packages = (out / "packages").iterdir()
    run(["npm", "pack", "--pack-destination", archives, *packages], env=settings)
    return sorted(archives.iterdir())


class Registry:
    """A registry of npm on loopback, with these packages only."""

    def __init__(self, archives):
        self.packages = {}
        self.archives = {archive.name: archive.read_bytes() for archive in archives}
        self.asked = []
        for archive in archives:
            with tarfile.open(archive) as content:
                manifest = json.load(content.extractfile("package/package.json"))
            self.packages[manifest["name"]] = (manifest, archive.name)
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                registry.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        path = urllib.parse.unquote(request.path.lstrip("/"))
        self.asked.append(path)
        content = None
        if path.startswith("archives/"):
            content = self.archives[path.removeprefix("archives/")]
        elif path in self.packages:
            content = json.dumps(self.description(path)).encode()
        request.send_response(404 if content is None else 200)
        request.end_headers()
        request.wfile.write(content or b"{}")

    def description(self, name):
        manifest, archive = self.packages[name]
        digest = hashlib.sha512(self.archives[archive]).digest()
        dist = {
            "tarball": f"{self.url}/archives/{archive}",
            "integrity": f"sha512-{base64.b64encode(digest).decode()}",
        }
        version = manifest["version"]
        return {
            "name": name,
            "dist-tags": {"latest": version},
            "versions": {version: {**manifest, "dist": dist}},
        }


def left_to_itself(launcher, settings):
    """The launcher, serving, and the process that it started."""
    running = subprocess.Popen(
        ["node", launcher, "emulate", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=settings,
    )
    assert re.search(r"http://\S+", running.stdout.readline())
    children = f"/proc/{running.pid}/task/{running.pid}/children"
    child = int(Path(children).read_text().split()[0]) if os.path.exists(children) else None
    return running, child


async def main():
    for program in ["node", "npm", "npx"]:
        assert shutil.which(program), f"{program} is needed, and not on the PATH"
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "npm_config_cache": str(directory / "cache"),
            "npm_config_update_notifier": "false",
            "LOG_LEVEL": "warn",
        }
        archives = None
        with check("npm packs the packages of all eight platforms, and the one that starts them"):
            # A cache of its own: out of it npm would install what it has packed.
            archives = packed(
                directory, {**settings, "npm_config_cache": str(directory / "packing")}
            )
            assert len(archives) == 9, archives
        if archives is None:
            finish()
        registry = Registry(archives)
        settings["npm_config_registry"] = registry.url
        empty = directory / "empty"
        empty.mkdir()
        command = ["npx", "-y", "zep-mcp-server"]
        await serves("npx -y zep-mcp-server", command, settings, empty)
        with check("npm fetched the launcher and this platform's binary, and no other"):
            _, own = here()
            fetched = {path for path in registry.asked if path.startswith("archives/")}
            wanted = {f"archives/{registry.packages[name][1]}" for name in ["zep-mcp-server", own]}
            assert fetched == wanted, fetched
        project = directory / "project"
        project.mkdir()
        with check("npm installs it into a project"):
            run(["npm", "install", "--prefix", project, "zep-mcp-server"], env=settings)
        await serves(
            "npx in a project", ["npx", "--no-install", "zep-mcp-server"], settings, project
        )
        launcher = project / "node_modules" / "zep-mcp-server" / "zep-mcp-server.js"
        with check("the launcher ends with the binary's code"):
            for arguments, code in [(["--version"], 0), (["--no-such-flag"], 2)]:
                done = subprocess.run(["node", launcher, *arguments], capture_output=True)
                assert done.returncode == code, (arguments, done)
        for name in ["SIGTERM", "SIGINT"]:
            with check(f"the launcher passes {name} on, and leaves no process behind"):
                running, child = left_to_itself(launcher, settings)
                running.send_signal(getattr(signal, name))
                assert running.wait(timeout=60) == 0, running.returncode
                assert child is None or not os.path.exists(f"/proc/{child}"), child
        with check("the launcher dies by the signal that the binary died by"):
            running, child = left_to_itself(launcher, settings)
            if child is None:
                running.terminate()
                running.wait(timeout=60)
            else:
                os.kill(child, signal.SIGKILL)
                assert running.wait(timeout=60) == -signal.SIGKILL, running.returncode
        with check("the launcher names a package that is missing, and a platform that has none"):
            shutil.rmtree(project / "node_modules" / "@zep-mcp-server")
            done = subprocess.run(["node", launcher], capture_output=True, text=True)
            assert done.returncode == 1 and own in done.stderr, done
            odd = "Object.defineProperty(process, 'arch', {value: 'mips'})"
            (directory / "odd.cjs").write_text(odd)
            done = subprocess.run(
                ["node", "--require", directory / "odd.cjs", launcher],
                capture_output=True,
                text=True,
            )
            assert done.returncode == 1 and "-mips" in done.stderr, done
            assert "cargo install" in done.stderr, done
    finish()


asyncio.run(main())
