#!/usr/bin/env bash
# One log over three databases, with each strategy: for $1 seconds sources and sidecars are killed, stopped, cut off, reset and
# slowed down under load, one or two at a time. Then every source must hold the same events, what was acknowledged once, what
# was shown for good; with routes, the data that it keeps and no other. Then the same on sidecars that were broken on purpose,
# which must be noticed: an append is answered once the primary alone holds it; that is shown to readers; a new primary is opened
# with the log that it has.
set -euo pipefail
cargo build --workspace --all-features --bins
seconds=$1 broken=$POLYLOG_TARGET/debug/polylog
for strategy in one all; do
  polylog-whole-tests faults --strategy "$strategy" --seconds "$seconds"
done
for strategy in majority partitioned; do
  polylog-whole-tests faults --strategy "$strategy" --sidecars 2 --seconds "$seconds"
done
# noticed <mutant> [<runs>]: what shows some of them has to happen at the right moment
noticed() {
  for _ in $(seq "${2:-1}"); do
    if POLYLOG_MUTANT=$1 polylog-whole-tests faults --strategy majority --seconds "$seconds" \
      --expect-violation --binary "$broken"; then return; fi
  done
  return 1
}
noticed early-ack
if [ "$seconds" -ge 60 ]; then
  for strategy in one all; do
    polylog-whole-tests faults --strategy "$strategy" --sidecars 2 --seconds "$seconds"
  done
  for strategy in majority partitioned; do
    polylog-whole-tests faults --strategy "$strategy" --seconds "$seconds"
  done
  for mutant in unsettled-read not-levelled; do
    noticed "$mutant" 5
  done
fi
