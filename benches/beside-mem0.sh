#!/usr/bin/env bash
# Measures this server and mem0-mcp-server side by side in one run, without network access.
#
#     benches/beside-mem0.sh [BINARY]
#
# Builds the distributed binary unless one is named. mem0-mcp-server is installed from PyPI under
# target/ and uses a stand-in for mem0's API on loopback; its telemetry is off. RUNS (10) is the number
# of starts of each server, CALLS (200) the number of calls of each tool. Needs python3 (3.10 or newer)
# with venv.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-}
if [ -z "$binary" ]; then
    cargo build --locked --profile dist
    binary=${CARGO_TARGET_DIR:-target}/dist/zep-mcp-server
fi

environment=${CARGO_TARGET_DIR:-target}/beside-mem0/venv
# The marker `complete` makes an interrupted installation start again.
if [ ! -e "$environment/complete" ]; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    # mem0-mcp-server 0.2.1 does not start with mcp 2, which its metadata does not say.
    "$environment/bin/pip" install --quiet --disable-pip-version-check \
        'mem0-mcp-server==0.2.1' 'mcp<2'
    touch "$environment/complete"
fi

exec python3 -B benches/beside_mem0.py "$binary" "$environment"
