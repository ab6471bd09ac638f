"""An agent migrates people by the tools migrate_user and validate_migration, with the official
Python client of MCP of either generation (1.x, 2.x) over stdio, from a file and inline: progress is
told, and a call that is cancelled half-way leaves whole records in order. Zep's official client
(zep-cloud 3.30.0) reads what arrived."""

import asyncio
import json
import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import stored
from export import ADA, FLAT, MARA, NOAM, NUMBER, Export
from peer import check, control, emulator, finish
from server import API_KEY, connect, in_front_of, ways
from zep_cloud.client import Zep

# Milliseconds that each answer takes while a call is to be cancelled: so that there is a half-way.
LATENCY = 400
NEVER = datetime.min.replace(tzinfo=timezone.utc)


class Told:
    """The progress that the server reported."""

    def __init__(self):
        self.steps = []

    async def __call__(self, done, total, message):
        self.steps.append((done, total, message))

    def is_sound(self, word):
        done = [step[0] for step in self.steps]
        assert len(done) > 2 and done == sorted(set(done)), self.steps
        assert all(total == 100 and 0 < at <= 100 for at, total, _ in self.steps), self.steps
        messages = [message for *_, message in self.steps]
        assert all(messages) and any(word in message for message in messages), messages


def place_of(export, user):
    return [place for place in export.places if place[0] == user]


def count(export, user):
    return sum(len(export.places[place]) for place in place_of(export, user))


async def settled(zep, user):
    """What is stored of a user once no more comes."""
    seen = None
    for _ in range(40):
        sessions = stored.threads_of(zep, user)
        now = {name: stored.messages_of(zep, thread) for name, thread in sessions.items()}
        if now == seen:
            return now
        seen = now
        await asyncio.sleep(2 * LATENCY / 1000)
    raise AssertionError("it does not come to rest")


async def moves(server, address, zep, export, way):
    user = {"id": ADA}
    everything = {"user": user, "file": "export.json"}
    with check(f"{way}: a dry run says what would be done, and does nothing"):
        report = await server.call("migrate_user", **everything, dry_run=True)
        assert report["success"] and report["dry_run"], report
        assert report["memories_migrated"] == count(export, ADA), report
        assert not stored.is_there(zep, ADA)
    with check(f"{way}: one session of a user is moved, and no other"):
        report = await server.call("migrate_user", **everything, session_ids=["a/b"])
        assert report["success"], report
        assert report["memories_migrated"] == len(export.places[ADA, "a/b"]), report
        assert set(stored.threads_of(zep, ADA)) == {"a/b"}
        stored.whole(zep, export, NEVER, [(ADA, "a/b")])
    with check(f"{way}: validation of that session is valid, of everything it is not"):
        found = await server.call("validate_migration", **everything, session_id="a/b")
        assert found["valid"] and found["memory_count"] == len(export.places[ADA, "a/b"]), found
        found = await server.call("validate_migration", **everything)
        assert not found["valid"], found
        missing = {issue.get("session") for issue in found["issues"]}
        assert missing == {place[1] for place in place_of(export, ADA)} - {"a/b"}, missing
    partly = {}
    with check(f"{way}: a call can be cancelled half-way"):
        control(address, "PUT", "faults", {"latency_ms": LATENCY})
        await server.give_up("migrate_user", 25, **everything)
        partly = await settled(zep, ADA)
        control(address, "PUT", "faults", {})
        at_rest = sum(map(len, partly.values()))
        assert len(export.places[ADA, "a/b"]) < at_rest, at_rest
        records = sum(len(stored.records_of(messages)) for messages in partly.values())
        assert records < count(export, ADA), records
    with check(f"{way}: what is there after that is whole records, single and in order"):
        assert partly
        for session, messages in partly.items():
            expected = export.places[ADA, session]
            for parts, record in zip(stored.records_of(messages), expected, strict=False):
                differ = stored.differences(parts, record, True, NEVER)
                assert not differ, (session, differ, parts, record)
            ids = [parts[0].metadata["zm_id"] for parts in stored.records_of(messages)]
            assert len(ids) == len(set(ids)) <= len(expected)
    with check(f"{way}: calling again completes it, and progress is told"):
        told = Told()
        report = await server.call("migrate_user", told, **everything)
        assert report["success"] and not report["cancelled"], report
        there = sum(len(stored.records_of(messages)) for messages in partly.values())
        assert report["already_there"] == there > 0, (report, there)
        assert report["memories_migrated"] == count(export, ADA) - there > 0, report
        told.is_sound("writing")
    with check(f"{way}: then everything of the user is there, once and in order"):
        stored.whole(zep, export, NEVER, place_of(export, ADA))
    with check(f"{way}: validation says so, and tells its progress"):
        told = Told()
        found = await server.call("validate_migration", told, **everything)
        assert found["valid"] and not found["issues"], found
        told.is_sound("validating")


async def inline(server, zep, export, way):
    started = datetime.now(timezone.utc)
    with check(f"{way}: somebody's data given inline is moved and valid"):
        data = next(user for user in export.users if user["id"] == 42)
        arguments = {"user": {"id": NUMBER}, "data": data}
        report = await server.call("migrate_user", **arguments)
        assert report["success"] and report["memories_migrated"] == count(export, NUMBER), report
        found = await server.call("validate_migration", **arguments)
        assert found["valid"], found
    with check(f"{way}: so are memories of mem0's, and the description of their user"):
        memories = [memory for memory in export.memories if memory.get("user_id") == MARA]
        user = {"id": MARA, "name": "Mara Lind", "email": "mara@example.org", "role": "user"}
        arguments = {"user": user, "data": {"results": memories}}
        report = await server.call("migrate_user", **arguments)
        assert report["success"] and report["memories_migrated"] == count(export, MARA), report
        assert (report["expired"], report["skipped"] > 0) == (export.expired, True), report
        found = await server.call("validate_migration", **arguments)
        assert found["valid"], found
        known = zep.user.get(stored.escaped(MARA))
        named = known.first_name, known.last_name, known.email, known.metadata["role"]
        assert named == ("Mara", "Lind", "mara@example.org", "patient"), known
    with check(f"{way}: the other people of the file follow, each their own"):
        for user in (NOAM, FLAT):
            arguments = {"user": {"id": user}, "file": "export.jsonl"}
            report = await server.call("migrate_user", **arguments)
            assert report["success"] and report["memories_migrated"] == count(export, user), report
            found = await server.call("validate_migration", **arguments)
            assert found["valid"], found
    with check(f"{way}: zep-cloud finds everybody, every session, and nothing else"):
        stored.nothing_else(zep, export)
        # What was given inline does not say when it was exported.
        stored.whole(zep, export, started, place_of(export, NUMBER), None)
        stored.whole(zep, export, started, place_of(export, MARA), None)
        for user in (NOAM, FLAT):
            stored.whole(zep, export, started, place_of(export, user), None)
    with check(f"{way}: a user with another address is named by the field, not by the address"):
        user = {"id": NUMBER, "email": "secret@example.org"}
        data = next(user for user in export.users if user["id"] == 42)
        found = await server.call("validate_migration", user=user, data=data)
        issues = [(issue["check"], issue["field"]) for issue in found["issues"]]
        assert not found["valid"] and issues == [("user_exists", "email")], found
        assert "secret@" not in json.dumps(found)


async def refuses(server, way):
    with check(f"{way}: nothing outside of the import directory is read"):
        for name in ("../secret.json", "link.json", "/etc/passwd", "none.json"):
            for tool in ("migrate_user", "validate_migration"):
                answer, error = await server.ask(tool, user={"id": ADA}, file=name)
                assert error and answer["error"] == "invalid_argument", answer
                assert "stranger" not in json.dumps(answer)


async def unset(settings, way):
    async with connect(settings, way) as server:
        with check(f"{way}: without an import directory the tool says what to set"):
            answer, error = await server.ask("migrate_user", user={"id": ADA}, file="e.json")
            assert error and "ZEP_MCP_IMPORT_DIR" in answer["detail"], answer


async def main():
    export = Export(seed=7, turns=60, unnamed=False)
    for way in ways():
        with tempfile.TemporaryDirectory() as directory:
            exports = Path(directory, "exports")
            exports.mkdir()
            Path(directory, "secret.json").write_text('{"id": "stranger", "messages": []}')
            os.symlink(Path(directory, "secret.json"), exports / "link.json")
            (exports / "export.json").write_text(export.document(), encoding="utf-8")
            (exports / "export.jsonl").write_text(export.lines(), encoding="utf-8")
            with emulator() as address:
                zep = Zep(api_key=API_KEY, base_url=f"{address}/api/v2", timeout=60)
                settings = {**in_front_of(address), "ZEP_MCP_IMPORT_DIR": str(exports)}
                async with connect(settings, way) as server:
                    await moves(server, address, zep, export, way)
                    await inline(server, zep, export, way)
                    await refuses(server, way)
                await unset(in_front_of(address), way)
    finish()


asyncio.run(main())
