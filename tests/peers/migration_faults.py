"""A migration while everything goes wrong that the emulator can do wrong: what Zep's official client
(zep-cloud 3.30.0) reads afterwards is complete, single and in order."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import stored
from commands import command
from export import Export
from peer import check, control, emulator, finish
from server import API_KEY
from zep_cloud.client import Zep

# How often the command may be run until it succeeds.
RUNS = 5
# All at once, each at a rate at which most calls still come through. Bodies are slower than the
# time-out of 3 s; late writes land while the server still looks for them.
FAULTS = [
    "--rate-limit", "150", "--rate-window", "1", "--latency", "5",
    "--fail", "0.03:503", "--fail", "0.02:500", "--fail-after", "0.03:502",
    "--drop-requests", "0.02", "--drop-answers", "0.04", "--half-answers", "0.03",
    "--garbage-answers", "0.03", "--late-writes", "0.03:1200", "--slow-bodies", "0.02:4500",
    "--restart", "2500:100",
]  # fmt: skip


def calm(address):
    """Ends all faults. The emulator may be restarting at this moment."""
    for _ in range(100):
        try:
            return control(address, "PUT", "faults", {})
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the emulator does not come back")


def survives(seed, method, enough, export, file):
    behavior = ["--cursor", "page", "--metadata-patch", "replaces"] if seed % 2 else []
    with emulator(*FAULTS, *behavior, "--seed", str(seed)) as address:
        started = datetime.now(timezone.utc)
        stored_in_all = 0
        with check(f"{method}: while everything goes wrong, the migration succeeds"):
            for _ in range(RUNS):
                migrate = "migrate", "--file", file, "--method", method
                report, code = command(address, *migrate, ZEP_TIMEOUT_SECS="3")
                stored_in_all += report["memories_migrated"]
                assert (code == 0) == report["success"], report
                if code == 0:
                    break
            assert code == 0, report
        with check(f"{method}: what was reported as migrated is what there is to migrate"):
            assert stored_in_all == export.records, (stored_in_all, report)
        with check(f"{method}: enough went wrong"):
            calm(address)
            faults = control(address, "GET", "stats")["faults"]
            assert len(faults) >= 6 and sum(faults.values()) >= enough, faults
        zep = Zep(api_key=API_KEY, base_url=f"{address}/api/v2", timeout=60)
        with check(f"{method}: everybody and every session is there, and nothing else"):
            stored.people(zep, export, started)
            stored.nothing_else(zep, export)
        with check(f"{method}: every record is there, single, whole and in order"):
            stored.whole(zep, export, started)
        with check(f"{method}: validation says so, too"):
            validation, code = command(address, "validate", "--file", file)
            assert code == 0 and validation["valid"], validation


def main():
    export = Export(seed=11, turns=12)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "export.json")
        file.write_text(export.document(), encoding="utf-8")
        with check("the export has some hundred records of all shapes"):
            assert 250 <= export.records <= 500 and len(export.sessions) >= 20, export.records
        # Mostly they wait, so they do it together.
        with ThreadPoolExecutor() as both:
            # By batch there are fewer requests that can go wrong.
            ways = (1, "direct", 25), (2, "batch", 12)
            list(both.map(lambda way: survives(*way, export, file), ways))
    finish()


main()
