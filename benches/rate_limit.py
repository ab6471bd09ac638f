#!/usr/bin/env python3
"""Measures how much of a rate limit a migration spends, and whether a request is refused.

    benches/rate_limit.py BINARY [PER_MINUTE [MINUTES [LATENCY_MS]]]

Migrates directly, alone on an account of PER_MINUTE requests (300), more records than MINUTES (3) allow,
with LATENCY_MS (100) a request, and prints what reached the emulator in each whole minute. Needs python3
only."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

BINARY = os.path.abspath(sys.argv[1])
PER_MINUTE, MINUTES, LATENCY = [
    int(sys.argv[n]) if len(sys.argv) > n else default for n, default in [(2, 300), (3, 3), (4, 100)]
]


def main():
    with tempfile.TemporaryDirectory() as directory:
        export = os.path.join(directory, "export.json")
        records = PER_MINUTE * (MINUTES + 2)
        memories = [{"id": f"m{n}", "memory": f"memory {n}"} for n in range(records)]
        with open(export, "w") as file:
            json.dump({"users": [{"id": "ana", "memories": memories}]}, file)
        emulator = subprocess.Popen(
            [BINARY, "emulate", "--port", "0", "--latency", str(LATENCY)]
            + ["--rate-limit", str(PER_MINUTE)],
            stdout=subprocess.PIPE,
            text=True,
        )
        address = re.search(r"http://\S+", emulator.stdout.readline()).group()

        def requests():
            with urllib.request.urlopen(address + "/_emulator/stats") as answer:
                return json.load(answer)

        environment = {
            **os.environ,
            "ZEP_API_URL": address,
            "ZEP_API_KEY": "z_any",
            "ZEP_MCP_DATA_DIR": os.path.join(directory, "data"),
        }
        migration = subprocess.Popen(
            [BINARY, "migrate", "--method", "direct", "--json", "--file", export],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Zep counts by the minute of the clock.
        before = 0
        for minute in range(MINUTES + 1):
            time.sleep(60 - time.time() % 60)
            stats = requests()
            now = sum(stats["requests"].values())
            whole = "" if minute else ", not whole"
            print(f"minute {minute}{whole}: {now - before} of {PER_MINUTE}", flush=True)
            before = now
        print("answers:", {name: count for name, count in stats.items() if name != "requests"})
        migration.kill()
        emulator.terminate()


main()
