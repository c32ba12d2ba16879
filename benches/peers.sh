#!/usr/bin/env bash
# Measures Polylog on PostgreSQL beside raw inserts, message-db and UmaDB, and draws what came out.
#
#   ./benches/peers.sh [arguments of polylog-benches peers]
#
# The peers are installed outside the checkout, in ${POLYLOG_CACHE:-~/.cache/polylog}. The table goes to the standard
# output, the figures to benches/results/*.json, the picture to docs/performance.svg.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/lib/tools.sh

message_db=1.3.1 umadb=0.7.8 matplotlib=3.10.7
peers=$cache/peers-$message_db-$umadb-$matplotlib

need_peers() {
  [ -e "$peers/ready" ] && return
  need_debian npm npm
  need_debian python3 python3
  rm -rf "$peers"
  npm install --silent --no-audit --no-fund --prefix "$peers/npm" "@eventide/message-db@$message_db" >&2
  python3 -m venv "$peers/python"
  "$peers/python/bin/pip" install --quiet --disable-pip-version-check "umadb==$umadb" "matplotlib==$matplotlib" >&2
  touch "$peers/ready"
}

need_postgres >&2
need_peers
cargo build --release -p polylog -p polylog-benches >&2
mkdir -p benches/results
peers() {
  "$target/release/polylog-benches" peers --binary "$target/release/polylog" --umadb "$peers/python/bin/umadb" \
    --message-db "$peers/npm/node_modules/@eventide/message-db" "$@"
}
peers --json benches/results/postgres.json "$@"
echo
peers --json benches/results/postgres-slow-disk.json --slow-fsync 2 --stored 0 --case 1x1,8x1,32x1,128x1 --no-http "$@"
"$peers/python/bin/python" benches/plot.py benches/results/postgres.json docs/performance.svg
