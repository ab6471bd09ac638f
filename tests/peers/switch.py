"""A newcomer's whole switch: what mem0's own client (mem0ai 2.2.1) stored behind a stand-in of mem0 is
moved by `switch` into the emulator, and read there by Zep's own client (zep-cloud 3.30.0). The host's
entry changes only then."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["MEM0_TELEMETRY"] = "False"
os.environ["MEM0_DIR"] = tempfile.mkdtemp()

from mem0 import MemoryClient  # noqa: E402
from peer import BINARY, check, emulator, finish  # noqa: E402
from stand_in import KEY as MEM0_KEY, stand_in  # noqa: E402
from zep_cloud.client import Zep  # noqa: E402

ZEP_KEY = "z_peer-5d1f"
PEOPLE = ("mara", "ñoño", "jürgen@example.com")
SESSIONS = 3
TURNS = 20


def said(person, session, number):
    return f"{person} in session {session}: sentence {number}, “ok”"


def remember(url):
    client = MemoryClient(api_key=MEM0_KEY, host=url)
    for person in PEOPLE:
        for session in range(SESSIONS):
            for number in range(TURNS):
                turn = {"role": "user", "content": said(person, session, number)}
                client.add([turn], user_id=person, run_id=f"{person}-{session}")
        client.add([{"role": "user", "content": f"{person} likes tea"}], user_id=person)


def switched(home, mem0_url, zep_url, *arguments):
    env = {
        "HOME": str(home),
        "MEM0_BASE_URL": mem0_url,
        "ZEP_API_URL": zep_url,
        "ZEP_API_KEY": ZEP_KEY,
        "LOG_LEVEL": "warn",
    }
    command = [BINARY, "switch", "--yes", "--host", "cursor", *arguments]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=600)
    assert ZEP_KEY not in done.stdout + done.stderr, "the key is shown"
    assert MEM0_KEY not in done.stdout + done.stderr, "the key is shown"
    return done


def read(zep):
    with check("zep-cloud finds everybody's sessions, each sentence once and in order"):
        for person in PEOPLE:
            threads = {thread.thread_id for thread in zep.user.get_threads(person)}
            assert threads == {f"{person}-{session}" for session in range(SESSIONS)}, threads
            for session in range(SESSIONS):
                messages = zep.thread.get(f"{person}-{session}", limit=1000).messages
                texts = [message.content for message in messages]
                assert texts == [said(person, session, n) for n in range(TURNS)], texts
    with check("zep-cloud finds the memories without a session"):
        for person in PEOPLE:
            episodes = zep.graph.episode.get_by_user_id(person, lastn=1000).episodes
            texts = [each.content for each in episodes if each.source == "text"]
            assert texts == [f"{person} likes tea"], texts


with stand_in() as mem0_url, emulator() as zep_url, tempfile.TemporaryDirectory() as home:
    home = Path(home)
    config = home / ".cursor" / "mcp.json"
    config.parent.mkdir()
    env = {"MEM0_API_KEY": MEM0_KEY, "MEM0_DEFAULT_USER_ID": "mara"}
    entry = {"command": "uvx", "args": ["mem0-mcp-server"], "env": env}
    before = json.dumps({"mcpServers": {"mem0": entry}}, indent=2)
    config.write_text(before)
    remember(mem0_url)
    with check("a rehearsal moves everything, and changes nothing"):
        done = switched(home, mem0_url, zep_url, "--rehearse")
        assert done.returncode == 0, done.stdout + done.stderr
        assert config.read_text() == before
    with check("switch moves what mem0's client stored, validates it, and changes the entry"):
        begun = time.monotonic()
        done = switched(home, mem0_url, zep_url, "--json")
        took = time.monotonic() - begun
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        count = len(PEOPLE) * (SESSIONS * TURNS + 1)
        assert answer["entry_changed"] is True
        assert answer["migration"]["memories_migrated"] == count, answer["migration"]
        assert answer["migration"]["validation"]["valid"] is True
        now = json.loads(config.read_text())["mcpServers"]["mem0"]
        assert now["command"].endswith("zep-mcp-server"), now
        assert {**env, "ZEP_API_KEY": ZEP_KEY} == {k: now["env"][k] for k in [*env, "ZEP_API_KEY"]}
        print(f"   {count} memories in {took:.2f} s")
    read(Zep(api_key=ZEP_KEY, base_url=f"{zep_url}/api/v2"))
    with check("undone, the file is as it was"):
        done = switched(home, mem0_url, zep_url, "--undo")
        assert done.returncode == 0, done.stdout + done.stderr
        assert config.read_text() == before

finish()
