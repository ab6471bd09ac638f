"""A small MCP client over stdio, to measure a server as a host sees it."""

import json
import random
import re
import subprocess
import sys
import time

NAMES = ["Ada", "Bo", "Chen", "Dina", "Emil", "Fatou", "Goran", "Hana"]
THINGS = ["the harbour", "a new bicycle", "the night market", "fresh bread", "the old library"]
PLACES = ["Lisbon", "Oslo", "Kyoto", "Accra", "Quito", "Split"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]


def text(index):
    pick = random.Random(index).choice
    return (
        f"Note {index}: {pick(NAMES)} told me about {pick(THINGS)} in {pick(PLACES)}, and wants to "
        f"meet {pick(NAMES)} there on {pick(DAYS)} to talk about {pick(THINGS)}."
    )


def question(index):
    pick = random.Random(-1 - index).choice
    return f"What did {pick(NAMES)} say about {pick(THINGS)} in {pick(PLACES)}?"


class Server:
    """A server process, spoken to line by line."""

    def __init__(self, command, environment, directory=None, log=None):
        self.name = command[0]
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
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
        while True:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"{self.name} ended during {method}: status {self.process.wait(10)}")
            answer = json.loads(line)
            # A server may send notifications before the answer.
            if "id" in answer:
                break
        if answer["id"] != self.last or "error" in answer or answer["result"].get("isError"):
            sys.exit(f"{method} failed: {answer}")
        return answer["result"]

    def tool(self, name, arguments):
        return self.call("tools/call", name=name, arguments=arguments)

    def first_tools(self):
        """Milliseconds from the start of the process to the answer of `tools/list`."""
        self.call("tools/list")
        return (time.perf_counter() - self.started) * 1000

    def resident_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


class Emulator:
    """Zep's API, played by our own binary on a free port of this machine."""

    def __init__(self, binary, environment):
        self.process = subprocess.Popen(
            [binary, "emulate", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        address = re.search(r"http://\S+", line)
        if not address:
            sys.exit(f"the emulator did not say where it listens: {line!r}")
        self.url = address[0]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def timed(do, index):
    """How long this call takes, in milliseconds."""
    begun = time.perf_counter()
    do(index)
    return (time.perf_counter() - begun) * 1000
