"""Measures mem0-mcp-server and this server side by side. Run by `beside-mem0.sh`.

Both are real processes with their default logging. The same client calls them over stdio with the
same texts and questions, in turns, so that other load on the machine affects both. mem0-mcp-server
uses a stand-in for mem0's API; this server uses its emulator of Zep's API (so that both use HTTP to a
local process) and, as a third side, its embedded store. The time of the stand-in or the emulator
itself is measured by sending it the same requests directly.
"""

import functools
import http.client
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile

from stdio_client import Emulator, Server, question, text, timed

RUNS = int(os.environ.get("RUNS", 10))
CALLS = int(os.environ.get("CALLS", 200))
WARM_UP = 5
RESULTS = 10
USER = "bench"
SESSION = "bench"

# The stand-in for mem0's API, and the script that starts mem0-mcp-server with it.
PEERS = os.path.join(os.path.dirname(__file__), "..", "tests", "peers")


class Direct:
    """Requests to a stand-in without a server between, over one kept-alive connection."""

    def __init__(self, url, authorization):
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"))
        self.headers = {"Authorization": authorization, "Content-Type": "application/json"}

    def send(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {content}")
        return json.loads(content), answer.headers


class Mem0:
    """mem0-mcp-server in front of the stand-in for mem0's API."""

    title = "1 mem0-mcp-server"

    def __init__(self, environment, home):
        self.python = os.path.join(environment, "bin", "python")
        self.program = os.path.join(environment, "bin", "mem0-mcp-server")
        self.stand_in = subprocess.Popen(
            [sys.executable, "-B", os.path.join(PEERS, "mem0_stand_in.py")],
            stdout=subprocess.PIPE,
            text=True,
        )
        url = re.search(r"http://\S+", self.stand_in.stdout.readline())[0]
        self.direct = Direct(url, "Token bench")
        self.settings = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "MEM0_DIR": os.path.join(home, ".mem0"),
            "MEM0_API_KEY": "bench",
            "MEM0_TELEMETRY": "False",
            "MEM0_STAND_IN": url,
        }

    def start(self, **options):
        """The installed program, which connects only when a tool is called."""
        return Server([self.program], self.settings, **options)

    def start_for_calls(self, **options):
        elsewhere = os.path.join(PEERS, "mem0_elsewhere.py")
        return Server([self.python, "-I", elsewhere], self.settings, **options)

    def add(self, server, index):
        arguments = {"text": text(index), "user_id": USER, "run_id": SESSION}
        return self.answer(server, "add_memory", arguments)

    def search(self, server, index):
        filters = {"AND": [{"user_id": USER}]}
        arguments = {"query": question(index), "filters": filters, "limit": RESULTS}
        return self.answer(server, "search_memories", arguments)["results"]

    def answer(self, server, tool, arguments):
        """The answer as JSON; mem0-mcp-server reports errors of mem0's API as text."""
        answer = json.loads(server.tool(tool, arguments)["content"][0]["text"])
        if "error" in answer:
            sys.exit(f"{tool} failed: {answer}")
        return answer

    def add_directly(self, index):
        body = {
            "messages": [{"role": "user", "content": text(index)}],
            "user_id": "direct",
            "run_id": "direct",
            "enable_graph": False,
        }
        self.direct.send("POST", "/v3/memories/add/", body)

    def search_directly(self, index):
        body = {
            "query": question(index),
            "filters": {"AND": [{"user_id": USER}]},
            "limit": RESULTS,
            "enable_graph": False,
        }
        self.direct.send("POST", "/v3/memories/search/", body)

    def requests(self):
        return int(self.direct.send("GET", "/v1/ping/")[1]["X-Requests"])

    def stored(self):
        body = {"filters": {"AND": [{"user_id": USER}, {"run_id": SESSION}]}}
        return self.direct.send("POST", "/v3/memories/", body)[0]["count"]

    def stop(self):
        self.stand_in.terminate()
        self.stand_in.wait(10)


class Ours:
    """This server; its subclasses are the backends."""

    def __init__(self, binary, settings):
        self.binary = binary
        self.settings = {"PATH": os.environ["PATH"], **settings}

    def start(self, **options):
        return Server([self.binary], self.settings, **options)

    start_for_calls = start

    def add(self, server, index):
        arguments = {"text": text(index), "user_id": USER, "run_id": SESSION}
        return server.tool("add_memory", arguments)

    def search(self, server, index):
        arguments = {"query": question(index), "user_id": USER, "limit": RESULTS}
        return server.tool("search_memory", arguments)["structuredContent"]["results"]


class OursOnZep(Ours):
    """This server in front of its emulator of Zep's API."""

    title = "2 ours, Zep's API"

    def __init__(self, binary):
        self.emulator = Emulator(binary, {"PATH": os.environ["PATH"], "LOG_LEVEL": "error"})
        self.direct = Direct(self.emulator.url, "Api-Key bench")
        self.direct.send("POST", "/api/v2/users", {"user_id": "direct"})
        thread = {"user_id": "direct", "thread_id": "direct"}
        self.direct.send("POST", "/api/v2/threads", thread)
        super().__init__(binary, {"ZEP_API_URL": self.emulator.url, "ZEP_API_KEY": "bench"})

    def add_directly(self, index):
        message = {
            "role": "user",
            "content": text(index),
            "created_at": "2026-01-01T00:00:00Z",
            "metadata": {"zm_id": f"direct-{index}"},
        }
        self.direct.send("POST", "/api/v2/threads/direct/messages", {"messages": [message]})

    def search_directly(self, index):
        """The facts and their source episodes."""
        body = {"query": question(index), "scope": "edges", "user_id": USER, "limit": RESULTS}
        facts = self.direct.send("POST", "/api/v2/graph/search", body)[0]["edges"]
        body = {"mentioned_node_uuids": [uuid for fact in facts for uuid in fact["episodes"]]}
        self.direct.send("POST", f"/api/v2/graph/episodes/user/{USER}", body)

    def requests(self):
        """The number of requests, up to a constant."""
        return -int(self.direct.send("GET", "/api/v2/projects/info")[1]["X-RateLimit-Remaining"])

    def stored(self):
        return self.direct.send("GET", f"/api/v2/threads/{SESSION}/messages")[0]["total_count"]

    def stop(self):
        self.emulator.stop()


class OursEmbedded(Ours):
    """This server on its embedded store."""

    title = "3 ours, embedded"

    def __init__(self, binary, directory):
        self.directory = directory
        super().__init__(binary, {"MEMORY_BACKEND": "local", "ZEP_MCP_DATA_DIR": directory})

    def stored(self):
        server = self.start(directory=self.directory, log=subprocess.DEVNULL)
        arguments = {"session_id": SESSION, "user_id": USER, "last": 1}
        count = server.tool("get_session", arguments)["structuredContent"]["total_count"]
        server.stop()
        return count

    def stop(self):
        pass


class Table:
    """Rows with one figure per server and its ratio to the first server's."""

    def __init__(self, titles):
        self.widths = [max(len(title), 10) for title in titles]
        self.print("", titles, [f"1 : {place}" for place in range(2, len(titles) + 1)])

    def print(self, what, cells, ratios):
        cells = [f"{cell:>{width}}" for cell, width in zip(cells, self.widths)]
        ratios = [f"{ratio:>7}" for ratio in ratios]
        print(f"{what:<54} {'  '.join(cells)}  |{''.join(ratios)}", flush=True)

    def row(self, what, figures, compared=True):
        cells = ["" if figure is None else f"{figure:.2f}" for figure in figures]
        ratios = [
            "" if figure is None or not compared else f"{figures[0] / figure:.1f}"
            for figure in figures[1:]
        ]
        self.print(what, cells, ratios)

    def rows(self, what, unit, columns, p99=True):
        """Rows with minimum, median, p99 and maximum of each column."""
        for name, pick in [
            ("min", min),
            ("median", statistics.median),
            ("p99", percentile_99),
            ("max", max),
        ]:
            if p99 or name != "p99":
                self.row(f"{what}, {name}, {unit}", [pick(column) for column in columns])


def percentile_99(figures):
    """The smallest figure that 99 % do not exceed."""
    return sorted(figures)[math.ceil(0.99 * len(figures)) - 1]


def start_often(sides, log):
    starts, idle = [[] for _ in sides], [[] for _ in sides]
    # The first round warms the system's file cache.
    for run in range(-1, RUNS):
        for place, side in enumerate(sides):
            with tempfile.TemporaryDirectory() as directory:
                server = side.start(directory=directory, log=log)
                took = server.first_tools()
                if run >= 0:
                    starts[place].append(took)
                    idle[place].append(server.resident_mb())
                server.stop()
    return starts, idle


def alternate(calls):
    """Times of these calls in turns; the first of a round changes."""
    times = [[] for _ in calls]
    for index in range(CALLS):
        for step in range(len(calls)):
            place = (index + step) % len(calls)
            times[place].append(timed(calls[place], index))
    return times


def alternate_with_direct(sides, calls, directly):
    """Times of each side's calls, and medians of the same requests sent directly in between; None for a
    side without requests."""
    direct = [getattr(side, directly, None) for side in sides]
    times = iter(alternate([*calls, *filter(None, direct)]))
    of_calls = [next(times) for _ in calls]
    alone = [None if each is None else statistics.median(next(times)) for each in direct]
    return of_calls, alone


def versions(environment):
    listed = subprocess.run(
        [os.path.join(environment, "bin", "pip"), "freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return ", ".join(each for each in listed if re.match(r"(mem0[-a-z]*|mcp)==", each))


def requests_per_call(side, call):
    """Requests per call; None for a side without requests."""
    if not hasattr(side, "requests"):
        return None
    before = side.requests()
    for index in range(10):
        call(index)
    # One of the requests is the count itself.
    return (side.requests() - before - 1) / 10


def measure(sides, log, directory):
    table = Table([side.title for side in sides])
    starts, idle = start_often(sides, log)
    table.rows("process start to the tools/list answer", "ms", starts, p99=False)
    table.row("resident memory then, median, MB", [statistics.median(each) for each in idle])

    servers = [side.start_for_calls(directory=directory, log=log) for side in sides]
    adds = [functools.partial(side.add, server) for side, server in zip(sides, servers)]
    searches = [functools.partial(side.search, server) for side, server in zip(sides, servers)]
    table.row("first add_memory of a process, ms", [timed(add, -1) for add in adds])
    for index in range(WARM_UP):
        for add in adds:
            add(-2 - index)
    adding, adding_alone = alternate_with_direct(sides, adds, "add_directly")
    for side in sides:
        expected = 1 + WARM_UP + CALLS
        if side.stored() != expected:
            sys.exit(f"{side.title} holds {side.stored()} memories instead of {expected}")
    for index in range(WARM_UP):
        for side, search in zip(sides, searches):
            found = len(search(-1 - index))
            if found != RESULTS:
                sys.exit(f"{side.title} found {found} memories instead of {RESULTS}")
    searching, searching_alone = alternate_with_direct(sides, searches, "search_directly")
    memory = [server.resident_mb() for server in servers]
    table.row(f"resident memory after {2 * CALLS} calls, MB", memory)

    for what, calls, times, alone in [
        ("add_memory", adds, adding, adding_alone),
        ("search", searches, searching, searching_alone),
    ]:
        table.rows(what, "ms", times)
        counts = [requests_per_call(side, call) for side, call in zip(sides, calls)]
        table.row(f"{what}, requests a call", counts, compared=False)
        table.row(f"{what}, the same requests alone, median, ms", alone, compared=False)
        own = [statistics.median(each) - (other or 0) for each, other in zip(times, alone)]
        table.row(f"{what}, the server's own share, median, ms", own)
    for server in servers:
        server.stop()


def main():
    binary, environment = map(os.path.abspath, sys.argv[1:])
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as log:
        print(f"{versions(environment)}; Python {platform.python_version()}, ", end="")
        print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors")
        print(f"{RUNS} starts of each server, {CALLS} calls of each tool, in turns\n")
        sides = [Mem0(environment, directory), OursOnZep(binary), OursEmbedded(binary, directory)]
        try:
            measure(sides, log, directory)
        finally:
            for side in sides:
                side.stop()


main()
