#!/usr/bin/env bash
# A real data set goes in through the sidecar and comes out the same, event by event, on every engine; searches and counts
# of it are those of the file.
set -euo pipefail
. tests/lib/tools.sh
. tests/lib/sidecar.sh

# Imports and exports with one engine: flights.sh <engine> <folder>; the address of a server is in POLYLOG_TEST_DATABASE.
if [ $# = 2 ]; then
  engine=$1 work=$2
  start_sidecar examples/flights "$work/data-$engine"
  trap stop_sidecar EXIT
  # Cut off in the middle, then resumed by the same command.
  polylog import "$work/flights.ndjson" & import=$!
  until [ "$(position)" -gt 20000 ]; do kill -0 $import; done
  kill -9 $import
  wait $import || true
  polylog import "$work/flights.ndjson"
  polylog export > "$work/exported-$engine.ndjson"
  python3 examples/flights/compare.py "$work/flights.ndjson" "$work/exported-$engine.ndjson"
  python3 examples/flights/count.py "$work/flights.ndjson" "$POLYLOG_URL"
  exit
fi

# Everything of an event but what is each log's own: positions, times of recording, ids, which are made from the log's, and
# digests, which cover those.
own='s/"position":[0-9]+,//; s/"id":"[0-9a-f-]{36}",//; s/"recordedAt":"[^"]*",//; s/"digest":"[0-9a-f]+",//'
need_python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python_env/bin/python" examples/flights/convert.py > "$work/flights.ndjson"
first=
for engine in sqlite postgres mariadb; do
  began=$SECONDS
  polylog-whole-tests with-server "$engine" -- "$0" "$engine" "$work"
  sed -E "$own" "$work/exported-$engine.ndjson" | LC_ALL=C sort > "$work/events-$engine"
  rm -r "$work/exported-$engine.ndjson" "$work/data-$engine"
  echo "$engine: $((SECONDS - began)) s"
  if [ -n "$first" ]; then
    cmp "$work/events-$first" "$work/events-$engine"
    echo "$(wc -l < "$work/events-$engine") events are the same on $first and $engine"
  fi
  first=${first:-$engine}
done
