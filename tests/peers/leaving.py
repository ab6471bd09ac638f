"""Nobody is locked in: what the embedded store holds moves to Zep with one command, where Zep's official
client (zep-cloud 3.30.0) reads it; and mem0's own command line (mem0-cli 0.2.13) imports what is
exported for it, in front of a stand-in for mem0's API."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from commands import command
from peer import BINARY, check, emulator, finish
from server import API_KEY, embedded, in_front_of
from stored import episodes_of, messages_of, threads_of
from zep_cloud.client import Zep

DUMP = Path(__file__).parents[1] / "fixtures" / "export" / "mem0-get-all.jsonl"


def exported(environment, *arguments):
    """Exports to standard output; answers its lines."""
    done = subprocess.run(
        [BINARY, "export", "--to-file", "-", *arguments],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment, "LOG_LEVEL": "warn"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def mem0():
    """A stand-in for mem0's API that keeps what is added."""
    added = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def do_GET(self):
            self.answer({})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "messages" in body:
                added.append(body)
            self.answer({"results": []})

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", added
    finally:
        server.shutdown()


def main():
    with embedded() as store, emulator() as address:
        report, code = command(address, "migrate", "--file", DUMP, **store)
        assert code == 0, report
        directory = store["ZEP_MCP_DATA_DIR"]
        with check("the embedded store moves to Zep with one command, and is validated"):
            report, code = command(
                address, "migrate", "--from", "local", directory, "--validate"
            )
            assert code == 0 and report["validation"]["valid"], report
        memories = [json.loads(line) for line in exported(store).splitlines()]
        memories = [line for line in memories if "memory" in line]
        assert len(memories) == report["memories_migrated"] > 100
        zep = Zep(api_key=API_KEY, base_url=f"{address}/api/v2", timeout=60)
        with check(f"the official client reads all {len(memories)} memories there, each once"):
            for user in {line["user_id"] for line in memories if "user_id" in line}:
                own = [line for line in memories if line.get("user_id") == user]
                threads = threads_of(zep, user)
                for session in {line["run_id"] for line in own if "run_id" in line}:
                    there = messages_of(zep, threads[session])
                    said = sorted(line["id"] for line in own if line.get("run_id") == session)
                    assert sorted(one.metadata["zm_id"] for one in there) == said, session
                texts = sorted(line["id"] for line in own if "run_id" not in line)
                there = episodes_of(zep, user, False)
                assert sorted(one.metadata["zm_id"] for one in there) == texts, user
        with check("what is exported from Zep is what is exported from the store"):
            def of(lines):
                lines = [json.loads(line) for line in lines.splitlines()]
                return sorted((line for line in lines if "metadata" in line), key=json.dumps)

            assert of(exported(in_front_of(address))) == of(exported(store))
        with check("mem0's own command line imports every memory"), mem0() as (url, added):
            with tempfile.TemporaryDirectory() as home:
                file = Path(home) / "memories.json"
                file.write_text(exported(store, "--format", "mem0"))
                done = subprocess.run(
                    [Path(sys.executable).with_name("mem0"), "import", file, "--output", "json",
                     "--api-key", "m0-peer", "--base-url", url],
                    env={**os.environ, "HOME": home},
                    capture_output=True,
                    encoding="utf-8",
                    timeout=60,
                )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["data"] == {"added": len(memories), "failed": 0}
            wanted = sorted((m["memory"], m.get("user_id"), m.get("agent_id")) for m in memories)
            got = sorted(
                (a["messages"][0]["content"], a.get("user_id"), a.get("agent_id")) for a in added
            )
            assert list(map(str, got)) == list(map(str, wanted))
    finish()


main()
