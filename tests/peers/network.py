"""The server on a network, and the official Python client of either generation (mcp 1.x, 2.x) at
both of its doors: Streamable HTTP (/mcp) and the older HTTP with SSE (/sse)."""

import asyncio
import contextlib
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import server
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from peer import BINARY

if server.Client:
    from httpx2 import Timeout
else:
    from httpx import Timeout

# Seconds after which something counts as stuck, on a machine that is busy with something else.
PATIENCE = 120

# The ways in which this client can come in: the door, and how it shakes hands there.
if server.Client:
    WAYS = [("mcp", "legacy"), ("mcp", "auto"), ("mcp", "2026-07-28"), ("sse", "legacy")]
else:
    WAYS = [("mcp", "legacy"), ("sse", "legacy")]


class Listening:
    """A server on a network, on a free port, which it keeps when it restarts."""

    def __init__(self, settings, *flags):
        self._settings = settings
        self._flags = flags
        self._port = "0"
        self.start()

    def start(self):
        """Starts it, and waits until it listens."""
        self._process = subprocess.Popen(
            [BINARY, "serve", "--http", "--port", self._port, *self._flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._settings, "LOG_LEVEL": "info"},
        )
        said = []
        for line in self._process.stderr:
            said.append(line)
            if found := re.search(r"listening on (http://\S+:(\d+)) ", line):
                self.url, self._port = found.groups()
                break
        else:
            raise RuntimeError(f"it does not listen: {''.join(said)[-400:]}")
        # Or it would block once the pipe of its log is full.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def stop(self):
        """Sends it SIGTERM; its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return "a kill"

    def kill(self):
        """Kills it."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def listening(settings, *flags):
    """A server on a network while the block runs. It must end in order."""
    running = Listening(settings, *flags)
    try:
        yield running
    except BaseException:
        running.kill()
        raise
    code = running.stop()
    assert code == 0, f"the server ended with {code}"


@contextlib.contextmanager
def tokens(**wanted):
    """A file of new tokens, each made by the command with these options, and the tokens."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "tokens.jsonl")
        made = {}
        for name, options in wanted.items():
            command = [BINARY, "token", "new", "--name", name, "--file", file, *options]
            said = subprocess.run(command, check=True, capture_output=True, text=True)
            made[name] = said.stdout.split()[0]
        yield {"MCP_AUTH_TOKENS_FILE": str(file)}, made


class Line:
    """A proxy to a server that can cut its connections; new ones get through."""

    def __init__(self, url):
        self._server = urlsplit(url)
        self._ends = set()

    async def __aenter__(self):
        self._door = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        host, port = self._door.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_):
        self._door.close()
        self.cut()

    def cut(self):
        """Ends all connections, in the middle of messages."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _connect(self, reader, writer):
        there = await asyncio.open_connection(self._server.hostname, self._server.port)
        self._ends |= {writer, there[1]}
        await asyncio.gather(self._pass_on(reader, there[1]), self._pass_on(there[0], writer))

    async def _pass_on(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()


@contextlib.asynccontextmanager
async def transport(url, door, token=None, gives_up=5 * 60):
    """The client's end of a connection to a door: where it reads, and where it writes. It gives a
    stream up on which nothing comes for so many seconds."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if door == "sse":
        times = {"timeout": PATIENCE, "sse_read_timeout": gives_up}
        async with sse_client(f"{url}/sse", headers=headers, **times) as streams:
            yield streams
        return
    times = Timeout(PATIENCE, read=gives_up)
    async with create_mcp_http_client(headers=headers, timeout=times) as client:
        async with streamable_http_client(f"{url}/mcp", http_client=client) as streams:
            yield streams[:2]


@contextlib.asynccontextmanager
async def connect(url, way, token=None, elicit=None, gives_up=5 * 60):
    """Connects in this way, as `server.connect` does to a process."""
    door, hand = way
    if server.Client:
        ends = transport(url, door, token, gives_up)
        options = {"mode": hand, "elicitation_callback": elicit, "read_timeout_seconds": server.PATIENCE}
        async with server.Client(ends, **options) as client:
            named = client.server_info.name if client.server_info else None
            yield server.Server(client, (named, client.instructions))
        return
    async with transport(url, door, token, gives_up) as (reading, writing):
        async with ClientSession(reading, writing, elicitation_callback=elicit) as session:
            hello = await session.initialize()
            yield server.Server(session, (hello.serverInfo.name, hello.instructions))
