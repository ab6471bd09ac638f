"""The official Python client of MCP, of either generation, at both doors of a server on a network:
every tool, tokens, questions to the person, cancelled calls, silence, many clients, and a server
that restarts while clients are connected."""

import asyncio
import contextlib
import logging
import time
import urllib.error
import urllib.request
from itertools import cycle

import anyio
from every_tool import every_tool, export
from mcp.shared import exceptions
from mcp.types import ElicitResult
from network import PATIENCE, WAYS, Line, connect, listening, tokens
from peer import check, control, emulator, finish, leaves
from server import Client, embedded, in_front_of

# The client's error for a refused call.
Refused = exceptions.MCPError if Client else exceptions.McpError

# Milliseconds that each answer of Zep takes while a call is to be cancelled.
LATENCY = 400
# The handshakes in which the client asks the server who it is.
ASKS_WHO = {"legacy", "auto"}
# Seconds for which a client reads nothing before it gives a stream up, and for which it is silent:
# the server says every 15 s that it is alive.
GIVES_UP, SILENT = 25, 36


class Person:
    """Says the same to whatever is asked, after so many seconds, and counts it."""

    def __init__(self, says, after=0):
        self.asked = 0
        self._says = says
        self._after = after

    async def __call__(self, _context, _parameters):
        self.asked += 1
        await asyncio.sleep(self._after)
        return ElicitResult(action="accept", content={"confirm": self._says})


def name(way):
    return f"/{way[0]}, {way[1]}"


async def asks(url, token, way):
    user = f"asked by {name(way)}"
    sought = {"user_id": user, "session_id": "s"}
    no, yes = Person(False), Person(True)
    with check(f"{name(way)}: the person is asked before all memories are deleted, and may say no"):
        async with connect(url, way, token, no) as server:
            await server.call("add_memory", **sought, text="Keeps bees on the roof.")
            answer, error = await server.ask("delete_all_memories", user_id=user)
            assert error and answer["error"] == "declined" and no.asked == 1, (answer, no.asked)
            assert len((await server.call("get_session", **sought))["messages"]) == 1
    with check(f"{name(way)}: and once they say yes, they are gone"):
        async with connect(url, way, token, yes) as server:
            gone = await server.call("delete_all_memories", user_id=user)
            assert gone["complete"] and yes.asked == 1, (gone, yes.asked)
            answer, error = await server.ask("get_session", **sought)
            assert error and answer["error"] == "no_such_session", answer


async def refuses(url, made, way):
    place = name(way)
    with check(f"{place}: a reader reads their own memories; other calls are refused with a reason"):
        async with connect(url, way, made["operator"]) as server:
            for user in ("ann", "ben"):
                await server.call("add_memory", user_id=user, session_id="s", text="Likes tea.")
        async with connect(url, way, made["reader"]) as server:
            read = await server.call("get_session", user_id="ann", session_id="s")
            assert read["messages"][0]["content"] == "Likes tea.", read
            for tool, arguments in (
                ("add_memory", {"user_id": "ann", "text": "new"}),
                ("delete_all_memories", {"user_id": "ann"}),
                ("search_memory", {"user_id": "ben", "query": "tea"}),
                ("get_session", {"user_id": "ben", "session_id": "s"}),
            ):
                answer, error = await server.ask(tool, **arguments)
                assert error and answer["error"] == "forbidden" and answer["detail"], answer
    for what, token in (("no token", None), ("a wrong token", "zmcp_" + "0" * 64)):
        with check(f"{place}: {what} lets nobody in"):
            told = await refusal(url, way, token)
            # From 2.0 on the client does not tell at /mcp which error the server answered.
            assert "401" in told or "error response" in told, told


async def refusal(url, way, token):
    """What a refused client says."""
    try:
        async with asyncio.timeout(PATIENCE), connect(url, way, token) as server:
            # A client of 2026-07-28 says nothing before its first call.
            await server.tools()
    except Exception as error:  # each version of the client has its own kind
        return " ".join(map(repr, leaves(error)))
    raise AssertionError("let in")


def challenge(url, headers):
    """The status of a call that is not let in, and the header that says how to get in."""
    request = urllib.request.Request(f"{url}/mcp", b"{}", headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers["WWW-Authenticate"]


async def cancels(url, token, way):
    user, data = {"id": f"cancelled by {name(way)}"}, export(300)
    with check(f"{name(way)}: a call can be cancelled half-way, and the connection is good"):
        async with connect(url, way, token) as server:
            await server.give_up("migrate_user", 25, user=user, data=data)
            partly = await at_rest(server, user["id"])
            assert 0 < partly < 300, partly
            report = await server.call("migrate_user", user=user, data=data)
            assert report["success"] and report["already_there"] == partly, (report, partly)
            assert await at_rest(server, user["id"]) == 300


async def is_cut_off(url, token, way, when, messages):
    """The line is cut in the middle of a call, and the client asks for the rest of the answer."""
    with check(f"{name(way)}: a call whose line is cut is answered on the next one, {when}"):
        async with Line(url) as line, connect(line.url, way, token) as server:
            cuts = 0

            async def progress(done, _total, _message):
                nonlocal cuts
                if done >= 25 and not cuts:
                    cuts += 1
                    line.cut()

            user = {"id": f"cut off by {name(way)}, {when}"}
            async with asyncio.timeout(2 * PATIENCE):
                data = export(messages)
                report = await server.call("migrate_user", progress, user=user, data=data)
            assert report["success"] and report["memories_migrated"] == messages, report
            assert report["already_there"] == 0 and cuts == 1, (report, cuts)


async def at_rest(server, user):
    """How many messages of a user are stored once no more come."""
    seen = None
    for _ in range(40):
        listed = await server.call("list_sessions", user_id=user)
        now = sum(each["message_count"] for each in listed["sessions"])
        if now == seen:
            return now
        seen = now
        await asyncio.sleep(3 * LATENCY / 1000)
    raise AssertionError("it does not come to rest")


async def prompts(url, token, way):
    with check(f"{name(way)}: the server says who it is, and has its prompt"):
        async with connect(url, way, token) as server:
            # A client that says from the start which version it speaks does not ask.
            assert server.name == ("zep-mcp-server" if way[1] in ASKS_WHO else None), server.name
            listed = (await server.session.list_prompts()).prompts
            assert [prompt.name for prompt in listed] == ["memory_assistant"], listed
            prompt = await server.session.get_prompt("memory_assistant")
            assert "add_memory" in prompt.messages[0].content.text


async def waits(url, token, way):
    """The person takes longer than the client would read nothing for."""
    person = Person(True, SILENT)
    with check(f"{name(way)}: silence for {SILENT} s outlives a time-out of {GIVES_UP} s"):
        async with connect(url, way, token, person, GIVES_UP) as server:
            await server.call("add_memory", user_id=f"slow {name(way)}", text="Likes tea.")
            gone = await server.call("delete_all_memories", user_id=f"slow {name(way)}")
            assert gone["complete"] and person.asked == 1, gone


async def is_slow(url, token, ways, address):
    """Zep takes longer than the client would read nothing for."""
    for way in ways:
        async with connect(url, way, token) as server:
            await server.call("add_memory", **waiting(way), text="Likes tea.")
    control(address, "PUT", "faults", {"latency_ms": 1000 * SILENT})

    async def one(way):
        with check(f"{name(way)}: an answer after {SILENT} s outlives a time-out of {GIVES_UP} s"):
            async with connect(url, way, token, None, GIVES_UP) as server:
                started = time.monotonic()
                read = await server.call("get_session", **waiting(way))
                assert time.monotonic() - started >= SILENT and len(read["messages"]) == 1, read

    await asyncio.gather(*(one(way) for way in ways))


def waiting(way):
    return {"user_id": f"waits at {name(way)}", "session_id": "s"}


async def at_once(url, token):
    with check("24 clients at once, in every way, are all answered, each their own"):

        async def one(number, way):
            place = {"user_id": f"client {number}", "session_id": "s"}
            async with connect(url, way, token) as server:
                said = [f"Note {number}-{each}." for each in range(5)]
                await asyncio.gather(
                    *(server.call("add_memory", **place, text=text) for text in said)
                )
                read = await server.call("get_session", **place)
                assert {message["content"] for message in read["messages"]} == set(said), read
                assert read["total_count"] == len(said), read

        await asyncio.gather(*(one(number, way) for number, way in zip(range(24), cycle(WAYS))))


async def restarts(running, token, way, end):
    """What a client sees of a restart, and what it takes to go on: see `EXPECTED`."""
    goes_on, sees = EXPECTED[way[0], way[1] == "legacy"]
    place = f"{name(way)}, {end}"
    known = {"user_id": f"known to {place}", "session_id": "s"}
    new = {**known, "text": "Moved to Porto.", "idempotency_key": place}
    with check(f"{place}: after a restart {sees}"):
        async with connect(running.url, way, token) as server:
            await server.call("add_memory", **known, text="Lives in Lisbon.")
            await asyncio.to_thread(getattr(running, end))
            await asyncio.to_thread(running.start)
            if goes_on:
                await server.call("add_memory", **new)
            else:
                for _ in range(2):
                    try:
                        async with asyncio.timeout(PATIENCE):
                            await server.call("add_memory", **new)
                    except (Refused, anyio.ClosedResourceError) as error:
                        wanted = ["Session terminated"] if way[0] == "mcp" else CLOSED
                        assert str(error) in wanted, repr(error)
                    else:
                        raise AssertionError("the client went on by itself")
        async with connect(running.url, way, token) as server:
            await server.call("add_memory", **new)
            read = await server.call("get_session", **known)
            contents = [message["content"] for message in read["messages"]]
            assert contents == ["Lives in Lisbon.", "Moved to Porto."], contents


# By door, and by whether the client has a session: whether it continues after a restart, and what it
# sees. No version of the client initializes a new session by itself. At /mcp the server answers 404,
# as MCP asks for; the client calls that "Session terminated", at every call until its user
# reconnects. (`initialize` on the same session does not help: 1.30.0 sends the old session's id with
# it, which MCP answers with another 404; 2.3.0 answers from memory.) At /sse the stream ends, and the
# client is closed. A client of 2026-07-28 has no session to lose.
EXPECTED = {
    ("mcp", True): (False, "the client says that the session is over, and one that is new goes on"),
    ("mcp", False): (True, "the same client goes on as if nothing had been"),
    ("sse", True): (False, "the client says that it is closed, and one that is new goes on"),
}
# What 1.30.0 says of a closed connection, or 2.3.0 and 1.30.0 in the middle of a call.
CLOSED = ["", "Connection closed"]


async def talks_on(url, token, way, told):
    """Sends messages as an application does that reconnects when its connection is lost and then
    repeats the message under the same key."""
    until = time.monotonic() + 2 * PATIENCE
    left = [f"{name(way)} {number}" for number in range(30)]
    connections = 0
    while left:
        try:
            async with connect(url, way, token) as server:
                connections += 1
                while left:
                    place = {"user_id": name(way), "session_id": "s"}
                    async with asyncio.timeout(PATIENCE):
                        await server.call(
                            "add_memory", **place, text=left[0], idempotency_key=left[0]
                        )
                    told.append(left.pop(0))
                    await asyncio.sleep(0.05)
        except Exception as error:  # of whatever kind this client makes of a lost connection
            mistaken = any(isinstance(leaf, AssertionError) for leaf in leaves(error))
            if mistaken or time.monotonic() > until:
                raise
            await asyncio.sleep(0.2)
    return connections


async def restarts_under_load(running, token):
    with check("what is said while the server restarts is stored once and in order"):
        told = {way: [] for way in WAYS}
        talks = [
            asyncio.create_task(talks_on(running.url, token, way, told[way])) for way in WAYS
        ]
        for _ in range(PATIENCE * 20):
            if all(len(each) > 5 for each in told.values()):
                break
            await asyncio.sleep(0.05)
        await asyncio.to_thread(running.stop)
        await asyncio.to_thread(running.start)
        await asyncio.gather(*talks)
        async with connect(running.url, WAYS[0], token) as server:
            for way, said in told.items():
                messages = await server.read_session(name(way), "s")
                assert [message["content"] for message in messages] == said, (way, messages)
                assert len(said) == 30


async def main():
    # The client writes down every connection that is lost.
    logging.disable()
    wanted = {
        "operator": ["--role", "operator", "--all-users"],
        "reader": ["--role", "reader", "--user", "ann"],
    }
    handshakes = [way for way in WAYS if way[1] == "legacy"]
    with contextlib.ExitStack() as stack:
        access, made = stack.enter_context(tokens(**wanted))
        token = made["operator"]
        quiet = stack.enter_context(listening({**stack.enter_context(embedded()), **access}))
        # A client of 2026-07-28 is asked by an answer: nothing is left open meanwhile.
        silent = [asyncio.create_task(waits(quiet.url, token, way)) for way in handshakes]
        address = stack.enter_context(emulator())
        settings = {**in_front_of(address), **access, "ZEP_TIMEOUT_SECS": str(2 * SILENT)}
        slow = stack.enter_context(listening(settings))
        silent.append(asyncio.create_task(is_slow(slow.url, token, WAYS, address)))
        for way in WAYS:
            with embedded() as settings, listening({**settings, **access}) as running:
                await prompts(running.url, token, way)
                async with connect(running.url, way, token) as server:
                    await every_tool(server, f"embedded, {name(way)}", "local")
                await asks(running.url, token, way)
                await refuses(running.url, made, way)
                for end in ("stop", "kill"):
                    await restarts(running, token, way, end)
        with emulator() as address, listening({**in_front_of(address), **access}) as running:
            async with connect(running.url, WAYS[0], token) as server:
                await every_tool(server, f"emulator, {name(WAYS[0])}", "zep")
            # So that there is a half-way.
            control(address, "PUT", "faults", {"latency_ms": LATENCY})
            await asyncio.gather(
                *(cancels(running.url, token, way) for way in WAYS),
                is_cut_off(running.url, token, ("mcp", "legacy"), "while it goes on", 600),
                # It is over when the client comes back, after three seconds.
                is_cut_off(running.url, token, ("mcp", "legacy"), "once it is over", 90),
            )
        with embedded() as settings, listening({**settings, **access}) as running:
            with check("a refused client learns how to authenticate"):
                for headers in ({}, {"Authorization": "Bearer nonsense"}):
                    status, how = await asyncio.to_thread(challenge, running.url, headers)
                    assert status == 401 and how.startswith("Bearer"), (status, how)
            await at_once(running.url, token)
            await restarts_under_load(running, token)
        await asyncio.gather(*silent)
    finish()


asyncio.run(main())
