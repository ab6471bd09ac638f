"""The official Python client of generation 3 (zep-cloud 3.30.0) against an emulator that takes its
time, and against both answers of every switch for what Zep leaves unsaid."""

import time
import uuid

from peer import check, emulator, finish
from zep_cloud import BatchAddItem, Message, SearchFilters
from zep_cloud.client import Zep
from zep_cloud.core.api_error import ApiError

# How long the slow emulator takes, in milliseconds: long enough to be looked at meanwhile on a
# machine with other work to do.
DELAY = 10_000


def inhabited(address):
    """A client, with a user `u` and their thread `t`."""
    zep = Zep(api_key="z_any", base_url=f"{address}/api/v2")
    zep.user.add(user_id="u")
    zep.thread.create(thread_id="t", user_id="u")
    return zep


def say(zep, *texts, **fields):
    messages = [Message(role="user", content=text, **fields) for text in texts]
    return zep.thread.add_messages("t", messages=messages).message_uuids


def contents(zep, **arguments):
    return [message.content for message in zep.thread.get("t", **arguments).messages]


def items(*texts):
    return [
        BatchAddItem(type="thread_message", thread_id="t", role="user", content=text)
        for text in texts
    ]


def status(call):
    """The status that this call is refused with."""
    try:
        answer = call()
    except ApiError as error:
        return error.status_code
    raise AssertionError(f"accepted: {answer!r}")


def watch(look, done):
    """What is seen, each time it changes, until it is done."""
    seen = []
    end = time.monotonic() + 10 * DELAY / 1000
    while True:
        now = look()
        if not seen or now != seen[-1]:
            seen.append(now)
        if done(now):
            return seen
        assert time.monotonic() < end, f"it did not happen in time: {seen}"
        time.sleep(0.02)


def processing():
    with emulator("--processing-delay", str(DELAY)) as address:
        zep = inhabited(address)
        with check("what was written is there at once, and processed later"):
            start = time.monotonic()
            (message,) = say(zep, "Anna grows walnuts")
            episode = zep.graph.add(user_id="u", type="text", data="Walnuts need time")
            assert contents(zep) == ["Anna grows walnuts"]
            filters = SearchFilters(episode_uuids=[message, episode.uuid_])

            def look():
                return (
                    zep.thread.get("t").messages[0].processed,
                    zep.graph.episode.get(episode.uuid_).processed,
                    len(zep.graph.edge.get_by_user_id("u", filters=filters)),
                    len(zep.graph.search(user_id="u", query="walnuts").edges or []),
                )

            before, *_, after = watch(look, lambda seen: seen == (True, True, 2, 2))
            assert before == (False, False, 0, 0), before
            assert time.monotonic() - start >= DELAY / 1000, "too early"
        with check("a batch is a draft, queued, processing, and done, item by item"):
            batch = zep.batch.create()
            assert batch.status == "draft" and not batch.progress, batch
            zep.batch.add(batch.batch_id, items=items(*"abcdefgh"))
            assert zep.batch.process(batch.batch_id).status == "queued"
            assert status(lambda: zep.batch.process(batch.batch_id)) == 409
            life = ["queued", "processing", "succeeded"]

            def state():
                now = zep.batch.get(batch.batch_id)
                return now.status, now.progress.succeeded_items

            def look():
                # Three requests see one state only if it is the same before and after them.
                while True:
                    before = state()
                    listed = [i.status for i in zep.batch.list_items(batch.batch_id).items]
                    done = zep.batch.list_items(batch.batch_id, status="succeeded").items
                    if state() == before:
                        return *before, listed, len(done)

            seen = watch(look, lambda now: now[0] == "succeeded")
            order = [now[0] for now in seen]
            assert sorted(order, key=life.index) == order and set(order) == set(life), order
            assert seen[0][2] == ["queued"] * 8 and seen[-1][2] == ["succeeded"] * 8, seen
            counts = [now[1] for now in seen]
            assert counts == sorted(counts) and len(set(counts)) > 2, counts
            for _, count, listed, filtered in seen:
                done = [s for s in listed if s == "succeeded"]
                assert listed[: len(done)] == done, f"not in order: {listed}"
                assert count == len(done) == filtered, seen
            assert contents(zep)[1:] == [*"abcdefgh"]
            assert all(message.processed for message in zep.thread.get("t").messages)


def switches():
    for answer in ("offset", "page"):
        with emulator("--cursor", answer) as address:
            zep = inhabited(address)
            with check(f"cursor as {answer}: the pages to the end are the whole"):
                texts = [f"turn {n}" for n in range(25)]
                say(zep, *texts)
                starts = range(0, 25, 10) if answer == "offset" else (1, 2, 3)
                read = [text for at in starts for text in contents(zep, limit=10, cursor=at)]
                assert read == texts, read
    for answer, left in (("removes-message", ["b"]), ("keeps-message", ["a", "b"])):
        with emulator("--episode-deletion", answer) as address:
            zep = inhabited(address)
            with check(f"deleting a message's episode {answer}"):
                first, _ = say(zep, "a", "b")
                zep.graph.episode.delete(first)
                assert contents(zep) == left, contents(zep)
                assert status(lambda: zep.graph.episode.get(first)) == 404
                episodes = zep.graph.episode.list_by_user_id("u", mentioned_node_uuids=[first])
                assert episodes == [], episodes
                found = zep.graph.search(user_id="u", query="a b", scope="episodes").episodes
                assert first not in [episode.uuid_ for episode in found or []]
    for answer, shown in (("hidden", []), ("visible", ["a", "b"])):
        with emulator("--draft-messages", answer) as address:
            zep = inhabited(address)
            with check(f"draft messages are {answer}, and there once after processing"):
                batch = zep.batch.create()
                added = zep.batch.add(batch.batch_id, items=items("a", "b"))
                assert contents(zep) == shown, contents(zep)
                zep.batch.process(batch.batch_id)
                look = lambda: zep.batch.get(batch.batch_id).status
                watch(look, lambda now: now == "succeeded")
                messages = zep.thread.get("t").messages
                assert [m.content for m in messages] == ["a", "b"], messages
                assert [m.uuid_ for m in messages] == [item.episode_uuid for item in added]
            with check(f"draft messages are {answer}, and gone with their draft"):
                batch = zep.batch.create()
                zep.batch.add(batch.batch_id, items=items("c"))
                zep.batch.delete(batch.batch_id)
                assert contents(zep) == ["a", "b"], contents(zep)
    for answer, kept in (("merges", {"a": 1, "b": 3, "c": 4}), ("replaces", {"b": 3, "c": 4})):
        with emulator("--metadata-patch", answer) as address:
            zep = inhabited(address)
            with check(f"changing metadata {answer}"):
                (message,) = say(zep, "x", metadata={"a": 1, "b": 2})
                changed = zep.thread.message.update(message, metadata={"b": 3, "c": 4})
                assert changed.metadata == kept, changed.metadata
                assert zep.thread.get("t").messages[0].metadata == kept
                changed = zep.graph.episode.update(message, metadata={"b": None, "d": [5]})
                expected = {"d": [5]} if answer == "replaces" else {"a": 1, "c": 4, "d": [5]}
                assert changed.metadata == expected, changed.metadata
    for answer in (400, 409):
        with emulator("--existing-thread", str(answer)) as address:
            zep = inhabited(address)
            with check(f"a thread that exists is refused with {answer}"):
                create = lambda name: zep.thread.create(thread_id=name, user_id="u")
                assert status(lambda: create("t")) == answer
                assert create(str(uuid.uuid4())).user_id == "u"


processing()
switches()
finish()
