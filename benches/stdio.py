#!/usr/bin/env python3
"""Measures built binaries over stdio, as a host sees them.

    cargo build --profile dist && benches/stdio.py target/dist/zep-mcp-server [BINARY …]

Prints the minimum, median and maximum of each figure: the time from process start to the first
`tools/list` answer, resident memory after it, `add_memory` to a known session and `search_memory` on
the embedded store, `add_memory` against the emulator over HTTP, the same write sent to the emulator
without this server, and the number of requests per call. Several binaries take turns, call by call,
and each row shows its median relative to the first binary's. Needs python3 only.
"""

import functools
import http.client
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack

from stdio_client import Emulator, Server, question, text, timed

RUNS = 20
CALLS = 500
# Turns that are searched, and turns per call that stores them.
TURNS = 1000
TURNS_PER_CALL = 100


class Binary:
    """One binary, with servers on the embedded store and on its own emulator."""

    def __init__(self, path, directory, stack):
        self.path = path
        quiet = {"PATH": os.environ["PATH"], "LOG_LEVEL": "error"}
        self.local = {**quiet, "MEMORY_BACKEND": "local", "ZEP_MCP_DATA_DIR": directory}
        self.embedded = self.start(self.local, stack)
        self.searched = self.start({**self.local, "ZEP_MCP_DATA_DIR": f"{directory}/searched"}, stack)
        self.emulator = Emulator(path, quiet)
        stack.callback(self.emulator.stop)
        zep = {**quiet, "ZEP_API_URL": self.emulator.url, "ZEP_API_KEY": "bench"}
        self.on_zep = self.start(zep, stack)
        self.connection = http.client.HTTPConnection(self.emulator.url.removeprefix("http://"))
        for first in range(0, TURNS, TURNS_PER_CALL):
            add(self.searched, *range(first, first + TURNS_PER_CALL))

    def start(self, settings, stack):
        server = Server([self.path], settings)
        stack.callback(server.stop)
        return server

    def start_up(self, _):
        """Milliseconds to the `tools/list` answer, and resident memory in MB."""
        server = Server([self.path], self.local)
        figures = server.first_tools(), server.resident_mb()
        server.stop()
        return figures

    def write_directly(self, index):
        """Writes to the emulator without a server between; returns its count of requests left."""
        message = {
            "role": "user",
            "content": text(index),
            "created_at": "2026-01-01T00:00:00Z",
            "metadata": {"zm_id": f"direct-{index}"},
        }
        self.connection.request(
            "POST",
            "/api/v2/threads/bench/messages",
            json.dumps({"messages": [message]}),
            {"Authorization": "Api-Key bench", "Content-Type": "application/json"},
        )
        answer = self.connection.getresponse()
        answer.read()
        return int(answer.headers["X-RateLimit-Remaining"])

    def requests_per_call(self):
        # The session may have left the server's cache since.
        add(self.on_zep, -1)
        before = self.write_directly(-1)
        for index in range(10):
            add(self.on_zep, index)
        # One of the requests is the second direct write itself.
        return (before - self.write_directly(-2) - 1) / 10


def add(server, *indices):
    messages = [{"role": "user", "content": text(index)} for index in indices]
    server.tool("add_memory", {"messages": messages, "user_id": "bench", "session_id": "bench"})


def search(server, index):
    server.tool("search_memory", {"query": question(index), "user_id": "bench", "limit": 10})


def in_turns(count, calls):
    """Results of each call; the first of a round changes, so that no call has a better place."""
    results = [[] for _ in calls]
    for index in range(count):
        for step in range(len(calls)):
            place = (index + step) % len(calls)
            results[place].append(calls[place](index))
    return results


def show(what, columns, unit):
    """One row for each binary."""
    first = statistics.median(columns[0])
    for place, figures in enumerate(columns, 1):
        median = statistics.median(figures)
        name = what if len(columns) == 1 else f"{place} {what}"
        ratio = "" if place == 1 else f"  x {median / first:.2f}"
        print(f"{name:<60} {min(figures):8.2f} {median:8.2f} {max(figures):8.2f} {unit}{ratio}")


def show_calls(what, calls):
    columns = in_turns(CALLS, [functools.partial(timed, call) for call in calls])
    show(what, columns, "ms")
    return [statistics.median(figures) for figures in columns]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with ExitStack() as stack:
        binaries = []
        for path in map(os.path.abspath, sys.argv[1:]):
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            binaries.append(Binary(path, directory, stack))
            if len(sys.argv) > 2:
                print(f"{len(binaries)}: {path}")
        print(f"{'':<60} {'min':>8} {'median':>8} {'max':>8}")
        started = in_turns(RUNS, [binary.start_up for binary in binaries])
        show("process start to the tools/list answer", [[ms for ms, _ in of] for of in started], "ms")
        show("resident memory, idle", [[mb for _, mb in of] for of in started], "MB")
        for binary in binaries:
            add(binary.embedded, -1)
            add(binary.on_zep, -1)
        show_calls(
            "add_memory, embedded store",
            [functools.partial(add, binary.embedded) for binary in binaries],
        )
        show_calls(
            f"search_memory among {TURNS} turns, embedded store",
            [functools.partial(search, binary.searched) for binary in binaries],
        )
        show("resident memory after these calls", [[b.embedded.resident_mb()] for b in binaries], "MB")
        through = show_calls(
            "add_memory, emulator over HTTP",
            [functools.partial(add, binary.on_zep) for binary in binaries],
        )
        direct = show_calls(
            "the same write sent to the emulator directly",
            [binary.write_directly for binary in binaries],
        )
        shares = [[ours - alone] for ours, alone in zip(through, direct)]
        show("the server's share, difference of the medians", shares, "ms")
        show("requests per call to a known session", [[b.requests_per_call()] for b in binaries], "")


main()
