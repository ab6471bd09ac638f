"""The official Python client of MCP stores a conversation over stdio and gets it back: on the
embedded store, and in front of Zep's API as the emulator speaks it."""

import asyncio
from datetime import datetime

from conversation import ADA, NOAM, ONLY, QUESTIONS, calls, conversation
from peer import check, emulator, finish
from server import connect, embedded, in_front_of, ways


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def same(message, turn):
    """Whether a message that was read is the turn that was stored."""
    for key in ("role", "content"):
        assert message[key] == turn[key], f"{key}: {message[key]!r:.80} is not {turn[key]!r:.80}"
    assert message.get("name") == turn.get("name"), message
    assert message["metadata"] == turn.get("metadata", {}), message["metadata"]
    assert instant(message["created_at"]) == instant(turn["created_at"]), message["created_at"]
    assert not message["incomplete"]


async def found_in_time(server, arguments, wanted, seconds=60):
    """The results once one of the first five has these words: facts are drawn in the background."""
    for _ in range(seconds * 10):
        results = (await server.call("search_memory", **arguments))["results"]
        if any(wanted in result["memory"] for result in results[:5]):
            return results
        await asyncio.sleep(0.1)
    raise AssertionError(f"{wanted!r} is not among {[r['memory'][:60] for r in results]}")


async def stores(settings, way, place):
    async with connect(settings, way) as server:
        with check(f"{place}: the server says who it is and where memories are kept"):
            assert server.name == "zep-mcp-server", server.name
            kept = "Zep Cloud" if settings["MEMORY_BACKEND"] == "zep" else "local file"
            assert kept in server.instructions, server.instructions
        with check(f"{place}: every tool has a title, a description and both schemas"):
            tools = {tool.name: tool for tool in await server.tools()}
            assert {"add_memory", "search_memory", "get_session", "list_sessions"} <= set(tools)
            assert all(tool.title and tool.description for tool in tools.values())
        with check(f"{place}: 500 turns of two people over 20 sessions are stored"):
            stored = 0
            for user, session, turns in conversation():
                for some in calls(turns):
                    added = await server.call(
                        "add_memory", user_id=user, session_id=session, messages=some
                    )
                    assert added["backend"] == settings["MEMORY_BACKEND"], added["backend"]
                    assert (added["user_id"], added["session_id"]) == (user, session), added
                    assert [r["memory"] for r in added["results"]] == [t["content"] for t in some]
                    stored += len(added["results"])
            assert stored == 500, stored
        with check(f"{place}: what cannot be stored is an error that names the argument"):
            bad = [{"role": "user", "content": "fine"}, {"role": "user", "content": " "}]
            answer, error = await server.ask("add_memory", user_id=ADA, messages=bad)
            assert error and answer["error"] == "invalid_argument", answer
            assert "messages[1].content" in answer["detail"], answer


async def reads(settings, way, place):
    # Another process: it knows nothing but what is stored.
    async with connect(settings, way) as server:
        with check(f"{place}: every session is read back unchanged and in order"):
            for user, session, turns in conversation():
                messages = await server.read_session(user, session)
                assert len(messages) == len(turns), f"{session}: {len(messages)} messages"
                for message, turn in zip(messages, turns):
                    same(message, turn)
        with check(f"{place}: and so it is in small pages, and from its end"):
            for user, session, turns in conversation()[10:12]:
                messages = await server.read_session(user, session, limit=3)
                assert [m["content"] for m in messages] == [t["content"] for t in turns]
                page = await server.call("get_session", user_id=user, session_id=session, last=4)
                assert [m["content"] for m in page["messages"]] == [
                    turn["content"] for turn in turns[-4:]
                ]
        with check(f"{place}: each of the two has ten sessions, and no more"):
            for person in (ADA, NOAM):
                listed = await server.call("list_sessions", user_id=person, limit=100)
                expected = {session for user, session, _ in conversation() if user == person}
                assert {item["session_id"] for item in listed["sessions"]} == expected, listed
                assert listed["total_count"] == 10, listed["total_count"]
        for user, question, answer in QUESTIONS:
            with check(f"{place}: {question}"):
                results = await found_in_time(server, dict(query=question, user_id=user), answer)
                best = next(result for result in results if answer in result["memory"])
                turn, session = next(
                    (turn, session)
                    for owner, session, turns in conversation()
                    for turn in turns
                    if owner == user and answer in turn["content"]
                )
                assert (best["user_id"], best["session_id"]) == (user, session), best
                assert best["metadata"] == turn.get("metadata", {}), best
                assert instant(best["created_at"]) == instant(turn["created_at"]), best
        with check(f"{place}: nobody's search finds what only the other said"):
            for person, other in ((ADA, NOAM), (NOAM, ADA)):
                theirs = {t["content"] for user, _, turns in conversation() if user == person
                          for t in turns}
                for word in ONLY[other] + [question for _, question, _ in QUESTIONS]:
                    for scope in ("facts", "episodes"):
                        found = await server.call(
                            "search_memory", query=word, user_id=person, scope=scope, limit=50
                        )
                        for result in found["results"]:
                            assert result["user_id"] == person, result
                            said = result["memory"]
                            assert not any(only in said for only in ONLY[other]), said
                            whole = scope == "facts" or said in theirs
                            assert whole, f"nobody said {said!r:.80}"
        with check(f"{place}: an unknown user has nothing"):
            found = await server.call("search_memory", query="Ingrid", user_id="nobody")
            assert found["results"] == [], found
            answer, error = await server.ask("get_session", user_id="nobody", session_id="intro")
            assert error and answer["error"] == "no_such_session", answer


async def at_once(settings, way, place):
    async with connect(settings, way) as server:
        with check(f"{place}: 50 calls at once are all answered"):
            answers = await asyncio.gather(
                *(
                    server.call("add_memory", user_id="many", session_id="s", text=f"note {n}")
                    for n in range(50)
                )
            )
            ids = {answer["results"][0]["id"] for answer in answers}
            messages = await server.read_session("many", "s")
            assert {message["id"] for message in messages} == ids and len(messages) == 50


async def main():
    for way in ways():
        with embedded() as settings:
            place = f"embedded, {way}"
            await stores(settings, way, place)
            await reads(settings, way, place)
            await at_once(settings, way, place)
        with emulator() as address:
            settings, place = in_front_of(address), f"emulator, {way}"
            await stores(settings, way, place)
            await reads(settings, way, place)
            await at_once(settings, way, place)
    finish()


asyncio.run(main())
