"""mem0's own client fills a stand-in for mem0 Platform; `migrate --from mem0` moves all of it.

What the client lists is what must arrive, and each request of ours must be one that the client sends,
too: method, path, query, body, and the headers that matter.
"""

import json
import os
import subprocess
import tempfile

from peer import BINARY, check, finish
from stand_in import KEY, requests, stand_in


def migrate(url, home, *arguments):
    command = [BINARY, "migrate", "--from", "mem0", "--mem0-url", url, "--all", "--json", *arguments]
    settings = {"HOME": home, "MEM0_API_KEY": KEY, "ZEP_MCP_DATA_DIR": os.path.join(home, "data")}
    done = subprocess.run(command, env=settings, cwd=home, capture_output=True, text=True, timeout=300)
    assert KEY not in done.stdout + done.stderr, "the key was shown"
    return done.returncode, json.loads(done.stdout)


def fill(client):
    """Memories of several entities at once, expired ones, edited ones, with metadata."""
    for n in range(230):
        client.add(f"ann likes number {n}", user_id="ann", infer=False, metadata={"n": n, "in": {"a": [n]}})
    turns = [
        {"role": "user", "content": "I moved to Lima"},
        {"role": "assistant", "content": "When was that?"},
        {"role": "user", "content": "In May"},
    ]
    client.add(turns, user_id="ben", agent_id="bot", app_id="web", run_id="monday", timestamp=1735689600)
    client.add("the bot is patient", agent_id="bot")
    client.add("a run without a user", run_id="tuesday")
    client.add("a password that expired", user_id="ben", expiration_date="2020-01-01")
    edited = client.get_all(filters={"user_id": "ann"}, page=1, page_size=1)["results"][0]
    client.update(edited["id"], text="ann likes none of them", metadata={"edited": True})


def all_of(client):
    """What the client lists, entity by entity, by id; and each memory's history."""
    found = {}
    names = {"user": "user_id", "agent": "agent_id", "app": "app_id", "run": "run_id"}
    for entity in client.users()["results"]:
        page, more = 1, True
        while more:
            answer = client.get_all(
                filters={names[entity["type"]]: entity["name"]},
                show_expired=True,
                page=page,
                page_size=200,
            )
            found.update({memory["id"]: memory for memory in answer["results"]})
            page, more = page + 1, answer["next"] is not None
    for memory in found:
        client.history(memory)
    return found


def shape(request):
    """What must be the same of a request of ours and one of the client."""
    return json.dumps(
        [
            request["method"],
            request["path"],
            request["query"],
            request["body"],
            request["headers"].get("authorization"),
            # The client names it for requests without a body, too.
            request["headers"].get("content-type") if request["method"] != "GET" else None,
        ],
        sort_keys=True,
    )


def main():
    with stand_in() as url, tempfile.TemporaryDirectory() as home:
        os.environ.update({"MEM0_TELEMETRY": "False", "MEM0_DIR": os.path.join(home, ".mem0"), "HOME": home})
        from mem0 import MemoryClient

        client = MemoryClient(api_key=KEY, host=url)
        fill(client)
        before = len(requests(url))
        listed = all_of(client)
        of_client = {shape(request) for request in requests(url)}
        assert len(requests(url)) > before
        before = len(requests(url))
        code, report = migrate(url, home, "--history", "--include-expired", "--validate")
        ours = requests(url)[before:]
        with check("all that mem0's client lists is migrated, and validated"):
            assert code == 0 and report["success"], report
            # 231 turns: each of the memories that one message made, and the three of one conversation.
            turns = len(listed) - 3 + 3
            assert report["memories_migrated"] == len(listed) + turns, (len(listed), report)
            assert report["validation"]["valid"], report["validation"]
        with check("each request is one that mem0's client sends, but for the counts of wildcards"):
            counts = [request for request in ours if '"*"' in json.dumps(request["body"])]
            assert len(counts) <= 8, len(counts)
            unlike = [shape(each) for each in ours if each not in counts and shape(each) not in of_client]
            assert not unlike, unlike[:3]
        with check("a second run finds everything there"):
            code, report = migrate(url, home, "--history", "--include-expired")
            assert code == 0 and report["memories_migrated"] == 0, report
        with check("what expired stays gone unless it is asked for"):
            with tempfile.TemporaryDirectory() as other:
                code, report = migrate(url, other)
                assert code == 0 and report["expired"] == 1, report
                assert report["memories_migrated"] == len(listed) - 1, report
    finish()


if __name__ == "__main__":
    main()
