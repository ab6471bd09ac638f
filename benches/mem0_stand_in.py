#!/usr/bin/env python3
"""A stand-in for mem0 Platform's HTTP API, to measure mem0-mcp-server without mem0 Platform.

    benches/mem0_stand_in.py [PORT]

Listens on 127.0.0.1, prints its address, and keeps everything in memory. Answers what mem0ai's
`MemoryClient` 2.2.1 asks for mem0-mcp-server's tools, in the shapes of mem0's published OpenAPI
document, as fast as it can: what is measured is the server in front of it. Every message becomes a
memory as it is, at once, and search ranks by words in common. Every answer says in `X-Requests` how
many there were. Needs python3 only.
"""

import datetime
import json
import re
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote

ENTITIES = {"user": "user_id", "agent": "agent_id", "app": "app_id", "run": "run_id"}

memories = {}
words_of = {}
requests = 0
turn = threading.Lock()


class NotThere(Exception):
    pass


def words(text):
    return frozenset(re.findall(r"\w+", text.lower()))


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def passes(memory, filters):
    """Whether a memory passes a filter: AND, OR, NOT, equality, `*` and `in`."""

    def one(key, wanted):
        if key == "AND":
            return all(passes(memory, each) for each in wanted)
        if key == "OR":
            return any(passes(memory, each) for each in wanted)
        if key == "NOT":
            return not any(passes(memory, each) for each in wanted)
        value = memory.get(key)
        if isinstance(wanted, dict):
            return value in wanted["in"]
        return value is not None if wanted == "*" else value == wanted

    return all(one(key, wanted) for key, wanted in filters.items())


def ping(body, query):
    return {"status": "ok", "org_id": "org", "project_id": "project", "user_email": None}


def add(body, query):
    scope = {key: body.get(key) for key in ENTITIES.values()}
    if not any(scope.values()):
        raise ValueError("at least one entity id is required")
    for message in body["messages"]:
        memory = {
            "id": str(uuid.uuid4()),
            "memory": message["content"],
            **scope,
            "metadata": body.get("metadata"),
            "categories": [],
            "created_at": now(),
            "updated_at": now(),
        }
        memories[memory["id"]] = memory
        words_of[memory["id"]] = words(message["content"])
    return {
        "message": "Memory processing has been queued for background execution",
        "status": "PENDING",
        "event_id": str(uuid.uuid4()),
    }


def search(body, query):
    asked = words(body["query"])
    limit = body.get("top_k") or body.get("limit") or 10
    found = []
    for memory in memories.values():
        common = len(asked & words_of[memory["id"]])
        if common and passes(memory, body["filters"]):
            found.append((common / len(asked), memory))
    found.sort(key=lambda pair: -pair[0])
    return {"results": [{**memory, "score": score} for score, memory in found[:limit]]}


def page(body, query):
    number, size = int(query.get("page", 1)), int(query.get("page_size", 100))
    found = [memory for memory in memories.values() if passes(memory, body["filters"])]
    shown = found[(number - 1) * size : number * size]
    return {"count": len(found), "next": None, "previous": None, "results": shown}


def delete_all(body, query):
    for memory in [memory for memory in memories.values() if passes(memory, query)]:
        forget(memory["id"])
    return {"message": "Delete in progress. This may take some time."}


def forget(memory_id):
    del memories[memory_id], words_of[memory_id]


def known(memory_id):
    if memory_id not in memories:
        raise NotThere
    return memories[memory_id]


def get(body, query, memory_id):
    return known(memory_id)


def update(body, query, memory_id):
    memory = known(memory_id)
    if "text" in body:
        memory["memory"], words_of[memory_id] = body["text"], words(body["text"])
    if "metadata" in body:
        memory["metadata"] = body["metadata"]
    memory["updated_at"] = now()
    return memory


def delete(body, query, memory_id):
    known(memory_id)
    forget(memory_id)
    return {"message": "Memory deleted successfully!"}


def entities(body, query):
    found = {
        (kind, memory[key])
        for memory in memories.values()
        for kind, key in ENTITIES.items()
        if memory[key]
    }
    results = [{"id": name, "name": name, "type": kind} for kind, name in sorted(found)]
    return {"count": len(results), "next": None, "previous": None, "results": results}


def delete_entity(body, query, kind, name):
    if kind not in ENTITIES:
        raise NotThere
    return delete_all(body, {ENTITIES[kind]: name})


ROUTES = [
    ("GET", r"/v1/ping/", ping),
    ("POST", r"/v3/memories/add/", add),
    ("POST", r"/v3/memories/search/", search),
    ("POST", r"/v3/memories/", page),
    ("DELETE", r"/v1/memories/", delete_all),
    ("GET", r"/v1/memories/([^/]+)/", get),
    ("PUT", r"/v1/memories/([^/]+)/", update),
    ("DELETE", r"/v1/memories/([^/]+)/", delete),
    ("GET", r"/v1/entities/", entities),
    ("DELETE", r"/v2/entities/([^/]+)/([^/]+)/", delete_entity),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer leaves in one packet, and at once: otherwise the client's delayed acknowledgement
    # holds its second half back for 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self):
        global requests
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with turn:
            requests += 1
            try:
                status, content = 200, self.route(json.loads(raw or b"{}"))
            except NotThere:
                status, content = 404, {"detail": "Not found."}
            except (ValueError, KeyError, TypeError) as error:
                status, content = 400, {"detail": f"{type(error).__name__}: {error}"}
            content = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("X-Requests", str(requests))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def route(self, body):
        if not self.headers.get("Authorization", "").startswith("Token "):
            raise ValueError("no key")
        path, _, query = self.path.partition("?")
        for method, pattern, answer in ROUTES:
            fits = re.fullmatch(pattern, path)
            if method == self.command and fits:
                return answer(body, dict(parse_qsl(query)), *map(unquote, fits.groups()))
        raise NotThere

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    print(f"mem0's stand-in listens on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


main()
