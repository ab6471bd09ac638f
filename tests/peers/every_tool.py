"""Every tool of the server, called once or more through a connection, and what it must answer."""

import asyncio
import time

from peer import check

TOOLS = {
    "add_memory",
    "delete_all_memories",
    "delete_entities",
    "delete_memory",
    "get_event_status",
    "get_memories",
    "get_memory",
    "get_session",
    "list_entities",
    "list_events",
    "list_sessions",
    "migrate_user",
    "migration_status",
    "search_memories",
    "search_memory",
    "update_memory",
    "validate_migration",
}
SAID = [
    {"role": "user", "content": "Please book the night train to Lisbon."},
    {"role": "assistant", "content": "You have berth 12 on the night train."},
]


def export(count):
    """An export to migrate: one session of one user."""
    messages = [
        {
            "role": "user",
            "content": f"Note {number} from before.",
            "session_id": "before",
            "created_at": f"2024-03-01T10:{number // 60:02}:{number % 60:02}Z",
        }
        for number in range(count)
    ]
    return {"messages": messages}


class Told:
    """The progress that the server reported."""

    def __init__(self):
        self.steps = []

    async def __call__(self, done, total, message):
        self.steps.append((done, total, message))

    def is_sound(self):
        done = [step[0] for step in self.steps]
        assert done and done == sorted(set(done)), self.steps
        assert all(0 < at <= total == 100 and message for at, total, message in self.steps)


async def in_time(server, tool, kept, **arguments):
    """The answer once it is as it must be: facts may be drawn in the background."""
    until = time.monotonic() + 120
    while True:
        answer = await server.call(tool, **arguments)
        if kept(answer):
            return answer
        assert time.monotonic() < until, f"{tool}: {answer}"
        await asyncio.sleep(0.2)


def finds(*texts):
    """Whether every text is in the results."""

    def kept(answer):
        found = [result["memory"] for result in answer["results"]]
        return all(any(text in memory for memory in found) for text in texts)

    return kept


async def every_tool(server, place, backend):
    """Calls them all, on a store where nobody called ada, john or mara is. Needs an operator."""
    called = set()

    async def call(tool, progress=None, **arguments):
        called.add(tool)
        return await server.call(tool, progress, **arguments)

    async def when(kept, tool, **arguments):
        called.add(tool)
        return await in_time(server, tool, kept, **arguments)

    with check(f"{place}: all {len(TOOLS)} tools are listed"):
        tools = await server.tools()
        assert {tool.name for tool in tools} == TOOLS and len(tools) == len(TOOLS)
    with check(f"{place}: add_memory, list_sessions and get_session keep what was said"):
        trip = {"user_id": "ada", "session_id": "trip"}
        added = await call("add_memory", **trip, messages=SAID)
        assert added["backend"] == backend and len(added["results"]) == len(SAID), added
        listed = await call("list_sessions", user_id="ada")
        assert [each["session_id"] for each in listed["sessions"]] == ["trip"], listed
        read = await call("get_session", **trip)
        assert [message["content"] for message in read["messages"]] == [
            turn["content"] for turn in SAID
        ]
    with check(f"{place}: list_events and get_event_status say what became of it"):
        events = await call("list_events", user_id="ada")
        assert {each["event_type"] for each in events["results"]} == {"ADD"}, events
        one = {"event_id": added["event_id"], "user_id": "ada"}
        event = await when(lambda each: each["status"] == "SUCCEEDED", "get_event_status", **one)
        assert event["user_id"] == "ada", event
    with check(f"{place}: search_memory, search_memories and get_memories find it, each their own"):
        await call("add_memory", user_id="john", text="John is allergic to peanuts.")
        await when(finds("night train"), "search_memory", query="night train", user_id="ada")
        johns = {"filters": {"AND": [{"user_id": "john"}]}}
        found = await when(finds("peanuts"), "search_memories", query="peanuts", **johns)
        assert {each["user_id"] for each in found["results"]} == {"john"}, found
        listed = await when(finds("peanuts"), "get_memories", **johns)
        found = await call("search_memory", query="peanuts", user_id="ada")
        assert not finds("peanuts")(found), found
    with check(f"{place}: update_memory, get_memory and delete_memory change one memory"):
        fact = next(each for each in listed["results"] if "peanuts" in each["memory"])
        almonds = "John is allergic to almonds."
        changed = await call("update_memory", memory_id=fact["id"], text=almonds)
        read = await call("get_memory", memory_id=changed["id"])
        assert read["memory"] == almonds and read["user_id"] == "john", read
        await call("delete_memory", memory_id=changed["id"])
        answer, error = await server.ask("get_memory", memory_id=changed["id"])
        assert error and answer["error"] == "not_found", answer
    with check(f"{place}: migrate_user tells its progress, and validate_migration finds all of it"):
        told, data = Told(), export(60)
        report = await call("migrate_user", told, user={"id": "mara"}, data=data)
        assert report["success"] and report["memories_migrated"] == 60, report
        told.is_sound()
        found = await call("validate_migration", user={"id": "mara"}, data=data)
        assert found["valid"] and found["memory_count"] == 60, found
    with check(f"{place}: a migration in the background is followed by migration_status"):
        begun = await call("migrate_user", user={"id": "mara"}, data=data, background=True)
        ended = await when(
            lambda status: status["state"] != "running", "migration_status", run=begun["run"]
        )
        assert ended["state"] == "done" and ended["report"]["success"], ended
    with check(f"{place}: list_entities, delete_all_memories and delete_entities know everybody"):
        people = {"ada", "john", "mara"}
        listed = await call("list_entities")
        assert {each["id"] for each in listed["results"] if each["type"] == "user"} == people
        gone = await call("delete_all_memories", user_id="mara")
        assert gone["complete"] and gone["removed"]["messages"] == 60, gone
        listed = await call("list_sessions", user_id="mara")
        assert listed["sessions"] == [], listed
        await call("delete_entities", user_id="john")
        await call("delete_entities", user_id="mara")
        listed = await call("list_entities")
        left = {each["id"] for each in listed["results"] if each["type"] == "user"}
        assert left == {"ada"}, left
        read = await call("get_session", **trip)
        assert len(read["messages"]) == len(SAID), read
    with check(f"{place}: that was every tool"):
        assert called == TOOLS, TOOLS - called
