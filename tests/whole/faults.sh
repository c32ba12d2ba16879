#!/usr/bin/env bash
# One log over three databases, with each strategy: for $1 seconds sources and sidecars are killed, stopped, cut off, reset and
# slowed down under load, one or two at a time. Then every source must hold the same events, what was acknowledged once, what
# was shown for good; with routes, the data that it keeps and no other. Then the same on sidecars that were broken on purpose,
# which must be noticed: an append is answered once the primary alone holds it; that is shown to readers; a new primary is opened
# with the log that it has.
set -euo pipefail
cargo build --workspace --all-features --bins
broken=$POLYLOG_TARGET/debug/polylog
for strategy in one all; do
  polylog-whole-tests faults --strategy "$strategy" --seconds "$1"
done
for strategy in majority partitioned; do
  polylog-whole-tests faults --strategy "$strategy" --sidecars 2 --seconds "$1"
done
POLYLOG_MUTANT=early-ack \
  polylog-whole-tests faults --strategy majority --seconds "$1" --expect-violation --binary "$broken"
if [ "$1" -ge 60 ]; then
  for strategy in one all; do
    polylog-whole-tests faults --strategy "$strategy" --sidecars 2 --seconds "$1"
  done
  for strategy in majority partitioned; do
    polylog-whole-tests faults --strategy "$strategy" --seconds "$1"
  done
  for mutant in unsettled-read not-levelled; do
    POLYLOG_MUTANT=$mutant \
      polylog-whole-tests faults --strategy majority --seconds "$1" --expect-violation --binary "$broken"
  done
fi
