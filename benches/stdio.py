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
import re
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 20
CALLS = 500


class Server:
    """A server process, spoken to line by line."""

    def __init__(self, binary, **settings):
        self.started = time.perf_counter()
        environment = {"PATH": os.environ["PATH"], "LOG_LEVEL": "error", **settings}
        self.process = subprocess.Popen(
            [binary], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.last = 0
        self.call(
            "initialize",
            protocolVersion="2025-06-18",
            capabilities={},
            clientInfo={"name": "bench", "version": "1"},
        )
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def call(self, method, **params):
        self.last += 1
        self.send({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
        answer = json.loads(self.process.stdout.readline())
        if answer["id"] != self.last or "error" in answer or answer["result"].get("isError"):
            sys.exit(f"{method} failed: {answer}")
        return answer["result"]

    def add(self, index):
        arguments = {
            "messages": [{"role": "user", "content": f"Turn {index}: the tram leaves at nine."}],
            "user_id": "bench",
            "session_id": "bench",
        }
        return self.call("tools/call", name="add_memory", arguments=arguments)

    def resident_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


def show(what, figures, unit):
    figures = sorted(figures)
    print(
        f"{what:<58} {figures[0]:8.2f} {statistics.median(figures):8.2f} {figures[-1]:8.2f} {unit}"
    )


def timed(calls, do):
    times = []
    for index in range(calls):
        begun = time.perf_counter()
        do(index)
        times.append((time.perf_counter() - begun) * 1000)
    return times


def main():
    binary = os.path.abspath(sys.argv[1])
    print(f"{'':<58} {'min':>8} {'median':>8} {'max':>8}")
    with tempfile.TemporaryDirectory() as directory:
        local = {"MEMORY_BACKEND": "local", "ZEP_MCP_DATA_DIR": directory}
        starts, memory = [], []
        for _ in range(RUNS):
            server = Server(binary, **local)
            server.call("tools/list")
            starts.append((time.perf_counter() - server.started) * 1000)
            memory.append(server.resident_mb())
            server.stop()
        show("process start to the tools/list answer", starts, "ms")
        show("resident memory, idle", memory, "MB")

        server = Server(binary, **local)
        server.add(-1)
        show("add_memory, embedded store", timed(CALLS, server.add), "ms")
        show("resident memory after these calls", [server.resident_mb()], "MB")
        server.stop()

    emulator = subprocess.Popen(
        [binary, "emulate", "--port", "0"],
        env={"PATH": os.environ["PATH"], "LOG_LEVEL": "error"},
        stdout=subprocess.PIPE,
        text=True,
    )
    url = re.search(r"http://\S+", emulator.stdout.readline())[0]
    connection = http.client.HTTPConnection(url.removeprefix("http://"))

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

    server = Server(binary, ZEP_API_URL=url, ZEP_API_KEY="bench")
    server.add(-1)
    through = timed(CALLS, server.add)
    without = timed(CALLS, direct)
    show("add_memory, emulator over HTTP", through, "ms")
    show("the same write sent to the emulator directly", without, "ms")
    share = statistics.median(through) - statistics.median(without)
    print(f"{'our own share, of the medians':<58} {'':8} {share:8.2f} {'':8} ms")
    before = direct(-1)
    for index in range(10):
        server.add(index)
    after = direct(-2)
    print(f"{'requests for a call to a known session':<58} {'':8} {(before - after - 1) / 10:8.2f}")
    server.stop()
    emulator.terminate()
    emulator.wait(10)


main()
