#!/usr/bin/env bash
# What is wrong with a disk or a file is said with its code, and nothing is written: a disk that fills up under load and
# has room again, a read-only folder, another store's file, a foreign file, a damaged file.
set -euo pipefail
. tests/lib/tools.sh
. tests/lib/sidecar.sh
[ "$(id -u)" = 0 ] || { echo "mounting a small disk needs root" >&2; exit 1; }
work=$(mktemp -d)
sidecar=
trap 'stop_sidecar; umount "$work/small" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "$*" >&2; exit 1; }

append() { # stream -> status in $status, body in $work/answer
  status=$(curl --silent --output "$work/answer" --write-out '%{http_code}' "$POLYLOG_URL/v1/streams/$1" \
    -H 'Content-Type: application/json' \
    -d "{\"expectedVersion\":\"any\",\"events\":[{\"type\":\"Noted\",\"data\":\"$(printf 'x%.0s' $(seq 20000))\"}]}")
}

refused_at_start() { # reason words, then the arguments of polylog dev
  local words=$1
  shift
  if polylog dev "$@" --port 0 --health-port 0 > "$work/out" 2>&1; then fail "it started: $*"; fi
  grep -qiE "$words" "$work/out" || { cat "$work/out" >&2; fail "expected '$words'"; }
  echo "refused: $(grep -iE "$words" "$work/out" | head -1)"
}

echo "a disk fills up, and has room again"
mkdir "$work/small"
mount -t tmpfs -o size=12m polylog-test "$work/small"
start_sidecar examples/payments "$work/small/data"
taken=0
for n in $(seq 2000); do
  append "Payment-$n"
  [ "$status" = 201 ] || break
  taken=$n
done
[ "$status" = 503 ] || fail "expected 503 on a full disk, got $status: $(cat "$work/answer")"
grep -q '"code":"source_refused"' "$work/answer" && grep -q 'disk_full' "$work/answer" &&
  grep -q '"written":"nothing"' "$work/answer" || fail "not told as a full disk: $(cat "$work/answer")"
mount -o remount,size=64m "$work/small"
append Payment-after
[ "$status" = 201 ] || fail "with room again: $status $(cat "$work/answer")"
events=$(curl --silent "$POLYLOG_URL/v1/events" -H 'Accept: application/x-ndjson' | wc -l)
[ "$events" = $((taken + 1)) ] || fail "acknowledged $((taken + 1)) events, the log holds $events"
stop_sidecar
umount "$work/small"
echo "$taken appends taken, then refused as disk_full; with room again without a restart"

echo "files that must not be used"
start_sidecar examples/payments "$work/data"
append Payment-1
[ "$status" = 201 ] || fail "$status"
refused_at_start 'in use' examples/payments --data "$work/data"
stop_sidecar
start_sidecar examples/flights "$work/data"
stop_sidecar
mv "$work/data/demo.flights/ledger.db" "$work/flights.db"
cp "$work/data/default.payments/ledger.db" "$work/data/demo.flights/ledger.db"
before=$(sha256sum < "$work/data/demo.flights/ledger.db")
refused_at_start 'another store' examples/flights --data "$work/data"
[ "$before" = "$(sha256sum < "$work/data/demo.flights/ledger.db")" ] || fail "another store's file was written to"

python3 -c "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE accounts (id)').connection.commit()" "$work/foreign.db"
before=$(sha256sum < "$work/foreign.db")
refused_at_start 'another application' examples/payments --data "$work/f" --source "ledger=sqlite:$work/foreign.db"
[ "$before" = "$(sha256sum < "$work/foreign.db")" ] || fail "a foreign file was written to"

head -c 100000 /dev/urandom > "$work/noise.db"
refused_at_start 'damaged|not a database' examples/payments --data "$work/n" --source "ledger=sqlite:$work/noise.db"
touch "$work/file"
refused_at_start 'directory' examples/payments --data "$work/file"
