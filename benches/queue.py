#!/usr/bin/env python3
"""Measures how long `add_memory` keeps an agent waiting, whatever Zep does, and what Zep has at the end.

    benches/queue.py BINARY [CALLS]

In each row one agent makes CALLS (2000) calls one after the other, on Zep's API as the emulator speaks it.
Rows in which Zep is slow or away make a twentieth of them. Prints p50, p99 and the longest, how many were
queued, and, after Zep is well again, what is missing, double or out of order. Needs python3 only."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from stdio_client import Emulator, Server, text

BINARY = os.path.abspath(sys.argv[1])
CALLS = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
SESSIONS = 20

ROWS = [
    ("well, without the queue", {}, "off", 1),
    ("well", {}, "on", 1),
    ("30 % failures", {"fail": [{"rate": 0.3, "status": 503}]}, "on", 1),
    ("5 s latency", {"latency_ms": 5000}, "on", 20),
    ("away", {"fail": [{"rate": 1.0, "status": 503}]}, "on", 1),
    ("restarts every 10 s", {"restarts": {"every_ms": 10000, "down_ms": 3000}}, "on", 1),
]


def control(url, method, path, body=None):
    request = urllib.request.Request(url + path, method=method)
    request.add_header("Authorization", "Api-Key bench")
    request.add_header("Content-Type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data) as answer:
        return json.loads(answer.read() or "null")


def row(name, faults, queue, part):
    with tempfile.TemporaryDirectory() as directory:
        quiet = {"PATH": os.environ["PATH"], "LOG_LEVEL": "error"}
        emulator = Emulator(BINARY, quiet)
        settings = {
            **quiet,
            "ZEP_API_URL": emulator.url,
            "ZEP_API_KEY": "bench",
            "ZEP_MCP_DATA_DIR": directory,
            "ZEP_MCP_QUEUE": queue,
        }
        server = Server([BINARY], settings)
        add = lambda index: server.tool(
            "add_memory",
            {
                "user_id": "bench",
                "session_id": f"session {index % SESSIONS}",
                "messages": [{"role": "user", "content": text(index)}],
            },
        )
        for index in range(SESSIONS):
            add(index)
        control(emulator.url, "PUT", "/_emulator/faults", faults)
        count, waits, queued = CALLS // part, [], 0
        for index in range(SESSIONS, SESSIONS + count):
            begun = time.perf_counter()
            answer = add(index)
            waits.append((time.perf_counter() - begun) * 1000)
            queued += answer["structuredContent"]["status"] == "QUEUED"
        control(emulator.url, "PUT", "/_emulator/faults", {})
        begun = time.monotonic()
        if queue == "on":
            subprocess.run(
                [BINARY, "queue", "flush", "--wait", "600"],
                env=settings,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        settled = time.monotonic() - begun
        wrong = 0
        for session in range(SESSIONS):
            path = f"/api/v2/threads/session%20{session}/messages?lastn=100000"
            said = [message["content"] for message in control(emulator.url, "GET", path)["messages"]]
            meant = [text(index) for index in range(SESSIONS + count) if index % SESSIONS == session]
            wrong += said != meant
        server.stop()
        emulator.stop()
        waits.sort()
        print(
            f"{name:24} {statistics.median(waits):8.2f} {waits[int(len(waits) * 0.99)]:8.1f}"
            f" {waits[-1]:8.1f} {queued:6} {settled:8.1f} {wrong:6}",
            flush=True,
        )


print(f"{'':24} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'queued':>6} {'settled s':>9} wrong sessions")
for one in ROWS:
    row(*one)
