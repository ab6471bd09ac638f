"""mem0's library (mem0ai 1.0 or 2.2), with a stand-in for the models that it asks."""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import struct
import threading

SIZE = 8


class Models(http.server.BaseHTTPRequestHandler):
    """The embeddings of OpenAI's API: a vector that a text always has. Without inference no other
    model is asked."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        data = [
            {"object": "embedding", "index": index, "embedding": vector(text, asked)}
            for index, text in enumerate(texts)
        ]
        answer = {"object": "list", "model": "m", "data": data}
        answer["usage"] = {"prompt_tokens": 1, "total_tokens": 1}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def vector(text, asked):
    numbers = [(byte - 128) / 128 for byte in hashlib.sha256(text.encode()).digest()[:SIZE]]
    if asked.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack(f"<{SIZE}f", *numbers)).decode()
    return numbers


@contextlib.contextmanager
def models():
    """The address of the stand-in."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()


def settings(home):
    """The environment of a process that uses the library."""
    return {"HOME": home, "MEM0_DIR": os.path.join(home, ".mem0"), "MEM0_TELEMETRY": "False"}


def configuration(home, store, models, **of_store):
    """What an application gives to Memory.from_config."""
    key = {"api_key": "m", "openai_base_url": models, "model": "m"}
    return {
        "vector_store": {
            "provider": store,
            "config": {"collection_name": "mem0", "embedding_model_dims": SIZE, **of_store},
        },
        "embedder": {"provider": "openai", "config": {**key, "embedding_dims": SIZE}},
        "llm": {"provider": "openai", "config": key},
        "history_db_path": os.path.join(home, "history.db"),
    }


def filled(memory, is_new):
    """Adds memories of every kind, and answers them by id, as the library has them in the end."""
    ids = []

    def add(what, **of):
        ids.extend(each["id"] for each in memory.add(what, infer=False, **of)["results"])
        return ids[-1]

    for n in range(130):
        add(f"ann likes number {n}", user_id="ann", metadata={"n": n, "in": {"a": [n]}})
    turns = [
        {"role": "user", "content": "I moved to Lima", "name": "Ann"},
        {"role": "assistant", "content": "When was that?"},
    ]
    add(turns, user_id="ann", agent_id="bot", run_id="trip")
    add("the bot is patient", agent_id="bot")
    memory.update(add("ben likes tea", user_id="ben"), "ben likes coffee ☕")
    if is_new:
        add("a password that expired", user_id="ben", expiration_date="2020-01-01")
    gone = add("ben's secret", user_id="ben")
    memory.delete(gone)
    return {each: memory.get(each) for each in ids if each != gone}
