#!/usr/bin/env bash
# Measures the resident memory of the binaries as they are shipped, and leaves the figures in benches/results.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/lib/tools.sh
cargo build --release --workspace --bin polylog-whole-tests >&2
PATH=$target/release:$PATH tests/whole/memory.sh shipped benches/results
