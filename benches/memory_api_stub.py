"""The two busiest routes of the original Memory API, as a FastAPI stub.

    python -I memory_api_stub.py zep original|tuned URL
    python -I memory_api_stub.py sql dicts|typed MEMORY.DB

Run by `cargo bench --bench network` for comparison. Requests and answers have the shapes of the original. What
they leave open is chosen in favour of the stub: no access control, no audit trail, no limits, no access log.

- `zep` asks Zep's API by Zep's own client, as the original does: one request a call. With `original` a handler
  is `async` and yet waits for the client, so that all others wait, too; with `tuned` it waits on a thread of
  FastAPI's pool. The client's `async` half takes more processor time for the same calls.
- `sql` reads and writes a file of the embedded store: one statement or three, on one connection, with the
  journal (WAL) and `synchronous` (FULL) of the server, without an index of words. On a thread of the pool a
  read takes half as long again, and a write about the same.

With `original` and `dicts` the handlers return dicts, as the original's do; with `tuned` and `typed` they have a
response model, so that pydantic writes the JSON, which is faster. Prints its address on stderr once it listens.
"""

import json
import socket
import sqlite3
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from zep_cloud import Message as ZepMessage
from zep_cloud.client import Zep

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

# Connections that the client may keep to Zep. Of its own accord it keeps 20, and closes the others.
KEPT = httpx.Limits(max_connections=None, max_keepalive_connections=None)


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


class ZepApi:
    """Messages in Zep."""

    def __init__(self, url):
        http = httpx.Client(timeout=60, limits=KEPT, trust_env=False)
        self.zep = Zep(api_key="z_any", base_url=f"{url}/api/v2", httpx_client=http)

    async def ask(self, call, *of, **arguments):
        if IS_TUNED:
            return await run_in_threadpool(call, *of, **arguments)
        return call(*of, **arguments)

    async def newest(self, session_id, limit):
        thread = await self.ask(self.zep.thread.get, session_id, lastn=limit)
        return [
            {
                "content": message.content,
                "role": message.role,
                "timestamp": message.created_at,
                "metadata": message.metadata or {},
            }
            for message in thread.messages
        ]

    async def add(self, new):
        metadata = {"memory_type": new.memory_type, **(new.metadata or {})}
        message = ZepMessage(content=new.content, role=ROLES[NUMBERS[new.role]], metadata=metadata)
        await self.ask(self.zep.thread.add_messages, new.session_id, messages=[message])


class SqlFile:
    """Messages in a file of the embedded store."""

    def __init__(self, path):
        self.store = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # `journal_mode` is a property of the file.
        self.store.execute("PRAGMA synchronous = FULL")

    async def newest(self, session_id, limit):
        rows = self.store.execute(HISTORY, (session_id, limit)).fetchall()
        return [
            {
                "content": content,
                "role": ROLES[role],
                "timestamp": (EPOCH + timedelta(microseconds=created)).isoformat(),
                "metadata": json.loads(metadata) if metadata else {},
            }
            for content, role, created, metadata in reversed(rows)
        ]

    async def add(self, new):
        now = time.time_ns() // 1000
        own = {"zm_id": str(uuid.uuid4()), "memory_type": new.memory_type}
        metadata = json.dumps({**own, **(new.metadata or {})}, ensure_ascii=False)
        self.store.execute("BEGIN IMMEDIATE")
        try:
            found = self.store.execute(THREAD, (new.session_id, new.user_id)).fetchone()
            if not found:
                raise HTTPException(400, "500: Failed to add message")
            thread, owner = found
            ((number,),) = self.store.execute(ALLOCATE, (owner,)).fetchall()
            place = (owner << 32 | number, owner, uuid.uuid4().bytes, thread)
            row = (*place, NUMBERS[new.role], now, now, new.content, metadata)
            self.store.execute(INSERT, row)
            self.store.execute("COMMIT")
        except BaseException:
            self.store.execute("ROLLBACK")
            raise


_, KIND, HOW, PLACE = sys.argv
IS_TUNED = {"original": False, "dicts": False, "tuned": True, "typed": True}[HOW]
messages = {"zep": ZepApi, "sql": SqlFile}[KIND](PLACE)
app = FastAPI(title="Pixelated Memory Server", version="1.0.0")


@app.get(
    "/api/memory/conversations/{session_id}", response_model=History if IS_TUNED else None
)
async def history(session_id: str, limit: int = Query(50, ge=1, le=200)):
    newest = await messages.newest(session_id, limit)
    return {"success": True, "session_id": session_id, "messages": newest}


@app.post("/api/memory/messages", response_model=Done if IS_TUNED else None)
async def add_message(new: NewMessage):
    if new.role not in NUMBERS:
        raise HTTPException(400, f"'{new.role}' is not a valid MessageRole")
    await messages.add(new)
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
