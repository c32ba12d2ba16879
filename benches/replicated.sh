#!/usr/bin/env bash
# Measures one log over PostgreSQL, MariaDB and PostgreSQL: the time from the loss of the primary to the next acknowledged append,
# what `Majority` takes beyond the primary and the fastest replica, how far replicas are behind at 2,000 events a second, how fast a
# source catches up beside raw inserts of the same rows, what a source that is gone costs the others, and what verification costs.
#
#   ./benches/replicated.sh                         everything, printed
#   ./benches/replicated.sh --only failover,dead    some of it
#
# Further arguments are those of `polylog-benches replicated`.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh

need_postgres >&2
need_mariadb >&2
# the build that is shipped is what is measured
cargo build --profile dist --workspace --bin polylog >&2
cargo build --release --workspace --bin polylog-benches >&2
exec "$target/release/polylog-benches" replicated --binary "$target/dist/polylog" "$@"
