"""The Memory API as its OpenAPI document describes it: schemathesis sends what the document allows and what it
forbids, with a token of each role, and a client that is generated from the document does a therapist's day."""

import contextlib
import hashlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from peer import BINARY, check, finish

# Seconds for each role, and the most cases a call. On two processors that are free these are some thousands
# of cases; both variables ask for more.
SECONDS = int(os.environ.get("SCHEMATHESIS_SECONDS", 12))
CASES = int(os.environ.get("SCHEMATHESIS_CASES", 15))
# The same cases in each run, unless others are asked for.
SEED = os.environ.get("SCHEMATHESIS_SEED", "7")
ROLES = ["operator", "writer", "reader"]
TURNS = 40


def token(role):
    """The token of a role."""
    return f"{role}-of-the-peers-of-the-memory-api"


@contextlib.contextmanager
def server():
    """A server of the Memory API on an embedded store that is thrown away; gives its address."""
    with tempfile.TemporaryDirectory() as directory:
        tokens = Path(directory) / "tokens.jsonl"
        entries = [
            {
                "name": role,
                "hash": "sha256:" + hashlib.sha256(token(role).encode()).hexdigest(),
                "role": role,
                "users": "*",
            }
            for role in ROLES
        ]
        tokens.write_text("\n".join(map(json.dumps, entries)))
        tokens.chmod(0o600)
        settings = {
            **os.environ,
            "MEMORY_BACKEND": "local",
            "ZEP_MCP_DATA_DIR": directory,
            "MCP_AUTH_TOKENS_FILE": str(tokens),
            "LOG_LEVEL": "info",
        }
        process = subprocess.Popen(
            [BINARY, "serve", "--api", "--port", "0"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=settings,
        )
        try:
            for line in process.stderr:
                if found := re.search(r"listening on (http://\S+) ", line):
                    break
            else:
                raise RuntimeError("the server does not listen")
            yield found.group(1)
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            process.wait(60)


def schemathesis(url, role):
    """Runs all checks of schemathesis; gives how many cases it made, and what it said of failures."""
    program = Path(sys.executable).with_name("schemathesis")
    # It leaves a cache where it runs.
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(command(program, url, role), capture_output=True, text=True, cwd=directory)
    cases = re.search(r"(\d+) generated", done.stdout)
    if done.returncode:
        # Whole, for whoever looks for the cause; a check shows a line of it.
        start = max(done.stdout.find("= FAILURES ="), 0)
        print("\n".join(f"# {line[:300]}" for line in done.stdout[start:].splitlines()[:200]), flush=True)
    failures = done.stdout[done.stdout.find("Failures:") :] if done.returncode else ""
    return int(cases.group(1)) if cases else 0, done.returncode, failures or done.stderr


def command(program, url, role):
    """The command line of schemathesis."""
    return [
        program, "run", f"{url}/openapi.json",
        "-H", f"Authorization: Bearer {token(role)}",
        "--checks", "all",
        "--seed", SEED,
        "--max-examples", str(CASES),
        "--max-time", str(SECONDS),
        "--phases", "examples,coverage,fuzzing,stateful",
        "--continue-on-failure", "--no-color", "--warnings", "off", "--generation-database", "none",
    ]


def generate(url, directory):
    """A client in Python, generated from the document."""
    config = Path(directory) / "config.yml"
    config.write_text("project_name_override: day\npackage_name_override: day\npost_hooks: []\n")
    document = Path(directory) / "openapi.json"
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=60) as answer:
        document.write_bytes(answer.read())
    program = Path(sys.executable).with_name("openapi-python-client")
    subprocess.run(
        [program, "generate", "--path", document, "--config", config, "--output-path", "day", "--overwrite"],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    sys.path.insert(0, str(Path(directory) / "day"))
    return importlib.import_module("day")


class Day:
    """The generated client."""

    def __init__(self, package, url):
        self.client = package.AuthenticatedClient(base_url=url, token=token("operator"))
        self.models = importlib.import_module("day.models")

    def call(self, tag, name, /, *args, **kwargs):
        """A call by the name of its operation; gives its answer as a dictionary."""
        module = importlib.import_module(f"day.api.{tag}.{name}")
        answer = module.sync_detailed(*args, client=self.client, **kwargs)
        assert answer.status_code in (200, 201), f"{name}: {answer.status_code} {answer.content[:300]}"
        return answer.parsed.to_dict()

    def body(self, schema, /, **fields):
        """A body by the name of its schema."""
        return getattr(self.models, schema).from_dict(fields)


def main():
    with server() as url:
        total = 0
        for role in ROLES:
            with check(f"schemathesis finds nothing wrong with the token of a {role}"):
                cases, code, failures = schemathesis(url, role)
                total += cases
                assert code == 0, failures
        with check("it tried something with each"):
            assert total > 100, total
        print(f"# {total} cases", flush=True)
    # Another one: the wrong tokens of these cases make their address wait.
    with server() as url, tempfile.TemporaryDirectory() as directory:
        with check("a client is generated from the document"):
            day = Day(generate(url, directory), url)
        with check("a therapist's day, by the generated client"):
            body = day.body
            new = body("NewUser", email="ann@example.com", name="Ann Example", role="patient")
            user = day.call("users", "create_user", body=new)["user_id"]
            opened = day.call("sessions", "create_session", body=body("NewSession", user_id=user))
            session = opened["session_id"]
            for turn in range(TURNS):
                said = body(
                    "NewMessageHere",
                    user_id=user,
                    role=["user", "therapist"][turn % 2],
                    content=f"Turn {turn}: I slept {turn} hours",
                )
                day.call("messages", "add_message_to_session", session, body=said)
            state = body("NewEmotionalState", user_id=user, emotions={"fear": 0.9}, context="the exam")
            day.call("snapshots", "store_emotional_state", session, body=state)
            plan = body(
                "NewTreatmentPlan", user_id=user, goals=["sleep"], interventions=["diary"], duration_weeks=8
            )
            day.call("snapshots", "store_treatment_plan", session, body=plan)
            summary = body("NewSummary", user_id=user, summary="Sleep", key_points=["sleeps"])
            day.call("snapshots", "store_summary", session, body=summary)
            history = day.call("messages", "get_history", session, limit=200)
            assert len(history["messages"]) == TURNS + 3, len(history["messages"])
            assert history["messages"][1]["role"] == "therapist"
            found = day.call("snapshots", "get_emotional_state", session)["emotional_state"]
            assert found["has_crisis_markers"] is True, found
            assert day.call("snapshots", "get_treatment_plan", session)["treatment_plan"]["duration_weeks"] == 8
            assert day.call("snapshots", "get_summary", session)["summary"]["summary"] == "Sleep"
            stats = day.call("messages", "get_stats", session)["stats"]
            assert stats["memory_types"]["conversation"] == TURNS, stats
            asked = body("Question", query="How many hours did she sleep on turn 7?", user_id=user)
            results = day.call("memories", "search_memories", body=asked)["memories"]
            assert any("Turn 7:" in memory["memory"] for memory in results), results
            day.call("messages", "clear_session", session)
            module = importlib.import_module("day.api.messages.get_history")
            gone = module.sync_detailed(session, client=day.client)
            assert gone.status_code == 404, gone
    finish()


main()
