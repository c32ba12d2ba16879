#!/usr/bin/env bash
# The README's first command gives a running store, and its lines answer as shown.
set -euo pipefail
. tests/lib/tools.sh
command='cargo run --release --bin polylog -- dev examples/payments'
grep -qxF "$command" README.md || { echo "the README shows another first command" >&2; exit 1; }
work=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
$command --data "$work" --port "$port" --health-port 0 & dev=$!
trap 'kill $dev 2>/dev/null; wait $dev; rm -rf "$work"' EXIT
until curl --silent --fail --output /dev/null "http://127.0.0.1:$port/v1/stores"; do kill -0 $dev; sleep 0.2; done
python3 tests/lib/console.py README.md http://127.0.0.1:7300 "http://127.0.0.1:$port"
