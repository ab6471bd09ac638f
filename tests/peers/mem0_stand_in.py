#!/usr/bin/env python3
"""A stand-in for mem0 Platform's HTTP API, to run mem0-mcp-server without mem0 Platform.

    tests/peers/mem0_stand_in.py [PORT]

Listens on 127.0.0.1, prints its address, and keeps everything in memory. Answers what mem0ai's
`MemoryClient` 2.2.1 asks for mem0-mcp-server's tools, with the fields and errors of mem0's published
OpenAPI document, as fast as it can. Every message becomes a memory as it is, at once, and search
ranks by words in common. Every answer says in `X-Requests` how many there were. Needs python3 (3.10
or newer) only.
"""

import datetime
import json
import operator
import re
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlencode

ENTITIES = {"user": "user_id", "agent": "agent_id", "app": "app_id", "run": "run_id"}
TIMES = {"created_at", "updated_at"}

# The most that one answer holds.
MOST_A_PAGE, MOST_FOUND = 200, 1000

COMPARISONS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, wanted: value in wanted,
    "contains": lambda value, wanted: wanted in value,
    "icontains": lambda value, wanted: wanted.lower() in value.lower(),
}

memories = {}
words_of = {}
requests = 0
turn = threading.Lock()


class Refused(Exception):
    """What is answered in place of a result: a status and a body."""


def not_found():
    return Refused(404, {"error": "Memory not found!"})


def invalid(problem):
    return Refused(400, {"error": problem})


def words(text):
    return frozenset(re.findall(r"\w+", text.lower()))


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def instant(text):
    time = datetime.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)


def passes(memory, filters):
    """Whether a memory passes a filter."""
    return all(one_passes(memory, key, wanted) for key, wanted in filters.items())


def one_passes(memory, key, wanted):
    if key == "AND":
        return all(passes(memory, each) for each in wanted)
    if key == "OR":
        return any(passes(memory, each) for each in wanted)
    if key == "NOT":
        excluded = wanted if isinstance(wanted, list) else [wanted]
        return not any(passes(memory, each) for each in excluded)
    if key == "metadata":
        kept = memory["metadata"] or {}
        return all(name in kept and kept[name] == value for name, value in wanted.items())
    value = memory[key]
    if wanted == "*":
        return value is not None
    if not isinstance(wanted, dict):
        return value == wanted
    if value is None:
        return set(wanted) == {"ne"}
    if key in TIMES:
        value, wanted = instant(value), {name: instant(text) for name, text in wanted.items()}
    return all(COMPARISONS[name](value, operand) for name, operand in wanted.items())


def scoped(filters):
    """The filters, if they name an entity."""
    if not any(f'"{key}"' in json.dumps(filters) for key in ENTITIES.values()):
        raise invalid("filters must have one of user_id, agent_id, app_id, run_id")
    return filters


def between(name, value, most):
    number = int(value)
    if not 1 <= number <= most:
        raise invalid(f"{name} must be between 1 and {most}")
    return number


def listed(memory):
    """A memory as all calls but the search show it: a run is a `session_id`."""
    shown = {key: value for key, value in memory.items() if key != "run_id"}
    return {
        **shown,
        "session_id": memory["run_id"],
        "structured_attributes": None,
        "replaced_by": None,
        "synthesized": False,
    }


def ping(body, query):
    return {"status": "ok", "org_id": "org", "project_id": "project", "user_email": None}


def add(body, query):
    scope = {key: body.get(key) for key in ENTITIES.values()}
    if not any(scope.values()):
        raise Refused(400, {"error": "400 Bad Request", "details": {"message": "no entity id"}})
    for message in body["messages"]:
        time = now()
        memory = {
            "id": str(uuid.uuid4()),
            "memory": message["content"],
            **scope,
            "metadata": body.get("metadata"),
            "categories": [],
            "expiration_date": None,
            "created_at": time,
            "updated_at": time,
        }
        memories[memory["id"]] = memory
        words_of[memory["id"]] = words(message["content"])
    return {
        "message": "Memory processing has been queued for background execution",
        "status": "PENDING",
        "event_id": str(uuid.uuid4()),
    }


def search(body, query):
    asked, filters = words(body["query"]), scoped(body["filters"])
    limit = between("top_k", body.get("top_k") or body.get("limit") or 10, MOST_FOUND)
    found = []
    for memory in memories.values():
        common = len(asked & words_of[memory["id"]])
        if common and passes(memory, filters):
            found.append((common / len(asked), memory))
    found.sort(key=lambda pair: -pair[0])
    return {"results": [{**memory, "score": score} for score, memory in found[:limit]]}


def page(body, query):
    number = int(query.get("page", 1))
    size = between("page_size", query.get("page_size", 100), MOST_A_PAGE)
    filters = scoped(body["filters"])
    found = [memory for memory in reversed(memories.values()) if passes(memory, filters)]
    last = max(1, -(-len(found) // size))
    if not 1 <= number <= last:
        raise Refused(404, {"detail": "Invalid page."})

    def link(other):
        address = "https://api.mem0.ai/v3/memories/?"
        return address + urlencode({"page": other, "page_size": size}) if 1 <= other <= last else None

    return {
        "count": len(found),
        "next": link(number + 1),
        "previous": link(number - 1),
        "results": [listed(memory) for memory in found[(number - 1) * size : number * size]],
    }


def delete_all(body, query):
    for memory in [memory for memory in memories.values() if passes(memory, query)]:
        forget(memory["id"])
    message = "Delete in progress. This may take some time."
    return {"message": message, "event_id": str(uuid.uuid4())}


def forget(memory_id):
    del memories[memory_id], words_of[memory_id]


def known(memory_id):
    try:
        uuid.UUID(memory_id)
    except ValueError:
        raise invalid("memory_id should be a valid UUID") from None
    if memory_id not in memories:
        raise not_found()
    return memories[memory_id]


def get(body, query, memory_id):
    return listed(known(memory_id))


def update(body, query, memory_id):
    memory = known(memory_id)
    if "text" in body:
        memory["memory"], words_of[memory_id] = body["text"], words(body["text"])
    if "metadata" in body:
        memory["metadata"] = body["metadata"]
    memory["updated_at"] = now()
    return listed(memory)


def delete(body, query, memory_id):
    known(memory_id)
    forget(memory_id)
    return {"message": "Memory deleted successfully!"}


def entities(body, query):
    found = {}
    for memory in memories.values():
        for kind, key in ENTITIES.items():
            if memory[key]:
                times = found.setdefault((kind, memory[key]), [])
                times += [memory["created_at"], memory["updated_at"]]
    results = [
        {
            "id": name,
            "name": name,
            "created_at": min(times),
            "updated_at": max(times),
            "owner": "org",
            "metadata": None,
            "type": kind,
        }
        for (kind, name), times in sorted(found.items())
    ]
    totals = {f"total_{kind}s": sum(each["type"] == kind for each in results) for kind in ENTITIES}
    return {"count": len(results), "next": None, "previous": None, "results": results, **totals}


def delete_entity(body, query, kind, name):
    if kind not in ENTITIES:
        raise Refused(400, {"message": "Invalid entity type"})
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
            except Refused as refused:
                status, content = refused.args
            except (ValueError, KeyError, TypeError) as error:
                status, content = 400, {"error": f"{type(error).__name__}: {error}"}
            content = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("X-Requests", str(requests))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def route(self, body):
        if not self.headers.get("Authorization", "").startswith("Token "):
            raise Refused(401, {"detail": "Authentication credentials were not provided."})
        path, _, query = self.path.partition("?")
        for method, pattern, answer in ROUTES:
            fits = re.fullmatch(pattern, path)
            if method == self.command and fits:
                return answer(body, dict(parse_qsl(query)), *map(unquote, fits.groups()))
        raise Refused(404, {"detail": "Not found."})

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
