"""Zep's own loader of generation 3 (zep-ingest 0.3.0) loads 5,000 thread messages into the
emulator, once by each of its methods; the official client (zep-cloud 3.30.0) reads them back."""

import random
from datetime import datetime, timedelta, timezone

from peer import check, emulator, finish
from zep_cloud.client import Zep
from zep_ingest import ConfigurationError, ThreadMessage, ingest_thread_messages

MESSAGES = 5_000
ROLES = ["user", "assistant", "system", "tool", "function", "norole"]
WORDS = "tea oolong walnut çay чай お茶 مرحبا 🍵 Spaß — rains in April, twice".split()
# How many messages of every hundred go to a thread: one that is long, some that are short.
SHARES = {"long": 60, "short-1": 20, "short-2": 10, "other ü": 9, "lone": 1}
# A page of the thread; not a part of any thread's length, so that the last page is a short one.
PAGE = 173


def conversation(prefix, seed):
    """The messages, turn by turn across their threads: the same on every run."""
    choose = random.Random(seed)
    start = datetime(2023, 2, 28, 22, 0, tzinfo=timezone.utc)
    said = []
    for n in range(MESSAGES):
        # Some turns share an instant, as dumps to the second have it, and two run backwards.
        start += timedelta(seconds=choose.choice([0, 0, 7, 3_600, 90_061]), microseconds=n % 3)
        when = start - timedelta(days=400) if n % 2_400 == 2_399 else start
        text = " ".join(choose.choices(WORDS, k=choose.randint(1, 12)))
        # A few of the same words twice, and some as long as a message may be.
        content = "ok" if n % 50 == 0 else f"{n}: {text}"
        if n % 500 == 1:
            content = content.ljust(4_096, "ä")
        role = choose.choice(ROLES)
        said.append(
            ThreadMessage(
                thread_id=prefix + choose.choices([*SHARES], weights=[*SHARES.values()])[0],
                content=content,
                role=role,
                name=f"{role} {n % 11}",
                created_at=when.isoformat().replace("+00:00", "Z"),
                metadata={"n": n, "tags": ["a", str(n % 7)], "even": n % 2 == 0} if n % 3 else None,
            )
        )
    return said


def key(message):
    """What must come back as it was given."""
    when = datetime.fromisoformat(message.created_at.replace("Z", "+00:00"))
    return (message.role, message.name, message.content, when, message.metadata or None)


def paged(zep, thread):
    """The thread, page by page, until as many as it says it has are read."""
    messages, total = [], None
    while total is None or len(messages) < total:
        page = zep.thread.get(thread, limit=PAGE, cursor=len(messages))
        assert page.messages, f"the pages end at {len(messages)} of {total}"
        assert page.row_count == len(page.messages)
        assert total in (None, page.total_count)
        total = page.total_count
        messages.extend(page.messages)
    return messages


def episodes(zep, user):
    """Every episode of a user by the cursor in each answer's head."""
    found, cursor = [], None
    while True:
        page = zep.graph.episode.with_raw_response.list_by_user_id(
            user, limit=50, order_by="created_at", direction="asc", cursor=cursor
        )
        found.extend(page.data)
        headers = {name.lower(): value for name, value in page.headers.items()}
        cursor = headers.get("zep-next-cursor")
        if not cursor:
            return found


def load(zep, method):
    user = f"loaded by {method}"
    said = conversation(f"{method} ", seed=method)
    zep.user.add(user_id=user, first_name="Jane")
    by_thread = {}
    for message in said:
        by_thread.setdefault(message.thread_id, []).append(message)

    with check(f"zep-ingest loads {MESSAGES:,} thread messages by its {method} method"):
        result = ingest_thread_messages(
            zep, said, user_id=user, method=method, batch_metadata={"source": "mem0"}
        )
        result.wait(poll_interval=0.2, timeout=120)
        assert result.method == method and result.status == "succeeded", result.status
        assert result.items_submitted == MESSAGES, result.items_submitted
        result.raise_for_status()
        assert not result.add_errors and not result.warnings and not result.untracked_items
        assert result.failed_items() == []
        assert bool(result.batch_ids) == (method == "batch"), result.batch_ids
    with check(f"by its {method} method: every thread is there, of its user, and no other"):
        assert {t.thread_id for t in zep.user.get_threads(user)} == set(by_thread)
    read = {}
    with check(f"by its {method} method: every message is there once, page by page"):
        read = {thread: paged(zep, thread) for thread in by_thread}
        uuids = [message.uuid_ for messages in read.values() for message in messages]
        assert len(uuids) == len(set(uuids)) == MESSAGES, (len(uuids), len(set(uuids)))
        counts = {thread: len(messages) for thread, messages in read.items()}
        assert counts == {thread: len(messages) for thread, messages in by_thread.items()}, counts
    for what, of in {
        "contents, in their order": lambda m: key(m)[2],
        "roles and names": lambda m: key(m)[:2],
        "times": lambda m: key(m)[3],
        "metadata": lambda m: key(m)[4],
    }.items():
        with check(f"by its {method} method: {what}, are as they were given"):
            assert read, "nothing was read"
            for thread, messages in read.items():
                pairs = zip(map(of, messages), map(of, by_thread[thread]), strict=True)
                for n, (stored, given) in enumerate(pairs):
                    assert stored == given, f"{thread}, {n}: {stored!r} for {given!r}"
    with check(f"by its {method} method: the last messages at once are the same as the pages"):
        for thread, messages in read.items():
            whole = zep.thread.get(thread, lastn=len(messages)).messages
            assert [m.uuid_ for m in whole] == [m.uuid_ for m in messages], thread
    with check(f"by its {method} method: every message is an episode of the user, processed"):
        found = episodes(zep, user)
        uuids = [episode.uuid_ for episode in found]
        assert len(uuids) == len(set(uuids)) == MESSAGES, (len(uuids), len(set(uuids)))
        assert set(uuids) == {m.uuid_ for messages in read.values() for m in messages}
        assert all(episode.processed for episode in found)
    if method == "batch":
        with check("the batch lists every item in the order it was given"):
            items, cursor = [], None
            while True:
                page = zep.batch.list_items(result.batch_ids[0], limit=100, cursor=cursor)
                items.extend(page.items)
                if not (cursor := page.next_cursor):
                    break
            assert [item.sequence_index for item in items] == list(range(MESSAGES))
            assert {item.status for item in items} == {"succeeded"}
            assert [item.thread_id for item in items] == [m.thread_id for m in said]
            stored = {thread: iter(messages) for thread, messages in read.items()}
            for item in items:
                assert item.episode_uuid == next(stored[item.thread_id]).uuid_, item
            batch = zep.batch.get(result.batch_ids[0])
            assert batch.metadata == {"source": "mem0"}, batch.metadata
            assert batch.item_count == batch.progress.succeeded_items == MESSAGES, batch


def refusals(zep):
    one = lambda thread: ThreadMessage(
        thread_id=thread, content="x", role="user", name="n", created_at="2024-06-15T10:30:00Z"
    )

    def refused(says, thread, **arguments):
        try:
            ingest_thread_messages(zep, [one(thread)], **arguments)
        except ConfigurationError as error:
            assert says in str(error), error
        else:
            raise AssertionError("accepted")

    with check("zep-ingest is told that a user does not exist"):
        refused("does not exist", "nobody's", user_id="nobody")
    with check("zep-ingest learns whose a thread is, and leaves it alone"):
        zep.user.add(user_id="somebody else")
        thread = "sequential lone"
        told = zep.thread.get(thread).total_count
        refused("already belongs to user 'loaded by sequential'", thread, user_id="somebody else")
        assert zep.thread.get(thread).total_count == told
    with check("zep-ingest adds to a thread that its user already has"):
        result = ingest_thread_messages(zep, [one(thread)], user_id="loaded by sequential")
        result.wait(poll_interval=0.2, timeout=60)
        assert (result.method, result.status) == ("batch", "succeeded"), result
        assert zep.thread.get(thread).total_count == told + 1


def main():
    with emulator() as address:
        zep = Zep(api_key="z_any", base_url=f"{address}/api/v2", timeout=60)
        for method in ("sequential", "batch"):
            load(zep, method)
        refusals(zep)


main()
finish()
