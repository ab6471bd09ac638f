#!/usr/bin/env python3
"""Measures a migration of a large export with a built binary.

    cargo build --profile dist && benches/migrate.py target/dist/zep-mcp-server [MEGABYTES]

Makes an export of that size (default 100) in the guide's shape: one document with one large array
of users with sessions of 50 turns, and memories. Migrates it into the embedded store, repeats that,
and validates it; then migrates a tenth into the emulator over HTTP. Prints records per second, peak
resident memory, and the number of requests beside the minimum. Needs python3 only, and three times
the export's size in TMPDIR, which should be on a real disk.
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


def run(what, command, environment):
    """Runs a command that answers JSON, and prints what it took."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
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


def main():
    binary = os.path.abspath(sys.argv[1])
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    quiet = {"PATH": os.environ["PATH"], "LOG_LEVEL": "error"}
    if "TMPDIR" in os.environ:
        quiet["TMPDIR"] = os.environ["TMPDIR"]
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
