#!/usr/bin/env bash
# Measures the Memory API beside a FastAPI stub of the original, on the same store's data and in one run.
#
#     benches/beside-fastapi.sh [BINARY]
#
# Builds the distributed binary unless one is named. FastAPI and uvicorn are installed from PyPI under
# target/. BENCH_SECONDS (5) for each row, BENCH_CONNECTIONS (1,100). Needs python3 (3.10 or newer) with venv.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
binary=${1:-}
if [ -z "$binary" ]; then
    cargo build --locked --profile dist
    binary=$target/dist/zep-mcp-server
fi

environment=$target/beside-fastapi/venv
# The marker `complete` makes an interrupted installation start again.
if [ ! -e "$environment/complete" ]; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check \
        'fastapi==0.165.0' 'uvicorn[standard]==0.54.0'
    touch "$environment/complete"
fi

BENCH_PARTS=api \
    BENCH_BIN=$(realpath "$binary") \
    BENCH_PYTHON=$(realpath -s "$environment/bin/python") \
    exec cargo bench --bench network
