"""The server's commands, run as a person runs them."""

import json
import os
import subprocess

from peer import BINARY
from server import in_front_of

# Seconds that one command may take.
TIME_LIMIT = 600


def command(address, *arguments, stdin=None, output=None, **settings):
    """Runs a command in front of Zep's API at this address; answers its JSON and its exit code."""
    done = subprocess.run(
        [BINARY, *map(str, arguments), "--json"],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        env={**os.environ, **in_front_of(address), **settings, "LOG_LEVEL": "warn"},
        capture_output=True,
        encoding="utf-8",
        timeout=TIME_LIMIT,
    )
    if output is not None:
        output.append(done.stdout + done.stderr)
    try:
        return json.loads(done.stdout), done.returncode
    except json.JSONDecodeError:
        raise AssertionError(f"{arguments}: code {done.returncode}: {done.stderr}") from None
