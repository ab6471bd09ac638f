"""A real `Memory` of mem0ai 2.2.1 on a local store: what it shows is migrated from its directory,
validated, read by Zep's own client, and undone.

The library is unchanged and uses Qdrant's local mode; its embeddings and its model are a stand-in for
OpenAI's API on loopback. It stays open while it is read, as an application would keep it.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ["MEM0_TELEMETRY"] = "False"
os.environ["MEM0_DIR"] = tempfile.mkdtemp()

from mem0 import Memory  # noqa: E402
from peer import BINARY, check, emulator, finish  # noqa: E402
from zep_cloud.client import Zep  # noqa: E402

ZEP_KEY = "z_peer-5d1f"
DIMENSIONS = 64


def vector(text):
    digest = hashlib.sha512(text.encode()).digest()
    return [byte / 255 - 0.5 for byte in digest]


class OpenAi(BaseHTTPRequestHandler):
    """Embeddings that depend on the text alone, and a model that finds two facts in everything."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/embeddings"):
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            data = [{"object": "embedding", "index": n, "embedding": vector(text)} for n, text in enumerate(texts)]
            answer = {"object": "list", "model": "stub", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        else:
            said = hashlib.md5(json.dumps(asked["messages"]).encode()).hexdigest()[:8]
            facts = [{"text": f"Fact {n} of {said}", "attributed_to": "user"} for n in range(2)]
            message = {"role": "assistant", "content": json.dumps({"memory": facts})}
            answer = {
                "id": "c",
                "object": "chat.completion",
                "created": 0,
                "model": "stub",
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def openai():
    server = ThreadingHTTPServer(("127.0.0.1", 0), OpenAi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()


def library(directory, url):
    service = {"openai_base_url": url, "api_key": "none"}
    return Memory.from_config(
        {
            "embedder": {"provider": "openai", "config": {**service, "embedding_dims": DIMENSIONS}},
            "llm": {"provider": "openai", "config": service},
            "vector_store": {
                "provider": "qdrant",
                "config": {
                    "path": str(directory / "qdrant"),
                    "embedding_model_dims": DIMENSIONS,
                    "on_disk": True,
                },
            },
            "history_db_path": str(directory / "history.db"),
        }
    )


def fill(memory):
    """Memories of people, agents and runs; some edited, some deleted, some drawn by the model."""
    for n in range(120):
        memory.add(f"ann likes number {n} ☕", user_id="ann", infer=False, metadata={"n": n, "in": {"a": [n]}})
    turns = [
        {"role": "user", "content": "I moved to Lima", "name": "Ben"},
        {"role": "assistant", "content": "When was that?"},
        {"role": "user", "content": "In May"},
    ]
    memory.add(turns, user_id="ben", run_id="monday", infer=False)
    memory.add(turns, user_id="ben", run_id="tuesday")
    memory.add("the bot is patient", agent_id="bot", infer=False)
    memory.add("status of the order", user_id="ben", infer=False, metadata={"status": "archived"})
    listed = memory.get_all(filters={"user_id": "ann"}, top_k=1000)["results"]
    memory.update(listed[0]["id"], "ann likes none of them")
    for each in listed[1:11]:
        memory.delete(each["id"])
    return {each["memory"] for each in listed[1:11]}


def shown(memory):
    """What the library shows, by id."""
    filters = [{"user_id": "ann"}, {"user_id": "ben"}, {"agent_id": "bot"}]
    found = [memory.get_all(filters=each, top_k=1000)["results"] for each in filters]
    return {each["id"]: each for results in found for each in results}


def command(home, url, *arguments):
    environment = {"HOME": str(home), "ZEP_API_URL": url, "ZEP_API_KEY": ZEP_KEY, "LOG_LEVEL": "warn"}
    done = subprocess.run(
        [BINARY, *arguments], env=environment, cwd=home, capture_output=True, text=True, timeout=600
    )
    assert ZEP_KEY not in done.stdout + done.stderr, "the key is shown"
    return done


def read(zep, expected, deleted):
    """Zep's own client finds each memory once."""
    people = {user.user_id for user in zep.user.list_ordered(page_size=100).users}
    assert people == {"ann", "ben"}, people
    texts = []
    for user in people:
        episodes = zep.graph.episode.get_by_user_id(user, lastn=1000).episodes
        texts += [each.content for each in episodes]
    wanted = sorted(each["memory"] for each in expected.values() if each.get("user_id"))
    assert sorted(texts) == wanted, (len(texts), len(wanted))
    assert not deleted & set(texts), "what was deleted came back"
    monday = zep.thread.get("monday", limit=100).messages
    assert [message.content for message in monday] == ["I moved to Lima", "When was that?", "In May"]
    assert monday[0].name == "Ben", monday[0]


def main():
    with (
        openai() as model,
        emulator() as url,
        tempfile.TemporaryDirectory() as home,
        tempfile.TemporaryDirectory() as directory,
    ):
        home, directory = Path(home), Path(directory)
        memory = library(directory, model)
        deleted = fill(memory)
        expected = shown(memory)
        source = ["--from", "mem0-dir", str(directory)]
        runs = []

        def migrate(*arguments):
            done = command(home, url, "migrate", *source, *arguments, "--json")
            report = json.loads(done.stdout)
            assert done.returncode == 0 and report["success"], done.stdout + done.stderr
            runs.insert(0, report["run"])
            return report

        zep = Zep(api_key=ZEP_KEY, base_url=f"{url}/api/v2")

        with check("the directory is migrated and valid while the library has it open"):
            report = migrate("--validate")
            assert report["memories_migrated"] == len(expected), (report["memories_migrated"], len(expected))
            assert report["validation"]["valid"], report["validation"]
        with check("zep-cloud finds each memory once, and none that was deleted"):
            read(zep, expected, deleted)
        with check("the library writes on, and the next run moves what is new"):
            memory.add("ann has a cat", user_id="ann", infer=False)
            assert migrate()["memories_migrated"] == 1
        with check("the turns that facts were drawn from come on request"):
            assert migrate("--history", "--validate")["memories_migrated"] == 3
            tuesday = [message.content for message in zep.thread.get("tuesday", limit=100).messages]
            said = [text for text in tuesday if not text.startswith("Fact ")]
            assert said == ["I moved to Lima", "When was that?", "In May"], tuesday
        with check("rollback removes all of it"):
            for run in runs:
                done = command(home, url, "rollback", "--run", run, "--yes", "--json")
                assert done.returncode == 0, done.stdout + done.stderr
            left = zep.user.list_ordered(page_size=100).users or []
            assert not left, [user.user_id for user in left]
        with check("the library has what it had"):
            now = shown(memory)
            assert {key: now[key] for key in expected} == expected
    finish()


main()
