#!/usr/bin/env bash
# Measures Polylog on PostgreSQL and MariaDB beside raw inserts, message-db and UmaDB, and prints the tables.
#
#   ./benches/peers.sh                          everything
#   ./benches/peers.sh --list                   names the pieces
#   ./benches/peers.sh --only postgres/128x1    one of them; --only mariadb: those of one server; --only large: on both
#   ./benches/peers.sh --resume                 those that this build has no figures of yet
#   ./benches/peers.sh --minutes 15             as far as it comes, what matters most first
#
# Further arguments are those of `polylog-benches peers`. The peers are installed outside the checkout, in
# ${POLYLOG_CACHE:-~/.cache/polylog}. Each piece leaves its figures in benches/results; benches/publish.sh makes the
# book's tables and pictures and the README's table of them.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh

need_postgres >&2
need_mariadb >&2
need_peers
need_figures
# the build that is shipped is what is measured
cargo build --profile dist --workspace --bin polylog >&2
cargo build --release --workspace --bin polylog-benches >&2
build=$(git describe --always --dirty --abbrev=10)
outcome=0
"$target/release/polylog-benches" peers --binary "$target/dist/polylog" --build "$build" \
  --umadb "$peers/python/bin/umadb" --message-db "$peers/npm/node_modules/@eventide/message-db" "$@" || outcome=$?
case " $* " in *" --list "* | *" --help "*) ;; *) "${figures[@]}" show benches/results ;; esac
exit "$outcome"
