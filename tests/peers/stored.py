"""What Zep holds of an export, read by its official client and compared with what the export
itself says must stand there."""

import json
from datetime import datetime, timezone
from urllib.parse import quote

from export import DEFAULT, EXPORTED_AT, KINDS, MESSAGE_ROLES
from zep_cloud.core.api_error import ApiError

# Our own keys among the metadata.
OURS = {
    "zm_id", "zm_part", "zm_x", "memory_type", "migration_source", "original_role",
    "agent_id", "app_id",
}  # fmt: skip


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def escaped(name):
    """A name as one segment of a path: the client does not escape it."""
    return quote(name, safe="")


def as_json(value):
    """So that 1, 1.0 and true are three things."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def threads_of(zep, user):
    """The ids of a user's threads, each by the session that it is."""
    found = {}
    for thread in zep.user.get_threads(escaped(user)):
        assert thread.user_id == user, thread
        session = thread.thread_id.removesuffix(f"::zm::{user}")
        assert session not in found, f"{session} of {user} is two threads"
        found[session] = thread.thread_id
    return found


def messages_of(zep, thread):
    """Every message of a thread."""
    name = escaped(thread)
    total = zep.thread.get(name, lastn=1).total_count
    messages = zep.thread.get(name, lastn=total).messages if total else []
    assert len(messages) == total, f"{thread}: {len(messages)} of {total}"
    return messages


def episodes_of(zep, owner, is_graph):
    """The texts of an owner that belong to no session, by their time."""
    name = escaped(owner)
    reader = zep.graph.episode
    read = reader.get_by_graph_id if is_graph else reader.get_by_user_id
    episodes = [e for e in read(name, lastn=10_000).episodes if e.source != "message"]
    return sorted(episodes, key=lambda episode: instant(episode.created_at))


def records_of(stored):
    """The parts of each record, in the order of their first parts."""
    found = {}
    for part in stored:
        found.setdefault(part.metadata["zm_id"], []).append(part)
    return list(found.values())


def differences(parts, record, is_session, started, exported_at=EXPORTED_AT):
    """In what the stored parts of a record are not what they must be: the fields. What nothing
    dates has the time of the export, or, where it says none, one since `started`."""
    differ = set()

    def same(name, one, other):
        if one != other:
            differ.add(name)

    total = len(parts)
    numbers = [part.metadata.get("zm_part") for part in parts]
    same("zm_part", numbers, [None] if total == 1 else [f"{n + 1}/{total}" for n in range(total)])
    same("content", "".join(part.content for part in parts), record.content)
    for part in parts:
        own = part.metadata
        extra = json.loads(own.get("zm_x", "{}"))
        if len(part.content) > (4_096 if is_session else 10_000) or not part.content.strip():
            differ.add("length")
        at = instant(part.created_at)
        if dated := record.stored_at or exported_at:
            same("created_at", at, dated)
        elif not started <= at <= datetime.now(timezone.utc):
            differ.add("created_at")
        same("inferred", extra.get("time") == "inferred", record.at is None)
        updated = extra.get("updated")
        same("updated_at", updated and instant(updated), record.updated)
        if is_session:
            role = MESSAGE_ROLES[record.role or "user"]
            same("role", part.role, role)
            given = record.role if record.role not in (None, role) else None
            same("original_role", own.get("original_role"), given)
            whole = extra.get("name", part.name)
            same("name", whole, record.name)
            if part.name and (len(part.name) > 100 or not whole.startswith(part.name)):
                differ.add("name")
        kind = record.kind and KINDS.get(record.kind, record.kind)
        same("memory_type", own.get("memory_type"), kind)
        same("migration_source", own.get("migration_source"), "mem0")
        same("agent_id", own.get("agent_id"), record.agent)
        same("app_id", own.get("app_id"), record.app)
        flat = {key: value for key, value in own.items() if key not in OURS}
        packed = extra.get("metadata", {})
        same("metadata", as_json({**flat, **packed}), as_json(record.metadata))
        same("metadata", set(flat) & set(packed), set())
        if len(own) > 10:
            differ.add("metadata")
        if record.id and len(record.id) == 36:
            same("zm_id", own["zm_id"], record.id)
        elif record.id:
            same("zm_id", own["zm_id"].split("@")[0], record.id)
    return differ


def stored_at(zep, threads, place, is_graph):
    """What is stored at a place of the export."""
    owner, session = place
    if session is None:
        return episodes_of(zep, owner, is_graph)
    return messages_of(zep, threads[owner][session])


def whole(zep, export, started, places=None, exported_at=EXPORTED_AT):
    """That every record of these places is stored, once, in order, as it must be."""
    places = export.places if places is None else places
    known = {user: threads_of(zep, user) for user, session in places if session is not None}
    seen = set()
    for place in places:
        owner, session = place
        expected = export.places[place]
        stored = stored_at(zep, known, place, owner in export.graphs)
        found = records_of(stored)
        alone = session is None
        if alone:
            for parts in found:
                parts.sort(key=lambda part: int(part.metadata.get("zm_part", "1/1").split("/")[0]))
            # Texts of one time have no order among them.
            found.sort(key=lambda parts: parts[0].content)
            expected = sorted(expected, key=lambda record: record.content)
        assert len(found) == len(expected), f"{place}: {len(found)} of {len(expected)} records"
        for number, (parts, record) in enumerate(zip(found, expected)):
            differ = differences(parts, record, not alone, started, exported_at)
            assert not differ, f"{place}, {number}: {differ} of {parts[0].metadata} for {record}"
        ids = {(owner, parts[0].metadata["zm_id"]) for parts in found}
        assert len(ids) == len(found) and not ids & seen, f"{place}: ids that are not single"
        seen |= ids


def nothing_else(zep, export):
    """That there is nobody and no session but those of the export."""
    users = {user.user_id for user in zep.user.list_ordered(page_number=1, page_size=50).users}
    assert users == set(export.people), users ^ set(export.people)
    graphs = {graph.graph_id for graph in zep.graph.list_all().graphs or []}
    # Beside agents' own memories: an empty one for each agent and app that a memory names, by which
    # it is listed.
    records = [record for place in export.places.values() for record in place]
    named = {f"mem0-agent-{record.agent}" for record in records if record.agent}
    named |= {f"mem0-app-{record.app}" for record in records if record.app}
    assert graphs == export.graphs | named, graphs ^ (export.graphs | named)
    for graph in named - export.graphs:
        assert not zep.graph.episode.get_by_graph_id(escaped(graph), lastn=1).episodes, graph
    for user in export.people:
        sessions = threads_of(zep, user)
        expected = {session for owner, session in export.sessions if owner == user}
        assert set(sessions) == expected, (user, set(sessions) ^ expected)
        for session, thread in sessions.items():
            plain = session != DEFAULT and not thread.endswith(f"::zm::{user}")
            assert thread == (session if plain else f"{session}::zm::{user}"), thread


def people(zep, export, started):
    """That every user has the fields of the export, and the marks of a migration."""
    for user, person in export.people.items():
        stored = zep.user.get(escaped(user))
        words = (person.name or "").split()
        last = words.pop() if len(words) > 1 else None
        assert stored.user_id == user
        # The whole name is kept, whatever blanks stand between the words.
        assert (stored.first_name or "").split() == words, stored.first_name
        assert stored.last_name == last, stored.last_name
        assert stored.email == person.email, stored.email
        own = dict(stored.metadata)
        assert len(own) <= 10, own
        assert own.pop("migration_source") == "mem0"
        assert own.pop("migration_run", "0")
        assert started <= instant(own.pop("migration_timestamp")) <= datetime.now(timezone.utc)
        of_source = None if person.made_for_migration else user
        assert own.pop("source_user_id", None) == of_source, stored.metadata
        assert own.pop("role", None) == person.role, stored.metadata
        packed = json.loads(own.pop("zm_x", "{}")).get("metadata", {})
        assert not set(own) & set(packed)
        assert as_json({**own, **packed}) == as_json(person.metadata), {**own, **packed}


def is_there(zep, user):
    """Whether this user exists."""
    try:
        zep.user.get(escaped(user))
    except ApiError as error:
        assert error.status_code == 404, error
        return False
    return True
