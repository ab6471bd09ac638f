"""Prometheus' own tool reads what a server answers at /metrics, and checks and tests the alert rules.
Where `promtool` is not installed (Debian's package `prometheus`), it says so and checks nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from peer import BINARY, check, finish

RULES = Path(__file__).resolve().parents[2] / "contrib" / "prometheus"
CALLS = [("add_memory", {"text": "likes tea"}), ("list_sessions", {}), ("search_memory", {})]


def promtool(*arguments, text=None):
    done = subprocess.run(
        ["promtool", *map(str, arguments)], input=text, text=True, capture_output=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def call(address, tool, arguments):
    version = "2026-07-28"
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": version,
        "mcp-method": "tools/call",
        "mcp-name": tool,
    }
    data = json.dumps(message).encode()
    request = urllib.request.Request(f"{address}/mcp", data=data, headers=headers)
    urllib.request.urlopen(request, timeout=60).read()


def scraped():
    """What a server answers after some calls."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {"PATH": os.environ["PATH"], "ZEP_MCP_DATA_DIR": directory, "HOME": directory}
        server = subprocess.Popen(
            [BINARY, "serve", "--http", "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            address = None
            while not address:
                line = server.stderr.readline()
                assert line, "it does not listen"
                address = re.search(r"http://[0-9.:]+", line)
            address = address.group()
            for tool, arguments in CALLS:
                call(address, tool, arguments)
            return urllib.request.urlopen(f"{address}/metrics", timeout=60).read().decode()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)


if not shutil.which("promtool"):
    print("ok promtool is not installed, and nothing was checked", flush=True)
    finish()

with check("promtool takes what a server answers at /metrics, and has nothing against it"):
    text = scraped()
    assert "zep_mcp_tool_calls_total" in text
    said = promtool("check", "metrics", text=text)
    assert not said.strip(), said

with check("the alert rules are right"):
    promtool("check", "rules", RULES / "alerts.yml")

with check("the alerts fire when they are to"):
    promtool("test", "rules", RULES / "alerts.test.yml")

finish()
