#!/usr/bin/env python3
"""Measures a migration of a large export with a built binary.

    cargo build --profile dist && benches/migrate.py target/dist/zep-mcp-server [MEGABYTES]
    benches/migrate.py target/dist/zep-mcp-server --rehearse RECORDS

Makes an export of that size (default 100) in the guide's shape: one document with one large array
of users with sessions of 50 turns, and memories. Migrates it into the embedded store, repeats that,
and validates it; then migrates a tenth into the emulator over HTTP. Prints records per second, peak
resident memory, and the number of requests beside the minimum. Needs python3 only, and three times
the export's size in TMPDIR, which should be on a real disk.

With --rehearse, short memories of many users are generated in the order of their times, piped into
`migrate --file - --rehearse`, and nothing is kept: about 1 kB of TMPDIR a record. Compare the peaks of
10000 and 10000000.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

from stdio_client import Emulator

WORDS = (
    "the a tram leaves garden window morning doctor sister walked slept better worse never always"
    " letter kitchen harbour music quiet friend again because anxious calm work evening remember"
).split()
SESSIONS, TURNS, MEMORIES = 4, 50, 20


def sentence(chance):
    return " ".join(chance.choices(WORDS, k=chance.randint(4, 60)))


def user(number, chance):
    day = f"2024-{1 + number % 12:02}"
    return {
        "id": f"user-{number}",
        "name": f"Person {number}",
        "email": f"person{number}@example.com",
        "role": "user",
        "sessions": [
            {
                "id": f"session-{number}-{session}",
                "messages": [
                    {
                        "role": "user" if turn % 2 == 0 else "assistant",
                        "content": sentence(chance),
                        "timestamp": f"{day}-{1 + session:02}T10:{turn:02}:00Z",
                    }
                    for turn in range(TURNS)
                ],
            }
            for session in range(SESSIONS)
        ],
        "memories": [
            {
                "id": f"{number:08x}-0000-4000-8000-{memory:012x}",
                "memory": sentence(chance),
                "created_at": f"{day}-20T10:{memory:02}:00Z",
                "metadata": {"category": "note", "score": 0.5},
            }
            for memory in range(MEMORIES)
        ],
    }


def write_export(path, megabytes):
    """Writes the export; answers how many users it has."""
    chance = random.Random(1)
    users = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"users": [')
        while file.tell() < megabytes * 1_000_000:
            file.write(",\n" if users else "\n")
            json.dump(user(users, chance), file)
            users += 1
        file.write("]}\n")
    return users


def run(what, command, environment, stdin=None):
    """Runs a command that answers JSON, and prints what it took."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdin=stdin, stdout=subprocess.PIPE)
    answer = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - begun
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    records = answer.get("memory_count") or (
        answer["memories_migrated"] + answer["already_there"]
    )
    requests = ""
    if answer.get("requests"):
        least = answer.get("least_requests")
        requests = f", {answer['requests']} requests" + (f" of {least} at least" if least else "")
    print(
        f"{what:<44} {records:>9} records in {took:7.1f} s: {records / took:7.0f} a second, "
        f"peak {peak:5.1f} MB{requests}, exit {os.waitstatus_to_exitcode(status)}",
        flush=True,
    )


def memories(count):
    """Lines of memories, each of another user than the one before, eleven in twelve with a run."""
    users = max(1, count // 220)
    for n in range(count):
        person = n * 7919 % users
        run = f'"run_id": "s-{person}-{n % 4}", ' if n % 12 else ""
        seconds = n % (28 * 86400)
        day, hour, minute = 1 + seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
        words = " ".join(WORDS[(n * 7 + word * word) % len(WORDS)] for word in range(3 + n % 7))
        yield (
            f'{{"id": "{n:08x}-0000-4000-8000-{person:012x}", "memory": "{words} {n}", '
            f'"user_id": "user-{person}", {run}"metadata": {{"category": "note"}}, '
            f'"created_at": "2024-03-{day:02}T{hour:02}:{minute:02}:{seconds % 60:02}Z"}}\n'
        )


def rehearse(binary, count, environment):
    """Pipes that many memories into a rehearsal."""
    command = [binary, "migrate", "--file", "-", "--rehearse", "--json"]
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as pipe:
            pipe.writelines(memories(count))
        os._exit(0)
    os.close(writer)
    run("rehearsed from standard input", command, environment, reader)
    os.wait()


def main():
    binary = os.path.abspath(sys.argv[1])
    quiet = {"PATH": os.environ["PATH"], "LOG_LEVEL": "error"}
    if "TMPDIR" in os.environ:
        quiet["TMPDIR"] = os.environ["TMPDIR"]
    if sys.argv[2:3] == ["--rehearse"]:
        return rehearse(binary, int(sys.argv[3]), quiet)
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as directory:
        export = os.path.join(directory, "export.json")
        users = write_export(export, megabytes)
        each = SESSIONS * TURNS + MEMORIES
        size = os.path.getsize(export) / 1e6
        print(f"export of {size:.0f} MB: {users} users, {users * each} records")
        local = {**quiet, "MEMORY_BACKEND": "local", "ZEP_MCP_DATA_DIR": directory}
        migrate = [binary, "migrate", "--file", export, "--json"]
        run("dry run", [*migrate, "--dry-run"], local)
        run("into the embedded store", migrate, local)
        run("the same again", migrate, local)
        run("validated", [binary, "validate", "--file", export, "--json"], local)
        write_export(export, megabytes / 10)
        emulator = Emulator(binary, quiet)
        zep = {**quiet, "ZEP_API_URL": emulator.url, "ZEP_API_KEY": "bench"}
        run("a tenth of it into the emulator", migrate, zep)
        run("validated", [binary, "validate", "--file", export, "--json"], zep)
        emulator.stop()


if __name__ == "__main__":
    main()
