#!/usr/bin/env bash
# Prometheus' own parser reads /metrics, and finds what the book says: names, types, units, labels.
set -euo pipefail
. tests/lib/tools.sh
. tests/lib/sidecar.sh
need_python
work=$(mktemp -d)
admin=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
POLYLOG_HEALTH_PORT=$admin start_sidecar examples/payments "$work/data"
trap 'stop_sidecar; rm -rf "$work"' EXIT
"$python_env/bin/python" tests/lib/metrics.py "$POLYLOG_URL" "http://127.0.0.1:$admin"
