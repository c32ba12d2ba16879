#!/usr/bin/env bash
# Four processes of clients on two sidecars: what they did and heard is linearizable, on one stream and on several, while
# sidecars and server are killed and stopped $1 times. Then the same on sidecars that were broken on purpose, which must be
# noticed: a conflict answered from memory; a stream read from a page that was kept.
set -euo pipefail
cargo build --workspace --all-features --bins
broken=$POLYLOG_TARGET/debug/polylog
for engine in postgres mariadb; do
  for streams in 1 6; do
    polylog-whole-tests history --engine "$engine" --streams "$streams" --rounds "$1"
  done
  POLYLOG_MUTANT=stale-read \
    polylog-whole-tests history --engine "$engine" --rounds 20 --in-peace --expect-violation --binary "$broken"
done
POLYLOG_MUTANT=stale-conflict \
  polylog-whole-tests history --engine postgres --rounds 20 --in-peace --expect-violation --binary "$broken"
