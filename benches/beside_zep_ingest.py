"""Loads the same messages with `migrate` and with zep-ingest 0.3.0 into the emulator: requests, seconds,
peak memory; and what is stored after each was killed half-way and started again. See
beside-zep-ingest.sh."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

MESSAGES = int(os.environ.get("MESSAGES", 50_000))
THREADS = int(os.environ.get("THREADS", 50))
LATENCY = int(os.environ.get("LATENCY", 20))
LOADER = """
import sys
from zep_cloud.client import Zep
from zep_ingest import ThreadMessage, ingest_thread_messages
import json
zep = Zep(api_key="z_any", base_url=sys.argv[1] + "/api/v2", timeout=60)
try:
    zep.user.add(user_id="ana", first_name="Ana")
except Exception:
    pass
said = [ThreadMessage(**json.loads(line)) for line in open(sys.argv[2])]
result = ingest_thread_messages(zep, said, user_id="ana", method=sys.argv[3])
result.wait(poll_interval=1, timeout=600)
"""


def content(thread, n):
    return f"message {n} of thread {thread}, as long as people write in a chat about their day"


def when(n):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + n))


def sources(directory):
    ours, theirs = os.path.join(directory, "ours.json"), os.path.join(directory, "theirs.jsonl")
    each = MESSAGES // THREADS
    sessions = []
    with open(theirs, "w") as lines:
        for thread in range(THREADS):
            messages = []
            for n in range(each):
                role = "user" if n % 2 == 0 else "assistant"
                text, at = content(thread, n), when(n)
                messages.append({"role": role, "content": text, "timestamp": at})
                one = {"thread_id": f"t{thread}", "role": role, "name": role, "content": text}
                lines.write(json.dumps({**one, "created_at": at}) + "\n")
            sessions.append({"id": f"t{thread}", "messages": messages})
    with open(ours, "w") as file:
        json.dump({"users": [{"id": "ana", "name": "Ana", "sessions": sessions}]}, file)
    return ours, theirs


class Emulator:
    def __init__(self, directory):
        self.file = os.path.join(directory, "zep.db")
        arguments = [BINARY, "emulate", "--port", "0", "--data", self.file]
        arguments += ["--latency", str(LATENCY)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self.address = re.search(r"http://\S+", self.process.stdout.readline()).group()

    def requests(self):
        with urllib.request.urlopen(self.address + "/_emulator/stats") as answer:
            return sum(json.load(answer)["requests"].values())

    def stored(self):
        """Messages, and how many of them are there more than once."""
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True) as db:
            count = "SELECT count(*), count(DISTINCT content) FROM episode"
            stored, distinct = db.execute(count).fetchone()
        return stored, stored - distinct

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def command(how, emulator, directory, ours, theirs):
    if how == "migrate":
        environment = {
            **os.environ,
            "ZEP_API_URL": emulator.address,
            "ZEP_API_KEY": "z_any",
            "ZEP_MCP_DATA_DIR": os.path.join(directory, "data"),
            "LOG_LEVEL": "error",
        }
        return [BINARY, "migrate", "--json", "--file", ours], environment
    loader = [sys.executable, "-c", LOADER, emulator.address, theirs, how]
    return loader, dict(os.environ)


def run(how, emulator, directory, files, kill_at=None):
    """Seconds and peak memory of a process; killed once so many messages are stored or drafted."""
    arguments, environment = command(how, emulator, directory, *files)
    begun = time.monotonic()
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if kill_at is not None:
        time.sleep(kill_at)
        process.kill()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    return time.monotonic() - begun, usage.ru_maxrss / 1024, status


def main():
    each = MESSAGES // THREADS * THREADS
    print(f"{each:,} messages in {THREADS} threads, {LATENCY} ms a request\n")
    print("| | requests | seconds | peak memory | killed half-way and started again |")
    print("|---|---|---|---|---|")
    for how in ["migrate", "batch", "sequential"]:
        with tempfile.TemporaryDirectory() as directory:
            files = sources(directory)
            emulator = Emulator(directory)
            seconds, megabytes, status = run(how, emulator, directory, files)
            requests, (stored, double) = emulator.requests(), emulator.stored()
            emulator.stop()
            assert status == 0 and (stored, double) == (each, 0), (how, status, stored, double)
        with tempfile.TemporaryDirectory() as directory:
            files = sources(directory)
            emulator = Emulator(directory)
            run(how, emulator, directory, files, kill_at=seconds / 2)
            half = emulator.requests()
            run(how, emulator, directory, files)
            again = emulator.requests() - half
            # What the killed process started is stored, too.
            time.sleep(2)
            emulator.requests()
            stored, double = emulator.stored()
            emulator.stop()
        name = "`migrate`" if how == "migrate" else f"zep-ingest, {how}"
        outcome = f"{stored:,} stored, {double:,} double, {each - stored + double:,} missing"
        outcome += f"; {again} requests more"
        print(f"| {name} | {requests} | {seconds:.1f} | {megabytes:.0f} MB | {outcome} |", flush=True)


BINARY = os.path.abspath(sys.argv[1])
main()
