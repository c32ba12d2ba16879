#!/usr/bin/env bash
# kill -9 of the sidecar at random moments, under load: $1 times. Then the same on sidecars that were broken on purpose,
# which must be noticed: positions from a sequence; a retry answered before its first try's commit returned.
set -euo pipefail
polylog-whole-tests kill --rounds "$1"

cargo build --workspace --all-features --bins
broken=$POLYLOG_TARGET/debug/polylog
POLYLOG_MUTANT=sequence polylog-whole-tests kill --rounds 10 --expect-violation --binary "$broken"
POLYLOG_MUTANT=early-answer polylog-whole-tests kill --rounds 20 --expect-violation --binary "$broken"
