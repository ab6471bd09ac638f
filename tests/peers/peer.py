"""What the peers share: named checks, and a running emulator."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import urllib.request

BINARY = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ZEP_MCP_SERVER_BIN")

_failed = 0


@contextlib.contextmanager
def check(promise):
    """Prints whether the block kept the promise, and goes on either way."""
    global _failed
    try:
        yield
    except Exception as error:  # a broken promise must not hide the next one
        _failed += 1
        where = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(where) if f.filename == sys.argv[0]), "?")
        errors = [f"{type(each).__name__}: {each}" for each in leaves(error)]
        text = " ".join("; ".join(errors).split())
        print(f"FAIL {promise}: line {line}: {text[:600]}", flush=True)
    else:
        print(f"ok {promise}", flush=True)


def leaves(error):
    """The errors in a group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


def finish():
    """Ends the peer with a code that says whether every promise was kept."""
    sys.exit(1 if _failed else 0)


def control(address, method, path, body=None):
    """Asks the emulator itself: its plan of faults, its counts."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(
        f"{address}/_emulator/{path}", data=data, method=method, headers=headers
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@contextlib.contextmanager
def emulator(*arguments):
    """Runs `emulate` on a free port and gives its address."""
    if not BINARY:
        sys.exit("set ZEP_MCP_SERVER_BIN to the binary, or give it as the first argument")
    temporary = tempfile.mkdtemp()
    process = subprocess.Popen(
        [BINARY, "emulate", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": temporary},
    )
    try:
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        if not address:
            raise RuntimeError(f"the emulator did not say where it listens: {line!r}")
        yield address.group()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = "a kill"
        left = os.listdir(temporary)
        shutil.rmtree(temporary)
        with check("the emulator ends on SIGTERM and leaves nothing behind"):
            assert code == 0, f"ended with {code}"
            assert not left, left
