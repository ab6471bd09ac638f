#!/usr/bin/env bash
# Loads the same messages with `migrate` and with Zep's own loader (zep-ingest 0.3.0) into the emulator.
#
#     benches/beside-zep-ingest.sh [BINARY]
#
# Builds the distributed binary unless one is named. zep-ingest is installed from PyPI under target/.
# MESSAGES (50000) in THREADS (50), LATENCY (20) milliseconds a request. Needs python3 (3.10 or newer) with
# venv.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-}
if [ -z "$binary" ]; then
    cargo build --locked --profile dist
    binary=${CARGO_TARGET_DIR:-target}/dist/zep-mcp-server
fi

environment=${CARGO_TARGET_DIR:-target}/beside-zep-ingest/venv
# The marker `complete` makes an interrupted installation start again.
if [ ! -e "$environment/complete" ]; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    # The last versions that speak generation 3.
    "$environment/bin/pip" install --quiet --disable-pip-version-check \
        'zep-ingest==0.3.0' 'zep-cloud==3.30.0'
    touch "$environment/complete"
fi

exec "$environment/bin/python" -B benches/beside_zep_ingest.py "$binary"
