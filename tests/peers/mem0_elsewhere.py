"""Starts the installed mem0-mcp-server in front of the address in MEM0_STAND_IN.

It has no setting for the address of mem0's API. Its client takes one as an argument, which is given
here; the installed code is unchanged.
"""

import functools
import os

import mem0

mem0.MemoryClient = functools.partial(mem0.MemoryClient, host=os.environ["MEM0_STAND_IN"])

from mem0_mcp_server.server import main  # noqa: E402: only now does it see the other client

main()
