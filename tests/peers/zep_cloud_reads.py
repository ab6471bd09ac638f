"""The official client of Zep (zep-cloud 3.30.0) reads from the emulator what the server wrote over
stdio: the people, their threads, and every message, put together from its parts."""

import asyncio
import json
from datetime import datetime

from conversation import ADA, NOAM, calls, conversation
from peer import check, emulator, finish
from server import API_KEY, connect, in_front_of
from zep_cloud.client import Zep


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def thread_of(zep, user, session):
    """The thread that a session is: of its plain name, or qualified where that is the other's."""
    threads = {thread.thread_id: thread for thread in zep.user.get_threads(user)}
    known = [name for name in (session, f"{session}::zm::{user}") if name in threads]
    assert len(known) == 1, f"{session} of {user}: {known}"
    assert threads[known[0]].user_id == user, threads[known[0]]
    return known[0]


def records(messages):
    """The messages of each record, in the order of their first parts."""
    found = {}
    for message in messages:
        found.setdefault(message.metadata["zm_id"], []).append(message)
    return list(found.values())


def stands_for(parts, turn):
    """Whether these messages are this turn."""
    total = len(parts)
    numbers = [part.metadata.get("zm_part") for part in parts]
    assert numbers == ([None] if total == 1 else [f"{n + 1}/{total}" for n in range(total)])
    assert "".join(part.content for part in parts) == turn["content"], "the content is another"
    assert all(len(part.content) <= 4096 for part in parts)
    given = turn.get("metadata", {})
    for part in parts:
        own = part.metadata
        assert instant(part.created_at) == instant(turn["created_at"]), part.created_at
        assert part.name == turn.get("name"), part.name
        role = "user" if turn["role"] == "therapist" else turn["role"]
        assert part.role == role, part.role
        assert own.get("original_role") == (turn["role"] if role != turn["role"] else None), own
        # Flat fields stand under their own names, everything else as JSON in one of ours.
        packed = json.loads(own.get("zm_x", "{}")).get("metadata", {})
        plain = {key: own[key] for key in given if key not in packed}
        assert {**plain, **packed} == given, own
        assert len(own) <= 10, own


async def write(settings):
    async with connect(settings) as server:
        for user, session, turns in conversation():
            for some in calls(turns):
                await server.call("add_memory", user_id=user, session_id=session, messages=some)
        await server.call(
            "add_memory",
            user_id=ADA,
            text="Prefers to be called in the morning",
            created_at="2024-02-03T04:05:06.7Z",
            metadata={"source": "form", "page": {"number": 2}},
        )
        await server.call("add_memory", agent_id="coach", text="Speak slowly")


def read(zep):
    with check("Zep's users are the users that the server wrote for, and no others"):
        users = zep.user.list_ordered(page_number=1, page_size=50).users
        assert {user.user_id for user in users} == {ADA, NOAM}, users
    with check("each of them has a thread for each session"):
        for person in (ADA, NOAM):
            assert len(zep.user.get_threads(person)) == 10
    with check("a session id that both use is two threads"):
        for session in ("intro", "monday", "checkup"):
            threads = {thread_of(zep, person, session) for person in (ADA, NOAM)}
            assert len(threads) == 2 and session in threads, threads
    with check("every message is in its thread once, in order, with all its fields"):
        for user, session, turns in conversation():
            name = thread_of(zep, user, session)
            total = zep.thread.get(name, lastn=1).total_count
            thread = zep.thread.get(name, lastn=total)
            assert thread.user_id == user and len(thread.messages) == total, thread.user_id
            found = records(thread.messages)
            assert len(found) == len(turns), f"{name}: {len(found)} records"
            for parts, turn in zip(found, turns):
                stands_for(parts, turn)
    with check("a text without a session is an episode of its user"):
        episodes = zep.graph.episode.get_by_user_id(ADA, lastn=1000).episodes
        texts = [episode for episode in episodes if episode.source == "text"]
        assert [episode.content for episode in texts] == ["Prefers to be called in the morning"]
        assert instant(texts[0].created_at) == instant("2024-02-03T04:05:06.7Z"), texts[0]
        assert texts[0].metadata["source"] == "form", texts[0].metadata
        extra = json.loads(texts[0].metadata["zm_x"])["metadata"]
        assert extra == {"page": {"number": 2}}, extra
    with check("an agent's own memory is a graph of its own"):
        episodes = zep.graph.episode.get_by_graph_id("mem0-agent-coach", lastn=10).episodes
        assert [episode.content for episode in episodes] == ["Speak slowly"], episodes
    with check("Zep's search finds for each what they said, and never the other's"):
        for person, word, other in ((ADA, "bassoon", "Golda"), (NOAM, "Golda", "bassoon")):
            edges = zep.graph.search(user_id=person, query=word, scope="edges", limit=50).edges
            assert edges and word in edges[0].fact, edges
            assert not any(other in edge.fact for edge in edges), edges
            nothing = zep.graph.search(user_id=person, query=other, scope="episodes").episodes
            assert not any(other in episode.content for episode in nothing or []), nothing


def main():
    with emulator() as address:
        with check("the server writes a conversation of 500 turns over stdio"):
            asyncio.run(write(in_front_of(address)))
        read(Zep(api_key=API_KEY, base_url=f"{address}/api/v2"))
    finish()


main()
