"""The two busiest routes of the original Memory API, as a FastAPI stub on the embedded store's file.

    python -I memory_api_stub.py MEMORY.DB dicts|typed

Run by `cargo bench --bench network` (part `api`) for comparison. Requests and answers have the shapes of
the original; what the original asks of Zep Cloud is one or three SQL statements here. With `dicts` the
handlers return dicts, as the original's do; with `typed` they have a response model, so that pydantic
writes the JSON, which is faster. Everything else that the shapes leave open is chosen in favour of the stub:

- no access control, no audit trail, no index of words, no limits, no access log;
- one connection and cached statements; the journal (WAL) and `synchronous` (FULL) are the server's;
- handlers are `async` and call SQLite directly: on a thread of FastAPI's pool a read takes half as long
  again, and a write about the same.

Prints its address on stderr once it listens.
"""

import json
import socket
import sqlite3
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel

# The numbers of roles in the store.
ROLES = ["norole", "user", "assistant", "system", "function", "tool"]
NUMBERS = {"user": 1, "assistant": 2, "therapist": 1, "system": 3}

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

HISTORY = """
SELECT content, role, created_at, metadata FROM episode
WHERE thread = (SELECT id FROM thread WHERE name = ?) ORDER BY id DESC LIMIT ?
"""
THREAD = """
SELECT t.id, t.owner FROM thread t JOIN owner o ON o.id = t.owner
WHERE t.name = ? AND o.kind = 0 AND o.name = ?
"""
ALLOCATE = "UPDATE owner SET next_n = next_n + 1 WHERE id = ? RETURNING next_n - 1"
INSERT = """
INSERT INTO episode (id, owner, uuid, thread, role, source, created_at, created_ns, ingested_at,
  content, metadata, has_fact, once) VALUES (?, ?, ?, ?, ?, 1, ?, 0, ?, ?, ?, 1, 1)
"""

IS_TYPED = {"dicts": False, "typed": True}[sys.argv[2]]
store = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
# `journal_mode` is a property of the file.
store.execute("PRAGMA synchronous = FULL")
app = FastAPI(title="Pixelated Memory Server", version="1.0.0")


class NewMessage(BaseModel):
    user_id: str
    session_id: str
    content: str
    role: str
    memory_type: str = "conversation"
    metadata: dict[str, Any] | None = None


class Done(BaseModel):
    success: bool
    message: str


class Message(BaseModel):
    content: str
    role: str
    timestamp: str
    metadata: dict[str, Any]


class History(BaseModel):
    success: bool
    session_id: str
    messages: list[Message]


@app.get(
    "/api/memory/conversations/{session_id}", response_model=History if IS_TYPED else None
)
async def history(session_id: str, limit: int = Query(50, ge=1, le=200)):
    rows = store.execute(HISTORY, (session_id, limit)).fetchall()
    messages = [
        {
            "content": content,
            "role": ROLES[role],
            "timestamp": (EPOCH + timedelta(microseconds=created)).isoformat(),
            "metadata": json.loads(metadata) if metadata else {},
        }
        for content, role, created, metadata in reversed(rows)
    ]
    return {"success": True, "session_id": session_id, "messages": messages}


@app.post("/api/memory/messages", response_model=Done if IS_TYPED else None)
async def add_message(new: NewMessage):
    if new.role not in NUMBERS:
        raise HTTPException(400, f"'{new.role}' is not a valid MessageRole")
    now = time.time_ns() // 1000
    metadata = {"zm_id": str(uuid.uuid4()), "memory_type": new.memory_type, **(new.metadata or {})}
    store.execute("BEGIN IMMEDIATE")
    try:
        found = store.execute(THREAD, (new.session_id, new.user_id)).fetchone()
        if not found:
            raise HTTPException(400, "500: Failed to add message")
        thread, owner = found
        ((number,),) = store.execute(ALLOCATE, (owner,)).fetchall()
        store.execute(
            INSERT,
            (
                owner << 32 | number,
                owner,
                uuid.uuid4().bytes,
                thread,
                NUMBERS[new.role],
                now,
                now,
                new.content,
                json.dumps(metadata, ensure_ascii=False),
            ),
        )
        store.execute("COMMIT")
    except BaseException:
        store.execute("ROLLBACK")
        raise
    return {"success": True, "message": "Message added to memory"}


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    host, port = listener.getsockname()
    # What uvicorn[standard] brings: uvloop and httptools. The most of what a request costs otherwise is
    # its line in the access log.
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
    print(f"listening on http://{host}:{port}", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
