#!/usr/bin/env bash
# kill -9 under load, $1 times each: of the sidecar; and, where sidecars share a database server, of either of two
# sidecars and of the server. Then the same on sidecars that were broken on purpose, which must be noticed: positions from
# a sequence; a retry answered before its first try's commit returned.
set -euo pipefail
cargo build --workspace --all-features --bins
broken=$POLYLOG_TARGET/debug/polylog
for engine in sqlite postgres mariadb; do
  polylog-whole-tests kill --engine "$engine" --rounds "$1"
  POLYLOG_MUTANT=sequence \
    polylog-whole-tests kill --engine "$engine" --rounds 10 --expect-violation --binary "$broken"
  POLYLOG_MUTANT=early-answer \
    polylog-whole-tests kill --engine "$engine" --rounds 20 --expect-violation --binary "$broken"
done
