"""The server, started over stdio by the official Python client of either generation (mcp 1.x, 2.x).
Both check every structured answer against the tool's output schema."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile

from mcp import ClientSession, StdioServerParameters, stdio_client
from peer import BINARY

try:
    from mcp import Client  # from 2.0 on
except ImportError:
    from mcp.types import (
        CancelledNotification,
        CancelledNotificationParams,
        ClientNotification,
    )

    Client = None

API_KEY = "z_peer-5d1f"
# Seconds after which an answer counts as missing, on a machine that is busy with something else.
PATIENCE = 240


def ways():
    """The ways in which this client can shake hands."""
    return ["legacy", "auto"] if Client else ["legacy"]


@contextlib.contextmanager
def embedded():
    """Settings of a server on an embedded store that is thrown away."""
    with tempfile.TemporaryDirectory() as directory:
        yield {"MEMORY_BACKEND": "local", "ZEP_MCP_DATA_DIR": directory}


def in_front_of(address):
    """Settings of a server in front of Zep's API at this address."""
    return {"MEMORY_BACKEND": "zep", "ZEP_API_URL": address, "ZEP_API_KEY": API_KEY}


class Server:
    """A connection to a running server."""

    def __init__(self, session, hello):
        self.session = session
        self.name, self.instructions = hello

    async def tools(self):
        return (await self.session.list_tools()).tools

    async def ask(self, tool, progress=None, **arguments):
        """What the tool answered, and whether it is an error. `progress` receives the progress."""
        result = await self.session.call_tool(tool, arguments, progress_callback=progress)
        error = result.is_error if Client else result.isError
        answer = result.structured_content if Client else result.structuredContent
        text = json.loads(result.content[0].text)
        assert error or text == answer, f"{tool}: the text is another answer"
        return text, bool(error)

    async def call(self, tool, progress=None, **arguments):
        """The answer of a call that must succeed."""
        answer, error = await self.ask(tool, progress, **arguments)
        assert not error, f"{tool}: {answer}"
        return answer

    async def give_up(self, tool, when, **arguments):
        """Calls the tool, and cancels the call once its progress is `when`."""
        reached = asyncio.Event()

        async def progress(done, _total, _message):
            if done >= when:
                reached.set()

        # The next request's id. 1.x leaves it to its caller to send the cancellation.
        request = None if Client else self.session._request_id
        call = asyncio.create_task(
            self.session.call_tool(tool, arguments, progress_callback=progress)
        )
        waiting = asyncio.create_task(reached.wait())
        await asyncio.wait([call, waiting], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        early = not call.done()
        if request is not None:
            parameters = CancelledNotificationParams(requestId=request, reason="enough")
            notification = CancelledNotification(
                method="notifications/cancelled", params=parameters
            )
            await self.session.send_notification(ClientNotification(notification))
        # From 2.0 on this sends it.
        call.cancel()
        waiting.cancel()
        await asyncio.gather(call, waiting, return_exceptions=True)
        assert early and reached.is_set(), "it was over before it could be cancelled"

    async def read_session(self, user, session, limit=40):
        """A whole session, page by page."""
        messages, more = [], {}
        while True:
            page = await self.call(
                "get_session", user_id=user, session_id=session, limit=limit, **more
            )
            messages += page["messages"]
            if page["next_cursor"] is None:
                return messages
            more = {"cursor": page["next_cursor"]}


@contextlib.asynccontextmanager
async def connect(
    settings, way="legacy", command=(BINARY,), directory=None, elicit=None, log=sys.stderr
):
    """Starts a server with these settings, in this directory, and connects to it. `elicit` answers
    what the server asks the person; without it the client cannot be asked."""
    home = os.environ.get("HOME", "/")
    program, *arguments = map(str, command)
    parameters = StdioServerParameters(
        command=program,
        args=arguments,
        env={"LOG_LEVEL": "warn", "HOME": home, **settings},
        cwd=directory,
    )
    if Client and way != "legacy":
        assert elicit is None and log is sys.stderr, "only for the legacy way"
        async with Client(parameters, mode=way, read_timeout_seconds=PATIENCE) as client:
            yield Server(client, (client.server_info.name, client.instructions))
        return
    async with stdio_client(parameters, errlog=log) as (reading, writing):
        async with ClientSession(reading, writing, elicitation_callback=elicit) as session:
            hello = await session.initialize()
            info = hello.server_info if Client else hello.serverInfo
            yield Server(session, (info.name, hello.instructions))
