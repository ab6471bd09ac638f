"""A user's whole way: an export in every shape is looked at, migrated and validated by the commands
of the server, in front of the emulator; Zep's official client (zep-cloud 3.30.0) reads what arrived
and compares it with the export; an agent over stdio asks for it; and then one thing after the other
is changed behind the server's back, and validation must name it."""

import asyncio
import contextlib
import sqlite3
import tempfile
import uuid
from datetime import datetime, timezone
from pathlib import Path

import stored
from commands import command
from export import ADA, APP_USER, MARA, NOAM, NUMBER, RUN_ONLY, SHARED, KINDS, Export
from peer import check, emulator, finish
from server import API_KEY, connect, in_front_of
from zep_cloud import Message
from zep_cloud.client import Zep


def connected(address):
    return Zep(api_key=API_KEY, base_url=f"{address}/api/v2", timeout=60)


def rehearsed(address, zep, export, file):
    with check("a dry run counts what would be written, and writes nothing"):
        report, code = command(address, "migrate", "--file", file, "--dry-run")
        assert code == 0 and report["success"] and report["dry_run"], report
        assert report["memories_migrated"] == export.records, report
        assert report["already_there"] == report["failed"] == 0, report
        assert report["validation"] is None
        assert not zep.user.list_ordered(page_number=1, page_size=50).users
        assert not zep.graph.list_all().graphs
        assert not any(stored.is_there(zep, user) for user in export.people)
        assert not zep.thread.list_all(page_number=1, page_size=50).threads


def migrated(address, zep, export, file, started):
    with check(f"{export.records:,} records of {len(export.sessions)} sessions are migrated"):
        report, code = command(address, "migrate", "--file", file, "--validate")
        assert code == 0 and report["success"], report
        assert not report["errors"] and not report["failed"], report["errors"]
        assert (report["source_system"], report["target_system"]) == ("mem0", "zep")
        assert report["memories_migrated"] == export.records, report
        assert report["users_migrated"] == len(export.people), report
        assert report["sessions"] == len(export.sessions), report
        assert report["expired"] == export.expired, report
        split = undated = 0
        for (_, session), records in export.places.items():
            longest = 4_000 if session else 9_500
            split += sum(len(record.content) > longest for record in records)
            undated += sum(record.at is None for record in records)
        assert (report["split"], report["undated"]) == (split, undated), report
    with check("what was migrated is validated, check by check"):
        validation = report["validation"]
        assert validation["valid"] and not validation["issues"], validation
        checks = {found["name"]: found for found in validation["checks"]}
        guide = {"user_exists", "session_loads", "message_count", "timestamps", "metadata"}
        assert guide | {"content", "order"} <= set(checks), checks
        assert all(found["passed"] for found in checks.values()), checks
        for name, expected in [
            ("user_exists", len(export.people) + len(export.graphs)),
            ("session_loads", len(export.sessions)),
            ("message_count", export.records),
            ("content", export.records),
        ]:
            found = checks[name]
            assert (found["expected"], found["found"]) == (expected, expected), found
    with check("the requests are hardly more than the fewest possible"):
        # Beside them: the sessions of the users are listed, and read again for the validation.
        assert report["requests"] <= report["least_requests"] + 3 * len(export.places), report
    with check("zep-cloud finds the users of the export, their fields and their marks"):
        stored.people(zep, export, started)
    with check("zep-cloud finds every session, and nobody and nothing else"):
        stored.nothing_else(zep, export)
    for owner in [*export.people, *export.graphs]:
        with check(f"zep-cloud reads all of {owner}: words, times, metadata, order"):
            places = [place for place in export.places if place[0] == owner]
            assert places
            stored.whole(zep, export, started, places)


def again(address, export, file, lines):
    for name, way, given in [("the same file", file, None), ("JSON Lines", "-", lines)]:
        with check(f"migrating again, {name}, adds nothing"):
            report, code = command(address, "migrate", "--file", way, stdin=given)
            assert code == 0 and report["memories_migrated"] == 0, report
            assert report["already_there"] == export.records, report
            assert report["users_existing"] == len(export.people), report
    with check("the export as JSON Lines is valid, too"):
        validation, code = command(address, "validate", "--file", "-", stdin=lines)
        assert code == 0 and validation["valid"], validation


def same(message, record):
    """Whether an agent reads what the export holds."""
    told = message["content"], message["role"], message.get("name"), message["metadata"]
    content, role, name, metadata = told
    assert content == record.content and role == (record.role or "user"), (message, record)
    assert name == record.name and metadata == record.metadata, (message, record)
    kind = record.kind and KINDS.get(record.kind, record.kind)
    assert message.get("memory_type") == kind and not message["incomplete"], message
    at = message["created_at"]
    assert (at and stored.instant(at)) == record.at, (message, record)


async def asked(address, export):
    """What an agent finds of the export."""
    async with connect(in_front_of(address)) as server:
        asked_for = [
            (ADA, "a/b"), (ADA, "../up"), (ADA, SHARED), (NOAM, SHARED), (MARA, SHARED),
            (NOAM, "e\u0301te\u0301"), (NUMBER, "8"), (RUN_ONLY, "lonely run/1"),
            (MARA, "2024/03/04?x=1&y=2"), (NOAM, "default"),
        ]  # fmt: skip
        for user, session in asked_for:
            with check(f"an agent reads the session {session} of {user} as it was exported"):
                messages = await server.read_session(user, session)
                expected = export.places[user, session]
                assert len(messages) == len(expected), (len(messages), len(expected))
                for message, record in zip(messages, expected):
                    same(message, record)
        with check("an agent finds in each session what was only said there"):
            for (user, session), (word, sentence) in export.facts.items():
                question = f"Which word, {word}?"
                found = await server.call("search_memory", user_id=user, query=question)
                best = found["results"][0]
                assert best["memory"].endswith(sentence), (sentence, found["results"][:3])
                assert best["session_id"] == session, best
        with check("an agent finds nothing of it in anybody else's memory"):
            for (user, _), (word, _) in export.facts.items():
                for other in {MARA, ADA, APP_USER} - {user}:
                    found = await server.call("search_memory", user_id=other, query=word)
                    assert not any(word in hit["memory"] for hit in found["results"]), found


class Behind:
    """Changes what is stored, unknown to the server, and asks for the verdict."""

    def __init__(self, address, zep, export, file, database):
        self.address, self.zep, self.export = address, zep, export
        self.file, self.database = file, database

    def messages(self, user, session):
        return stored.messages_of(self.zep, stored.threads_of(self.zep, user)[session])

    def verdict(self, *narrowed):
        """The issues that validation names, after looking that it tells nothing of anybody."""
        out = []
        validation, code = command(
            self.address, "validate", "--file", self.file, *narrowed, output=out
        )
        records = [record for place in self.export.places.values() for record in place]
        said = {record.content for record in records if len(record.content) > 20}
        assert not any(text in out[0] for text in said | {"slipped in"}), "it tells what was said"
        assert (code == 0) == validation["valid"] == (not validation["issues"]), validation
        failed = {found["name"] for found in validation["checks"] if not found["passed"]}
        assert failed >= {issue["check"] for issue in validation["issues"]}, validation
        return validation["issues"]

    def names(self, record, check_name, field, place, *narrowed):
        """That exactly this is named."""
        issues = self.verdict(*narrowed)
        wanted = [record, check_name, field, f"user {place[0]}", place[1]]
        keys = "record", "check", "field", "owner", "session"
        named = [[issue.get(key) for key in keys] for issue in issues]
        assert named == [wanted], (named, wanted)

    def well(self, *narrowed):
        issues = self.verdict(*narrowed)
        assert not issues, issues

    def edit(self, message, content):
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as db, db:
            changed = db.execute(
                "UPDATE episode SET content = ? WHERE uuid = ?",
                (content, uuid.UUID(message.uuid_).bytes),
            )
            assert changed.rowcount == 1, changed.rowcount


def repair(behind, *more):
    return command(behind.address, "validate", "--file", behind.file, "--repair", *more)


def changed(behind):
    zep = behind.zep
    place = ADA, "a/b"
    session = "--user", ADA, "--session", "a/b"
    record = lambda message: message.metadata["zm_id"]
    with check("one changed message is named, and its words are not shown"):
        message = behind.messages(*place)[17]
        behind.edit(message, message.content + "!")
        behind.names(record(message), "content", "content", place)
    with check("migrating again does not hide it"):
        report, code = command(
            behind.address, "migrate", "--file", behind.file, "--validate", *session
        )
        assert code == 1 and report["success"] and report["memories_migrated"] == 0, report
        assert not report["validation"]["valid"]
        behind.edit(message, message.content)
        behind.well(*session)
    with check("one part of a long message that says something else is named by its record"):
        long = next(m for m in behind.messages(*place) if m.metadata.get("zm_part") == "2/6")
        behind.edit(long, long.content[:-1] + "?")
        behind.names(record(long), "content", "content", place, *session)
        behind.edit(long, long.content)
    with check("one message with other metadata is named"):
        own = {**message.metadata, "added": "later"}
        assert len(own) <= 10
        zep.thread.message.update(message.uuid_, metadata=own)
        behind.names(record(message), "metadata", "metadata", place)
        zep.thread.message.update(message.uuid_, metadata={"added": None})
        behind.well(*session)
    with check("one message that is a microsecond late is named"):
        when = "UPDATE episode SET created_at = created_at {} WHERE uuid = ?"
        dated = next(m for m in behind.messages(*place) if "inferred" not in str(m.metadata))
        with contextlib.closing(sqlite3.connect(behind.database, timeout=30)) as db:
            for step in ("+ 1", "- 1"):
                with db:
                    db.execute(when.format(step), (uuid.UUID(dated.uuid_).bytes,))
                if step == "+ 1":
                    behind.names(record(dated), "timestamps", "created_at", place, *session)
    with check("one message more is named, once"):
        thread = stored.threads_of(zep, ADA)["a/b"]
        extra = [Message(role="user", content="slipped in", created_at="2024-01-01T00:00:00Z")]
        added = zep.thread.add_messages(stored.escaped(thread), messages=extra).message_uuids[0]
        behind.names(added, "message_count", "record", place)
        zep.graph.episode.delete(added)
        behind.well(*session)
    with check("a message that is stored twice is named"):
        last = behind.messages(*place)[-1]
        twice = Message(
            role=last.role,
            content=last.content,
            created_at=last.created_at,
            name=last.name,
            metadata=last.metadata,
        )
        added = zep.thread.add_messages(stored.escaped(thread), messages=[twice]).message_uuids[0]
        behind.names(record(last), "message_count", "record", place, *session)
        zep.graph.episode.delete(added)
        behind.well(*session)
    with check("one message that is gone is named"):
        zep.graph.episode.delete(last.uuid_)
        behind.names(record(last), "message_count", "record", place)
    with check("neither migrating again nor a repair brings it back unasked"):
        report, code = command(behind.address, "migrate", "--file", behind.file, "--validate")
        assert code == 1 and report["memories_migrated"] == 0, report
        repaired, code = repair(behind)
        assert code == 1 and repaired["left_deleted"] == 1, repaired
        behind.names(record(last), "message_count", "record", place)
    with check("a repair brings back what is gone if it is told to"):
        repaired, code = repair(behind, "--restore-deleted")
        assert code == 0 and repaired["report"]["memories_migrated"] == 1, repaired
    with check("one that is missing in the middle is not appended unasked"):
        gone = behind.messages(*place)[9]
        zep.graph.episode.delete(gone.uuid_)
        behind.names(record(gone), "message_count", "record", place, *session)
        repaired, code = repair(behind, *session, "--restore-deleted")
        assert code == 1 and repaired["report"]["memories_migrated"] == 0, repaired
        errors = repaired["report"]["errors"]
        assert [error["session"] for error in errors] == ["a/b"], errors
        behind.names(record(gone), "message_count", "record", place, *session)
    with check("with --append it is put there, and validation names its place"):
        repaired, code = repair(behind, *session, "--restore-deleted", "--append")
        assert code == 1 and repaired["report"]["memories_migrated"] == 1, repaired
        behind.names(record(gone), "order", "order", place, *session)
    with check("one text of a user that is gone is named"):
        texts = stored.episodes_of(zep, MARA, False)
        alone = next(text for text in texts if "zm_part" not in text.metadata)
        zep.graph.episode.delete(alone.uuid_)
        issues = behind.verdict()
        named = {issue.get("record"): issue["check"] for issue in issues}
        # Besides the one that was appended.
        assert named == {record(alone): "message_count", record(gone): "order"}, issues
    with check("a user with another address is named by the field"):
        zep.user.update(stored.escaped(ADA), email="else@example.org")
        issues = behind.verdict("--user", ADA, "--session", "intro")
        assert [(issue["check"], issue["field"]) for issue in issues] == [
            ("user_exists", "email")
        ], issues
    with check("migrating again leaves the address as it is"):
        report, code = command(
            behind.address, "migrate", "--file", behind.file, "--user", ADA, "--session", "intro"
        )
        assert code == 0 and report["requests"] == 0, report
        assert zep.user.get(stored.escaped(ADA)).email == "else@example.org"
        zep.user.update(stored.escaped(ADA), email=behind.export.people[ADA].email)
    with check("a session that is gone is named, and comes back whole"):
        thread = stored.threads_of(zep, ADA)["#5"]
        zep.thread.delete(stored.escaped(thread))
        five = "--user", ADA, "--session", "#5"
        issues = behind.verdict(*five)
        assert {issue["check"] for issue in issues} >= {"session_loads"}, issues
        repaired, code = repair(behind, *five, "--restore-deleted")
        assert code == 0, repaired
        sent = repaired["report"]["memories_migrated"]
        assert sent == len(behind.export.places[ADA, "#5"]), repaired
        started = datetime.min.replace(tzinfo=timezone.utc)
        stored.whole(zep, behind.export, started, [(ADA, "#5")])


def main():
    export = Export()
    with tempfile.TemporaryDirectory() as directory:
        file, database = Path(directory, "export.json"), Path(directory, "zep.db")
        file.write_text(export.document(), encoding="utf-8")
        with emulator("--data", str(database)) as address:
            zep = connected(address)
            started = datetime.now(timezone.utc)
            with check("the export is as large and as mixed as it is meant to be"):
                assert len(export.people) >= 3 and len(export.sessions) >= 20
                assert export.records >= 2_000 and export.expired and export.long
            rehearsed(address, zep, export, file)
            migrated(address, zep, export, file, started)
            again(address, export, file, export.lines())
            asyncio.run(asked(address, export))
            changed(Behind(address, zep, export, file, database))
    finish()


main()
