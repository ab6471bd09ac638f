"""Whether a peer's client sent every request of the recorded contract, compared by shape."""

import json
import re
from pathlib import Path

RECORDED = Path(__file__).resolve().parents[1] / "fixtures" / "zep" / "v3-requests.jsonl"

# The ids of the recording; each matches any id.
IDS = re.compile(r"(?<=/)(u-1|s-1|agent-a1|b-1|t-1|[demn]-uuid)(?=/|$)")


def shape(value):
    """The field names of a body at every level, without the values."""
    if isinstance(value, list):
        return sorted({json.dumps(shape(item), sort_keys=True) for item in value})
    if isinstance(value, dict):
        return {name: None if name == "metadata" else shape(v) for name, v in value.items()}
    return None


def recorded():
    """Each call of the contract with the shape of its request."""
    for line in RECORDED.read_text().splitlines():
        call = json.loads(line)
        parts = IDS.sub("\0", call["path"]).split("\0")
        path = re.compile("[^/]+".join(map(re.escape, parts)))
        yield call["call"], call["method"], path, sorted(call["query"]), shape(call["body"])


def missing(sent):
    """The calls of the contract that are not among these requests: (method, path as it was sent,
    names in the query, body)."""
    sent = [(method, path, sorted(query), shape(body)) for method, path, query, body in sent]
    return [
        call
        for call, method, path, query, body in recorded()
        if not any(
            (method, query, body) == (m, q, b) and path.fullmatch(p) for m, p, q, b in sent
        )
    ]
