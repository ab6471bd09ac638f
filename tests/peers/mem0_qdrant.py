"""A real Memory of mem0ai on a Qdrant server, which a stand-in plays: mem0 fills it through its own
client (qdrant-client), and `migrate --from qdrant` moves all of it. What that client lists and counts
is what must arrive, and each request of ours must be one that it sends, too."""

import json
import os
import subprocess
import tempfile

import library
from peer import BINARY, check, finish
from stand_in import KEY, requests, stand_in

os.environ["MEM0_TELEMETRY"] = "False"
os.environ["MEM0_DIR"] = tempfile.mkdtemp()

from mem0 import Memory  # noqa: E402
from qdrant_client import QdrantClient, models  # noqa: E402


def migrate(url, home, *arguments):
    command = [BINARY, "migrate", "--from", "qdrant", "--qdrant-url", url, "--json", *arguments]
    settings = {"HOME": home, "QDRANT_API_KEY": KEY, "ZEP_MCP_DATA_DIR": os.path.join(home, "data")}
    done = subprocess.run(command, env=settings, cwd=home, capture_output=True, text=True, timeout=300)
    assert KEY not in done.stdout + done.stderr, "the key was shown"
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def shape(request):
    """What must be the same of a request of ours and one of the client: fields, and the key."""
    body = {name: value for name, value in (request["body"] or {}).items() if value is not None}
    return json.dumps(
        [request["method"], request["path"], sorted(body), request["headers"].get("api-key")]
    )


def scrolled(client, user=None):
    """All points, by the client, page by page; with a filter as mem0 makes it."""
    match = models.MatchAny(any=[user]) if user else None
    chosen = user and models.Filter(should=[models.FieldCondition(key="user_id", match=match)])
    points, offset = [], None
    while True:
        page, offset = client.scroll(
            "mem0", scroll_filter=chosen, limit=1000, offset=offset, with_payload=True, with_vectors=False
        )
        points += page
        if offset is None:
            assert client.count("mem0", count_filter=chosen, exact=True).count == len(points)
            return points


def main():
    with stand_in() as url, library.models() as of_models, tempfile.TemporaryDirectory() as home:
        of_store = {"url": url, "api_key": KEY}
        config = library.configuration(home, "qdrant", of_models, **of_store)
        memory = Memory.from_config(config)
        kept = library.filled(memory, True)
        # More than a page.
        more = [
            models.PointStruct(
                id=f"{n:08x}-0000-4000-8000-000000000000",
                vector=[0.0] * library.SIZE,
                payload={"data": f"cleo counts {n}", "hash": "h", "user_id": "cleo"},
            )
            for n in range(1500)
        ]
        client = QdrantClient(url=url, api_key=KEY)
        client.upsert("mem0", more)
        total = len(kept) + len(more)
        with check("mem0's own client lists and counts what mem0 and we stored"):
            assert len(scrolled(client)) == total
            assert len(scrolled(client, "ann")) == 132
            client.facet("mem0", key="user_id", limit=10, exact=True)
            client.get_collections()
        of_client = {shape(request) for request in requests(url)}
        before = len(requests(url))
        with check("all of it is migrated, and validated; what expired is left out"):
            code, report = migrate(url, home, "--all", "--validate")
            assert code == 0 and report["validation"]["valid"], report
            assert report["memories_migrated"] == total - 1, report
            assert report["expired"] == 1, report
        with check("one user's are asked for alone, and are there already"):
            code, report = migrate(url, home, "--user", "ann")
            assert code == 0 and report["memories_migrated"] == 0, report
            assert report["already_there"] == 132, report
        with check("each request is one that Qdrant's own client sends"):
            unlike = [shape(each) for each in requests(url)[before:] if shape(each) not in of_client]
            assert not unlike, unlike[:3]
    finish()


main()
