#!/usr/bin/env python3
"""Measures the built binary at its stdio door, as a host sees it.

    cargo build --release && benches/stdio.py target/release/zep-mcp-server

Prints for each figure the minimum, median and maximum over the runs: the time from starting the
process to the first `tools/list` answer, resident memory after it, the time of an `add_memory` call
to a known session (on the embedded store, and against the emulator over HTTP), the same write sent
to the emulator without this server, and the requests that each such call makes. Needs python3 only.
"""

import http.client
import json
import os
import statistics
import sys
import tempfile

from stdio_client import Emulator, Server, timed

RUNS = 20
CALLS = 500


def show(what, figures, unit):
    figures = sorted(figures)
    print(
        f"{what:<58} {figures[0]:8.2f} {statistics.median(figures):8.2f} {figures[-1]:8.2f} {unit}"
    )


def add(server):
    def turn(index):
        message = {"role": "user", "content": f"Turn {index}: the tram leaves at nine."}
        arguments = {"messages": [message], "user_id": "bench", "session_id": "bench"}
        server.tool("add_memory", arguments)

    return turn


def times(do):
    return [timed(do, index) for index in range(CALLS)]


def main():
    binary = os.path.abspath(sys.argv[1])
    quiet = {"PATH": os.environ["PATH"], "LOG_LEVEL": "error"}
    print(f"{'':<58} {'min':>8} {'median':>8} {'max':>8}")
    with tempfile.TemporaryDirectory() as directory:
        local = {**quiet, "MEMORY_BACKEND": "local", "ZEP_MCP_DATA_DIR": directory}
        starts, memory = [], []
        for _ in range(RUNS):
            server = Server([binary], local)
            starts.append(server.first_tools())
            memory.append(server.resident_mb())
            server.stop()
        show("process start to the tools/list answer", starts, "ms")
        show("resident memory, idle", memory, "MB")

        server = Server([binary], local)
        add(server)(-1)
        show("add_memory, embedded store", times(add(server)), "ms")
        show("resident memory after these calls", [server.resident_mb()], "MB")
        server.stop()

    emulator = Emulator(binary, quiet)
    connection = http.client.HTTPConnection(emulator.url.removeprefix("http://"))

    def post(path, body):
        headers = {"Authorization": "Api-Key bench", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return int(answer.headers["X-RateLimit-Remaining"])

    def direct(index):
        message = {
            "role": "user",
            "content": f"Turn {index}: the tram leaves at nine.",
            "created_at": "2026-01-01T00:00:00Z",
            "metadata": {"zm_id": f"direct-{index}"},
        }
        return post("/api/v2/threads/bench/messages", {"messages": [message]})

    server = Server([binary], {**quiet, "ZEP_API_URL": emulator.url, "ZEP_API_KEY": "bench"})
    add(server)(-1)
    through = times(add(server))
    without = times(direct)
    show("add_memory, emulator over HTTP", through, "ms")
    show("the same write sent to the emulator directly", without, "ms")
    share = statistics.median(through) - statistics.median(without)
    print(f"{'our own share, of the medians':<58} {'':8} {share:8.2f} {'':8} ms")
    before = direct(-1)
    for index in range(10):
        add(server)(index)
    after = direct(-2)
    print(f"{'requests for a call to a known session':<58} {'':8} {(before - after - 1) / 10:8.2f}")
    server.stop()
    emulator.stop()


main()
