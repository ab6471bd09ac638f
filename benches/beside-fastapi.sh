#!/usr/bin/env bash
# Measures the Memory API beside a FastAPI stub of the original, on the same data: in front of Zep's API, as the
# original is, which `emulate` plays, and on the embedded store's file.
#
#     benches/beside-fastapi.sh [BINARY]
#
# Builds the distributed binary unless one is named. FastAPI, uvicorn and zep-cloud are installed from PyPI under
# target/. BENCH_PARTS (api-zep,api), BENCH_SECONDS (5) for each row, BENCH_CONNECTIONS (1,100). Needs python3
# (3.10 or newer) with venv.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
binary=${1:-}
if [ -z "$binary" ]; then
    cargo build --locked --profile dist
    binary=$target/dist/zep-mcp-server
fi

environment=$target/beside-fastapi/venv
packages=('fastapi==0.165.0' 'uvicorn[standard]==0.54.0' 'zep-cloud==3.30.0')
# The marker makes an interrupted installation, or one of other packages, start again.
complete=$environment/complete
if [ "$(cat "$complete" 2>/dev/null)" != "${packages[*]}" ]; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
    echo "${packages[*]}" >"$complete"
fi

BENCH_PARTS=${BENCH_PARTS:-api-zep,api} \
    BENCH_BIN=$(realpath "$binary") \
    BENCH_PYTHON=$(realpath -s "$environment/bin/python") \
    exec cargo bench --bench network
