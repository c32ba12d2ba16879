#!/usr/bin/env bash
# A real data set goes in through the sidecar and comes out the same, event by event.
set -euo pipefail
. tests/lib/tools.sh
. tests/lib/sidecar.sh
need_python
work=$(mktemp -d)
start_sidecar examples/flights "$work/data"
trap 'stop_sidecar; rm -rf "$work"' EXIT

"$python_env/bin/python" examples/flights/convert.py > "$work/flights.ndjson"
# Cut off in the middle, then resumed by the same command.
polylog import "$work/flights.ndjson" & import=$!
until [ "$(position)" -gt 20000 ]; do kill -0 $import; done
kill -9 $import
wait $import || true
polylog import "$work/flights.ndjson"
polylog export > "$work/exported.ndjson"
python3 examples/flights/compare.py "$work/flights.ndjson" "$work/exported.ndjson"
