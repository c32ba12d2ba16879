#!/usr/bin/env bash
# The first command of the README and of the book gives a running store, and their lines answer as shown.
set -euo pipefail
. tests/lib/tools.sh
command='cargo run --release --bin polylog -- dev examples/payments'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
work=$(mktemp -d)
dev=
stop() { kill $dev 2>/dev/null && wait $dev || true; }
trap 'stop; rm -rf "$work"' EXIT
for page in README.md docs/getting-started.md; do
  grep -qxF "$command" "$page" || { echo "$page shows another first command" >&2; exit 1; }
  $command --data "$work/$page" --port "$port" --health-port 0 & dev=$!
  until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/v1/stores"; do kill -0 $dev; sleep 0.2; done
  python3 tests/lib/console.py "$page" http://127.0.0.1:7300 "http://127.0.0.1:$port"
  stop
done
