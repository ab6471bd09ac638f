#!/usr/bin/env python3
"""Writes every memory of mem0's library to standard output, as JSON Lines, for zep-mcp-server:

    python mem0_export.py [CONFIG] [--expect N] | zep-mcp-server migrate --file - --validate

Run it with the Python that has your application's mem0ai (1.0 or later), while the application is
stopped. CONFIG is what the application gives to Memory.from_config, in a file: .json, .yaml (needs
PyYAML), or .py with a variable `config`; FILE.py:NAME takes another variable, which may also be a
MemoryConfig or a Memory. Without CONFIG, the store of Memory() is read.

Only the vector store is opened: no model, no key of one, and nothing is written to the store. What
mem0 keeps of each memory is written as it is, expired ones, too. If this cannot be everything,
nothing is written at all, and the exit code is 1. Some stores cannot be counted from here: for them
--expect says how many records there are.
"""

import argparse
import inspect
import json
import os
import sys

# What is sent while a memory is opened, and the second collection that this needs.
os.environ["MEM0_TELEMETRY"] = "False"

# Libraries may print; only memories may go where they are read.
OUT, sys.stdout = sys.stdout, sys.stderr

# More than there are, in case somebody writes meanwhile.
SLACK = 1000


def fail(reason):
    sys.exit(f"mem0_export: {reason}")


def configuration(name):
    """What a file says, or what mem0 takes where nothing is said."""
    if not name:
        return {}
    path, _, variable = name.rpartition(":")
    if not (path.endswith(".py") and variable.isidentifier()):
        path, variable = name, "config"
    if path.endswith(".py"):
        import runpy

        sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
        names = runpy.run_path(path)
        return names[variable] if variable in names else fail(f"{path} has no `{variable}`")
    with open(path, encoding="utf-8") as file:
        if path.endswith((".yaml", ".yml")):
            import yaml

            return yaml.safe_load(file)
        return json.load(file)


def opened(config):
    """The vector store, as Memory opens it, and mem0's name of its kind."""
    if hasattr(config, "get_all"):
        return config.vector_store, config.config.vector_store.provider
    from mem0.configs.base import MemoryConfig
    from mem0.utils.factory import VectorStoreFactory

    if isinstance(config, dict):
        config = MemoryConfig(**config)
    kind, settings = config.vector_store.provider, config.vector_store.config
    say = lambda name: getattr(settings, name, None)  # noqa: E731
    is_local = not any(map(say, ("url", "host", "api_key", "client")))
    if kind in ("qdrant", "chroma", "faiss") and is_local and not os.path.exists(say("path")):
        fail(f"there is no {kind} store at {say('path')}; is CONFIG missing, or another one?")
    if kind == "qdrant":
        # Without this, mem0ai 1.0 deletes the directory of a local Qdrant when it opens it.
        settings.on_disk = True
    return VectorStoreFactory.create(kind, settings), kind


def counted(store, kind):
    """How many records the store has, exactly; None if it does not say."""
    if kind == "qdrant":
        return store.client.count(store.collection_name, exact=True).count
    if kind == "chroma":
        return store.collection.count()
    if kind == "faiss":
        return len(store.docstore)
    if kind in ("pgvector", "supabase", "oracledb"):
        return store.col_info()["count"]
    if kind == "mongodb":
        return store.collection.count_documents({})
    if kind in ("elasticsearch", "opensearch"):
        return store.client.count(index=store.collection_name)["count"]
    return None


def listed(store, most):
    """At most so many records, of everybody."""
    parameters = inspect.signature(store.list).parameters
    rows = store.list(**{"top_k" if "top_k" in parameters else "limit": most})
    # Qdrant answers a page and where the next one begins, most others a list in a list.
    if rows and isinstance(rows[0], (list, tuple)):
        rows = rows[0]
    return list(rows or [])


def plain(value):
    for name in ("isoformat", "tolist"):
        if hasattr(value, name):
            return getattr(value, name)()
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", metavar="CONFIG", nargs="?")
    parser.add_argument("--expect", metavar="N", type=int, help="how many records there are")
    arguments = parser.parse_args()

    store, kind = opened(configuration(arguments.config))
    if kind == "weaviate":
        fail("mem0 lists only some fields of Weaviate: write its objects with Weaviate's own client")
    there = counted(store, kind) if arguments.expect is None else arguments.expect
    if there is None:
        fail(f"a store of kind {kind} cannot be counted from here: say --expect N, as it counts")
    if there == 0:
        fail("the store holds nothing; is CONFIG missing, or another one?")
    rows = listed(store, there + SLACK)
    if len({str(row.id) for row in rows}) < there:
        fail(f"mem0 lists {len(rows)} records of {there}: nothing was written")

    lines, entities = [], 0
    for row in rows:
        payload = row.payload
        if not isinstance(payload, dict):
            fail(f"record {row.id} has no fields")
        if "linked_memory_ids" in payload and "entity_type" in payload:
            entities += 1
            continue
        try:
            lines.append(json.dumps({"id": str(row.id), "payload": payload}, default=plain))
        except (TypeError, ValueError) as error:
            fail(f"record {row.id}: {error}")
    for line in lines:
        OUT.write(line + "\n")
    OUT.flush()
    left_out = f", and {entities} entities left out" if entities else ""
    print(f"mem0_export: {len(lines)} memories from {kind}{left_out}", file=sys.stderr)


if __name__ == "__main__":
    main()
