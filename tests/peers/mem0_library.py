"""A real Memory of mem0ai on a local store, exported by the script of `--print-exporter`, migrated
into the emulator, validated, read there by Zep's official client, and undone."""

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version

STORE = sys.argv.pop(1)

import library  # noqa: E402
from peer import BINARY, check, emulator, finish  # noqa: E402

IS_NEW = not version("mem0ai").startswith("1.")
SECONDS = 300
API_KEY = "z_peer-5d1f"


def run(command, home, stdin=None, **more):
    return subprocess.run(
        list(map(str, command)),
        input=stdin,
        env={**os.environ, **library.settings(home), **more},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def exported(home, *arguments):
    """What the script writes, with its exit code and what it says."""
    script = os.path.join(home, "mem0_export.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(run([BINARY, "migrate", "--print-exporter"], home).stdout)
    done = run([sys.executable, script, *arguments], home)
    return done.stdout, done.returncode, done.stderr


def commands(address, home):
    """A command in front of the emulator; answers its JSON and its exit code."""
    more = {"ZEP_API_URL": address, "ZEP_API_KEY": API_KEY, "ZEP_MCP_DATA_DIR": os.path.join(home, "data")}

    def command(*arguments, stdin=None):
        done = run([BINARY, *arguments, "--json"], home, stdin, **more)
        assert done.stdout, done.stderr
        return json.loads(done.stdout), done.returncode

    return command


def fill(home, models):
    """Fills the store in a process of its own, as an application does, which then ends."""
    config = library.configuration(home, STORE, models, path=os.path.join(home, STORE))
    if STORE == "qdrant":
        # Without it, the library deletes the directory, or did.
        config["vector_store"]["config"]["on_disk"] = True
    script = (
        "import json, sys, library; from mem0 import Memory;"
        "memory = Memory.from_config(json.loads(sys.argv[1]));"
        "print(json.dumps(library.filled(memory, sys.argv[2] == 'True')))"
    )
    done = run(
        [sys.executable, "-c", script, json.dumps(config), IS_NEW],
        home,
        PYTHONPATH=os.path.dirname(os.path.abspath(__file__)),
    )
    assert done.returncode == 0, done.stderr
    # The application's own file does not say `on_disk`.
    config["vector_store"]["config"].pop("on_disk", None)
    with open(os.path.join(home, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    with open(os.path.join(home, "config.py"), "w", encoding="utf-8") as file:
        file.write(f"settings = {config!r}\n")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    with tempfile.TemporaryDirectory() as home, library.models() as models:
        kept = fill(home, models)
        alive = {each: it for each, it in kept.items() if not it.get("expiration_date")}
        with check("the script writes each memory once, with all that mem0 has of it"):
            written, code, said = exported(home, "config.json")
            assert code == 0, said
            rows = {row["id"]: row["payload"] for row in map(json.loads, written.splitlines())}
            assert rows.keys() == kept.keys(), (len(rows), len(kept))
            assert len(written.splitlines()) == len(kept)
            for each, memory in kept.items():
                flat = {**(memory.pop("metadata", None) or {}), **memory}
                flat = {name: value for name, value in flat.items() if value is not None}
                row = {**rows[each], "id": each, "memory": rows[each]["data"]}
                differ = [name for name, value in flat.items() if name != "score" and row.get(name) != value]
                assert not differ, (differ, row, flat)
        with check("a configuration in Python gives the same, and reading harms no store"):
            again, code, said = exported(home, "config.py:settings")
            assert code == 0 and sorted(again.splitlines()) == sorted(written.splitlines()), said
        with check("what cannot be everything is not written"):
            lost = library.configuration(home, "qdrant", models, path=os.path.join(home, "lost"))
            with open(os.path.join(home, "lost.json"), "w", encoding="utf-8") as file:
                json.dump(lost, file)
            for arguments, reason in [
                (["config.json", "--expect", "9999"], f"lists {len(kept)} records of 9999"),
                (["lost.json"], "there is no qdrant store at"),
                (["config.py:other"], "has no `other`"),
            ]:
                nothing, code, said = exported(home, *arguments)
                assert reason in said and (code, nothing) == (1, ""), (code, nothing[:100], said)
        with emulator() as address:
            from zep_cloud.client import Zep

            command = commands(address, home)
            zep = Zep(api_key=API_KEY, base_url=f"{address}/api/v2", timeout=60)
            with check("piped into `migrate --file -` it is migrated and validated"):
                report, code = command("migrate", "--file", "-", "--validate", stdin=written)
                assert code == 0 and report["validation"]["valid"], report
                assert report["memories_migrated"] == len(alive), report
                assert report["expired"] == len(kept) - len(alive), report
                run_id = report["run"]
            with check("Zep's official client reads all of it, and nothing that is gone"):
                found = [e.content for e in zep.graph.episode.get_by_user_id("ann", lastn=1000).episodes]
                texts = [it["memory"] for it in alive.values() if it.get("user_id") == "ann"]
                assert len(found) == len(texts) == 132, (len(found), len(texts))
                missing = [text for text in texts if not any(text in one for one in found)]
                assert not missing, missing
                (thread,) = zep.user.get_threads("ann")
                messages = zep.thread.get(thread.thread_id).messages
                said = {(one.content, one.role) for one in messages}
                assert said == {("I moved to Lima", "user"), ("When was that?", "assistant")}, said
                of_ben = [e.content for e in zep.graph.episode.get_by_user_id("ben", lastn=9).episodes]
                assert of_ben == ["ben likes coffee ☕"], of_ben
            with check("a second export finds everything there"):
                report, code = command("migrate", "--file", "-", stdin=exported(home, "config.json")[0])
                assert code == 0 and report["memories_migrated"] == 0, report
            with check("and it is undone"):
                receipt, code = command("rollback", "--run", run_id, "--yes")
                assert code == 0, receipt
                assert not zep.user.list_ordered(page_number=1, page_size=50).users
    finish()


if __name__ == "__main__":
    main()
