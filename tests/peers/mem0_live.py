"""This server in front of a stand-in for mem0 Platform (`MEMORY_BACKEND=mem0`): an agent calls mem0's
nine tools, and mem0's own client looks on.

What the client lists afterwards is what was asked for, and each request of ours must be one that the
client sends, too.
"""

import asyncio
import os
import tempfile
import time
from urllib.parse import unquote

from mcp.types import ElicitResult
from mem0_platform import shape
from peer import check, finish
from server import connect
from stand_in import KEY, requests, stand_in

# Seconds for which something that is done in the background is waited for.
PATIENCE = 60

TRIP = [
    {"role": "user", "content": "Please book the night train to Lisbon"},
    {"role": "assistant", "content": "I have reserved the night train, coach 12"},
]
OF_TRIP = {"user_id": "ben", "agent_id": "bot", "app_id": "web", "run_id": "monday"}
METADATA = {"topic": "travel", "n": 3, "in": {"a": [1]}}


async def yes(_context, parameters):
    """Says yes to every question."""
    fields = (getattr(parameters, "requestedSchema", None) or {}).get("properties", {})
    accepted = {name: True for name, field in fields.items() if field.get("type") == "boolean"}
    return ElicitResult(action="accept", content=accepted)


class Mem0:
    """mem0's client in front of a stand-in."""

    def __init__(self, url):
        from mem0 import MemoryClient

        self.url = url
        self.client = MemoryClient(api_key=KEY, host=url)

    def texts(self, **entities):
        """The texts of the memories that have these entities, by id."""
        listed = self.client.get_all(filters={"AND": [{k: v} for k, v in entities.items()]})
        return {memory["id"]: memory["memory"] for memory in listed["results"]}

    async def until(self, wanted, **entities):
        """Waits until exactly these texts are listed; answers them by id."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.texts(**entities)
            if sorted(found.values()) == sorted(wanted):
                return found
            assert time.monotonic() < deadline, f"{entities}: {found}, not {wanted}"
            await asyncio.sleep(0.1)

    def entities(self):
        return {(entity["type"], entity["name"]) for entity in self.client.users()["results"]}

    def sends(self, call, *arguments, **named):
        """The shape of the request that the client sends for a call. What is answered does not matter."""
        from mem0.exceptions import MemoryError

        before = len(requests(self.url))
        try:
            getattr(self.client, call)(*arguments, **named)
        except MemoryError:
            pass
        (sent,) = requests(self.url)[before:]
        return shape(sent)


def ours(url):
    """The requests of this server: mem0's client says of its own that they are."""
    return [each for each in requests(url) if "x-mem0-client" not in each["headers"]]


def only(given, allowed):
    """The arguments, if they are some of these."""
    assert set(given) <= set(allowed), f"{set(given) - set(allowed)} is new to mem0's client"
    return given


def repeated(mem0, request):
    """The shape of what mem0's client sends to ask for the same as this request of ours."""
    method, query, body = request["method"], request["query"], request["body"] or {}
    names = {"user_id", "agent_id", "app_id", "run_id"}
    match method, [unquote(part) for part in request["path"].strip("/").split("/")]:
        case "POST", ["v3", "memories", "add"]:
            rest = {key: value for key, value in body.items() if key != "messages"}
            only(rest, names | {"metadata", "timestamp", "infer"})
            assert rest.get("infer", False) is False, "`infer` is sent though it is usual"
            return mem0.sends("add", body["messages"], **rest)
        case "POST", ["v3", "memories", "search"]:
            rest = {key: value for key, value in body.items() if key != "query"}
            return mem0.sends("search", body["query"], **only(rest, {"filters", "top_k", "threshold"}))
        case "POST", ["v3", "memories"]:
            pages = {key: int(value) for key, value in only(query, {"page", "page_size"}).items()}
            return mem0.sends("get_all", **only(body, {"filters"}), **pages)
        case "GET", ["v1", "memories", memory]:
            return mem0.sends("get", memory)
        case "PUT", ["v1", "memories", memory]:
            return mem0.sends("update", memory, **only(body, {"text", "metadata"}))
        case "DELETE", ["v1", "memories", memory]:
            return mem0.sends("delete", memory)
        case "DELETE", ["v1", "memories"]:
            return mem0.sends("delete_all", **only(query, names))
        case "GET", ["v1", "entities"]:
            return mem0.sends("users")
        case "DELETE", ["v2", "entities", kind, name]:
            return mem0.sends("delete_users", **{f"{kind}_id": name})
        case "GET", ["v1", "event" | "ping", *_]:
            # The client has no call for the first, and makes the second only as it starts.
            assert not query and not body, request
            assert request["headers"]["authorization"] == f"Token {KEY}", "the key is sent in another way"
            return shape(request)
    raise AssertionError(f"mem0's client has no such request: {method} {request['path']}")


async def adding(server, mem0):
    with check("a text is added for the default user"):
        await server.call("add_memory", text="Ann has a seat on the aisle")
        await mem0.until(["Ann has a seat on the aisle"], user_id="ann")
    with check("a conversation is added with its entities and metadata"):
        await server.call("add_memory", text="A trip", messages=TRIP, metadata=METADATA, **OF_TRIP)
        added = await mem0.until([each["content"] for each in TRIP], user_id="ben")
        for memory in map(mem0.client.get, added):
            assert memory["metadata"] == METADATA, memory
            entities = {**memory, "run_id": memory["session_id"]}
            assert OF_TRIP.items() <= entities.items(), memory
    await server.call("add_memory", text="Ann has a green library card")
    await mem0.until(["Ann has a seat on the aisle", "Ann has a green library card"], user_id="ann")
    await server.call("add_memory", text="Cara has bees", user_id="cara")
    await mem0.until(["Cara has bees"], user_id="cara")
    await server.call("add_memory", text="The bot is patient", agent_id="bot")
    await mem0.until(["The bot is patient", *(each["content"] for each in TRIP)], agent_id="bot")


async def reading(server, mem0):
    anns = mem0.texts(user_id="ann")
    (seat,) = [memory for memory, text in anns.items() if "aisle" in text]
    with check("a search finds what mem0 finds, best first, of the default user"):
        found = await server.call("search_memories", query="the seat on the aisle")
        assert found["results"][0]["id"] == seat, found
        assert {memory["user_id"] for memory in found["results"]} == {"ann"}, found
    with check("a search takes a filter and a limit"):
        filters = {"AND": [{"user_id": "ben"}, {"run_id": "*"}]}
        found = await server.call("search_memories", query="night train", filters=filters, limit=1)
        assert [memory["run_id"] for memory in found["results"]] == ["monday"], found
    with check("a list is mem0's list"):
        listed = await server.call("get_memories")
        assert {memory["id"]: memory["memory"] for memory in listed["results"]} == anns, listed
    with check("a list has mem0's pages"):
        pages = [await server.call("get_memories", page=page, page_size=1) for page in (1, 2)]
        assert [page["count"] for page in pages] == [2, 2], pages
        assert {page["results"][0]["id"] for page in pages} == set(anns), pages
    with check("a memory is read by its id"):
        memory = await server.call("get_memory", memory_id=seat)
        assert (memory["id"], memory["memory"], memory["user_id"]) == (seat, anns[seat], "ann"), memory
    with check("a memory that mem0 does not have is an error"):
        _, error = await server.ask("get_memory", memory_id="8f14e45f-ceea-467f-a8f3-0d1e2c3b4a59")
        assert error
    with check("the entities are mem0's"):
        listed = await server.call("list_entities")
        named = {(entity["type"], entity["name"]) for entity in listed["results"]}
        assert named == mem0.entities(), (named, mem0.entities())
    return seat


async def changing(server, mem0, seat):
    """Answers the calls of mem0's client that are asked for here."""
    with check("a memory is changed in mem0"):
        await server.call("update_memory", memory_id=seat, text="Ann has a seat at the window")
        changed = ["Ann has a seat at the window", "Ann has a green library card"]
        await mem0.until(changed, user_id="ann")
    with check("a memory is deleted in mem0"):
        await server.call("delete_memory", memory_id=seat)
        await mem0.until(["Ann has a green library card"], user_id="ann")
    with check("all memories of a user are deleted in mem0"):
        await server.call("delete_all_memories", user_id="cara")
        await mem0.until([], user_id="cara")
    with check("only the memories with all of the entities named are deleted"):
        await server.call("delete_all_memories", **OF_TRIP)
        await mem0.until([], user_id="ben")
        assert list(mem0.texts(agent_id="bot").values()) == ["The bot is patient"]
    with check("an entity is deleted in mem0"):
        await server.call("delete_entities", agent_id="bot")
        await mem0.until([], agent_id="bot")
        assert mem0.entities() == {("user", "ann")}, mem0.entities()
    return [
        ("update", [seat], {"text": "Ann has a seat at the window"}),
        ("delete", [seat], {}),
        ("delete_all", [], {"user_id": "cara"}),
        ("delete_all", [], OF_TRIP),
        ("delete_users", [], {"agent_id": "bot"}),
    ]


def additions(sent):
    """The calls of mem0's client that add the same, at the times that ours were added at."""
    calls = [
        ("Ann has a seat on the aisle", {"user_id": "ann"}),
        (TRIP, {**OF_TRIP, "metadata": METADATA}),
        ("Ann has a green library card", {"user_id": "ann"}),
        ("Cara has bees", {"user_id": "cara"}),
        ("The bot is patient", {"agent_id": "bot"}),
    ]
    bodies = [each["body"] for each in sent if each["path"] == "/v3/memories/add/"]
    assert len(bodies) == len(calls), f"{len(bodies)} additions, not {len(calls)}"
    for (messages, named), body in zip(calls, bodies):
        timestamp = body.get("timestamp")
        if timestamp is not None:
            assert abs(timestamp - time.time()) < 600, timestamp
        yield "add", [messages], {**named, "timestamp": timestamp}


async def main():
    with stand_in() as url, stand_in() as other, tempfile.TemporaryDirectory() as home:
        os.environ.update({"MEM0_TELEMETRY": "False", "MEM0_DIR": os.path.join(home, ".mem0"), "HOME": home})
        mem0, elsewhere = Mem0(url), Mem0(other)
        settings = {
            "MEMORY_BACKEND": "mem0",
            "MEM0_API_KEY": KEY,
            "MEM0_BASE_URL": url,
            "MEM0_DEFAULT_USER_ID": "ann",
            "ZEP_MCP_DATA_DIR": os.path.join(home, "data"),
        }
        async with connect(settings, elicit=yes, directory=home) as server:
            await adding(server, mem0)
            changes = await changing(server, mem0, await reading(server, mem0))
        sent = ours(url)
        shapes = [shape(each) for each in sent]
        with check("each request is one that mem0's client sends"):
            assert sent, "there is none"
            unlike = [each for each in sent if shape(each) != repeated(elsewhere, each)]
            assert not unlike, unlike[:3]
        with check("each memory is added once, as mem0's client adds it"):
            for call, arguments, named in additions(sent):
                expected = elsewhere.sends(call, *arguments, **named)
                assert shapes.count(expected) == 1, (expected, shapes.count(expected))
        with check("each change is sent once, as mem0's client sends it"):
            for call, arguments, named in changes:
                expected = elsewhere.sends(call, *arguments, **named)
                assert shapes.count(expected) == 1, (expected, shapes.count(expected))
    finish()


if __name__ == "__main__":
    asyncio.run(main())
