"""The calls that an agent makes of mem0-mcp-server, and the fields it reads in the answers: sent to
mem0-mcp-server 0.2.1 itself, in front of a stand-in for mem0's API, and to this server. Prints the
outcomes side by side."""

import asyncio
import json
import os
import re
import sys
from datetime import datetime
from pathlib import Path

from mcp.shared.exceptions import McpError
from mcp.types import ElicitResult
from mem0_side import mem0
from peer import check, emulator, finish
from server import connect, embedded, in_front_of

HERE = Path(__file__).resolve().parent
RECORDED = json.loads((HERE.parent / "fixtures/mem0-mcp-server/calls.json").read_text())
# Only these are repeated: facts may be drawn in the background.
READING = {"search_memories", "get_memories", "list_entities", "get_memory"}
# Seconds for which they are repeated.
PATIENCE = 60

TYPES = {"string": str, "number": (int, float), "integer": int, "object": dict, "array": list}


class NotAsRecorded(Exception):
    """An answer without what the agent reads or looks for in it."""


def is_a(value, kind):
    if "|" in kind:
        return value in kind.split("|")
    if kind.endswith("?"):
        return value is None or is_a(value, kind[:-1])
    if isinstance(value, bool):
        return False
    if kind == "time":
        try:
            return datetime.fromisoformat(value).tzinfo is not None
        except (TypeError, ValueError):
            return False
    return isinstance(value, TYPES[kind])


def at(answer, path):
    """What an agent finds at a path: the values at `results[].id`, `results[0].id` or `count`."""
    values = [answer]
    for step in re.findall(r"[^.\[\]]+|\[\d*\]", path):
        if step == "[]":
            values = [each for value in values for each in value]
        elif step.startswith("["):
            values = [value[int(step[1:-1])] for value in values]
        else:
            values = [value[step] for value in values]
    return values


def read(answer, reads):
    """Fails unless the fields are there, with these types."""
    missing = []
    for path, kind in reads.items():
        try:
            values = at(answer, path)
        except (KeyError, IndexError, TypeError):
            values = []
        if not values or not all(is_a(value, kind) for value in values):
            missing.append(path)
    if missing:
        raise NotAsRecorded(f"lacks {len(missing)} of {len(reads)}: {', '.join(missing)}")


def filled_in(arguments, answers):
    """The arguments, with what they take from earlier answers."""
    filled = {}
    for name, value in arguments.items():
        if isinstance(value, dict) and "$ref" in value:
            call, _, path = value["$ref"].partition(".")
            if call not in answers:
                raise NotAsRecorded(f"not made: needs the answer to {call!r}")
            try:
                (value,) = at(answers[call], path)
            except (KeyError, IndexError, TypeError):
                raise NotAsRecorded(f"not made: needs {path} of {call!r}") from None
        filled[name] = value
    return filled


async def answered(session, call, arguments):
    """The answer as the agent sees it, and whether it is an error."""
    try:
        if "prompt" in call:
            result = await session.get_prompt(call["prompt"], arguments)
            return result.model_dump(mode="json", by_alias=True), False
        result = await session.call_tool(call["tool"], arguments)
    except McpError as error:
        raise NotAsRecorded(f"not there: {error}") from None
    text = result.content[0].text
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        raise NotAsRecorded(f"no JSON: {text[:200]}") from None
    return answer, result.isError or "error" in answer


async def make(session, call, answers):
    """Makes a call, and repeats it until the answer is as recorded or the time is up."""
    arguments = filled_in(call["arguments"], answers)
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        answer, error = await answered(session, call, arguments)
        if error and not call.get("fails"):
            raise NotAsRecorded(f"failed: {json.dumps(answer)[:200]}")
        answers[call["name"]] = answer
        try:
            if not error and call.get("fails"):
                raise NotAsRecorded("did not fail")
            read(answer, call["reads"])
            text = json.dumps(answer, ensure_ascii=False)
            absent = [each for each in call.get("finds", []) if each not in text]
            present = [each for each in call.get("misses", []) if each in text]
            if absent or present:
                raise NotAsRecorded(f"wrong ones: no {absent}, but {present}")
            return
        except NotAsRecorded:
            late = asyncio.get_running_loop().time() > deadline
            if late or error or call.get("tool") not in READING:
                raise
        await asyncio.sleep(0.2)


async def made(session, refuses):
    """The outcome of each call: `None` where it was as recorded, else the difference."""
    outcomes, answers = [], {}
    for call in RECORDED["calls"]:
        if refuses and "differs" in call:
            call = {**call, "fails": True, "reads": {"error": "string", "detail": "string"}}
        try:
            await make(session, call, answers)
            outcomes.append(None)
        except NotAsRecorded as error:
            outcomes.append(str(error))
    return outcomes


def optional(schema):
    """The arguments that may be null."""
    return {
        name
        for name, field in schema.get("properties", {}).items()
        if {"type": "null"} in field.get("anyOf", [])
    }


async def complete(session):
    """Fails unless the recording has every tool, prompt and argument, null included."""
    listed = {tool.name: tool.inputSchema for tool in (await session.list_tools()).tools}
    given = {
        (call.get("tool"), name, value is None)
        for call in RECORDED["calls"]
        for name, value in call["arguments"].items()
    }
    for tool, schema in listed.items():
        assert any(call.get("tool") == tool for call in RECORDED["calls"]), tool
        for name in schema.get("properties", {}):
            assert (tool, name, False) in given, f"{tool}: no {name}"
        for name in optional(schema):
            assert (tool, name, True) in given, f"{tool}: no {name} that is null"
    prompts = {prompt.name for prompt in (await session.list_prompts()).prompts}
    assert prompts <= {call.get("prompt") for call in RECORDED["calls"]}, prompts


class Person:
    """Says yes to every question, and counts them."""

    def __init__(self):
        self.asked = 0

    async def __call__(self, context, parameters):
        self.asked += 1
        fields = (getattr(parameters, "requestedSchema", None) or {}).get("properties", {})
        yes = {name: True for name, field in fields.items() if field.get("type") == "boolean"}
        return ElicitResult(action="accept", content=yes)


def table(columns):
    """Prints the outcome of each call on each side."""
    names = [call["name"] for call in RECORDED["calls"]]
    widths = [max(map(len, names)), *(max(len(title), 10) for title in columns)]

    def row(*cells):
        print("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths)).rstrip())

    row("call", *columns)
    for number, call in enumerate(RECORDED["calls"]):
        cells = []
        for title, outcomes in columns.items():
            problem = outcomes[number]
            refused = "differs" in call and title in REFUSE
            good = "refused" if refused else f"ok, {len(call['reads'])} read"
            cells.append(good if problem is None else problem.split(":")[0])
        row(call["name"], *cells)
    for number, call in enumerate(RECORDED["calls"]):
        if "differs" in call:
            print(f"  {call['name']}: {call['differs']}")
        for title, outcomes in columns.items():
            if outcomes[number] is not None:
                print(f"  {title}: {call['name']}: {outcomes[number]}")
    print(flush=True)


# The sides of this server whose client cannot answer questions.
REFUSE = {"ours, embedded", "ours, Zep's API"}


async def main():
    user = {"MEM0_DEFAULT_USER_ID": RECORDED["default_user"]}
    columns = {}

    async def side(title, settings, person=None, **options):
        with check(f"{title}: every call goes as recorded, and every field that is read is there"):
            async with connect({**settings, **user}, elicit=person, **options) as server:
                columns[title] = await made(server.session, title in REFUSE)
            wrong = [
                f"{call['name']}: {problem}"
                for call, problem in zip(RECORDED["calls"], columns[title])
                if problem is not None
            ]
            assert not wrong, f"{len(wrong)} of {len(columns[title])} calls: {'; '.join(wrong)}"

    with mem0() as settings, open(os.devnull, "w") as nowhere:
        elsewhere = {"command": [sys.executable, "-I", HERE / "mem0_elsewhere.py"], "log": nowhere}
        with check("the list has every tool, prompt and argument of mem0-mcp-server, nulls too"):
            async with connect(settings, **elsewhere) as server:
                await complete(server.session)
        await side("mem0-mcp-server", settings, **elsewhere)
    with embedded() as settings:
        await side("ours, embedded", settings)
    with emulator() as address:
        await side("ours, Zep's API", in_front_of(address))
    with embedded() as settings:
        person = Person()
        await side("ours, asking", settings, person=person)
    with check("a client that can be asked is asked before each deletion of many memories"):
        many = {"delete_all_memories", "delete_entities"}
        deletions = [
            call
            for call in RECORDED["calls"]
            if call.get("tool") in many and not call.get("fails")
        ]
        assert person.asked == len(deletions), f"{person.asked} of {len(deletions)}"
    table(columns)
    finish()


asyncio.run(main())
