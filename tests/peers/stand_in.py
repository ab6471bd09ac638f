"""The stand-in for mem0 and Qdrant of `examples/mem0_stand_in/`, on a free port."""

import contextlib
import json
import re
import subprocess
import urllib.request
from pathlib import Path

from peer import BINARY

ROOT = Path(__file__).resolve().parents[2]

# The key that it takes.
KEY = "m0-stand-in-key"


def program():
    """The stand-in that was built with the binary. `cargo test` builds it; otherwise it is built in
    the same directory and profile, which compiles nothing else again."""
    directory = Path(BINARY).resolve().parent
    built = directory / "examples" / "mem0_stand_in"
    if not built.exists():
        profile = {"debug": "dev"}.get(directory.name, directory.name)
        where = ["--profile", profile, "--target-dir", directory.parent]
        build = ["cargo", "build", "--quiet", "--locked", "--example", built.name, *where]
        subprocess.run(build, cwd=ROOT, check=True)
    return built


@contextlib.contextmanager
def stand_in():
    """Runs it and gives its address."""
    process = subprocess.Popen([program()], stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://\S+", process.stdout.readline()).group()
    finally:
        process.kill()
        process.wait(60)


def requests(url):
    """The requests so far."""
    with urllib.request.urlopen(f"{url}/_stand_in/requests", timeout=60) as answer:
        return json.load(answer)
