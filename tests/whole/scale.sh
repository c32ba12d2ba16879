#!/usr/bin/env bash
# The operator with 1,000 EventStores, each with a schema in PostgreSQL, and 10,000 pods: time to the steady state, calls to
# the API server when nothing happens, memory. On an API server and its controllers; no pod runs. Needs root.
#
#   tests/whole/scale.sh [further arguments of polylog-whole-tests scale]
set -euo pipefail
. tests/lib/tools.sh
need_postgres
need_kube
cargo build --profile dist --workspace --bin polylog-operator --bin polylog-whole-tests
"$target/dist/polylog-whole-tests" scale --binary "$target/dist/polylog-operator" "$@"
