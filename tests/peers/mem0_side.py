"""mem0-mcp-server in front of a stand-in for mem0's API."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def mem0():
    """Settings of mem0-mcp-server in front of the stand-in."""
    process = subprocess.Popen(
        [sys.executable, HERE / "mem0_stand_in.py"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://\S+", process.stdout.readline()).group()
        with tempfile.TemporaryDirectory() as home:
            yield {
                "HOME": home,
                "MEM0_DIR": os.path.join(home, ".mem0"),
                "MEM0_API_KEY": "m0-peer",
                "MEM0_TELEMETRY": "False",
                "MEM0_STAND_IN": address,
            }
    finally:
        process.terminate()
        process.wait(60)
