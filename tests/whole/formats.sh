#!/usr/bin/env bash
# Two versions side by side on one database: this one, and a build of it whose numbers of formats are one higher.
#   formats.sh                builds the later one
#   formats.sh OLDER NEWER    with these programs; a PostgreSQL is at POLYLOG_TEST_DATABASE
set -euo pipefail
. tests/lib/tools.sh
if [ $# = 0 ]; then
  POLYLOG_RAISED_FORMAT=1 cargo build --release --workspace --bin polylog-sidecar --bin polylog-operator --target-dir "$POLYLOG_TARGET/raised"
  exec polylog-whole-tests with-server postgres -- "$0" "$(command -v polylog-sidecar)" "$POLYLOG_TARGET/raised/release/polylog-sidecar"
fi
older=$1 newer=$2
work=$(mktemp -d)
trap 'for process in $(jobs -p); do kill "$process" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT
fail() { echo "$*" >&2; tail -n 5 "$work"/*.log >&2; exit 1; }
soon() { # what is waited for, then a command
  local what=$1 deadline=$((SECONDS + 30))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || fail "not in time: $what"
    sleep 0.2
  done
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
python3 - >"$work/token" <<'TOKEN'
import base64, json
claims = {"sub": "system:serviceaccount:shop:checkout", "kubernetes.io": {"namespace": "shop"}}
print("e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".c2ln")
TOKEN

# mount <folder> <schema> <format>: what the operator of a version with this format mounts
mount() {
  mkdir -p "$work/$1/store" "$work/$1/sources/ledger"
  printf '%s' "$POLYLOG_TEST_DATABASE" >"$work/$1/sources/ledger/url"
  cat >"$work/$1/new" <<STORE
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: notes, namespace: shop, annotations: {polylog.dev/format: "$3"}}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}, tls: {mode: Disable}}, postgres: {schema: $2}}
STORE
  mv "$work/$1/new" "$work/$1/store/eventstore.yaml"
}
# dev <program> <schema> <arguments>...: provisions, and serves at $url
dev() {
  local program=$1 schema=$2 port
  port=$(free_port)
  mount "dev-$schema" "$schema" 1
  url=http://127.0.0.1:$port
  "$program" dev "$work/dev-$schema/store" --source "ledger=$POLYLOG_TEST_DATABASE" --data "$work/data-$port" --unsafe-durability --port "$port" --health-port 0 \
    >>"$work/dev-$schema.log" 2>&1 &
}
# sidecar <name> <program>: beside an application, with the folder of this name mounted; serves at $url
sidecar() {
  local port
  port=$(free_port)
  url=http://127.0.0.1:$port
  POLYLOG_LOG=info "$2" sidecar --config "$work/$1" --token "$work/token" --port "$port" --health-port 0 >"$work/$1.log" 2>&1 &
}
# appends <url> <status>: whether an append is answered so
appends() {
  [ "$(curl --silent --output "$work/answer" --write-out '%{http_code}' --json '{"expectedVersion":"any","events":[{"type":"Noted","data":1}]}' "$1/v1/streams/Note-1")" = "$2" ]
}
# reads <url> <number>: whether it reads so many events
reads() {
  [ "$(curl --silent --max-time 10 "$1/v1/streams/Note-1" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["events"]))' 2>/dev/null)" = "$2" ]
}

echo "the later version's log"
dev "$newer" raised
later=$url
soon "the later one provisions and appends" appends "$later" 201
mount behind raised 1
sidecar behind "$older"
behind=$url
soon "the one before reads what the later one wrote" reads "$behind" 1
appends "$behind" 503 && grep -q sidecar_too_old "$work/answer" || fail "it appends to a newer format: $(cat "$work/answer")"
appends "$later" 201 || fail "the later one: $(cat "$work/answer")"
soon "the one before follows" reads "$behind" 2
dev "$older" raised
wait $! && fail "the one before provisions a newer format"
grep -q 'format 2' "$work/dev-raised.log" || fail "it does not say why it does not"
reads "$later" 2 || fail "something was written"

echo "the later version's manifests"
mount behind raised 2
says() { grep -q 'is of form 2, and this version reads 1' "$work/behind.log"; }
soon "the form is refused" says
reads "$behind" 2 || fail "the manifest before is no longer in force"

echo "the log and the manifests of the version before"
dev "$older" plain
before=$url
soon "the one before provisions and appends" appends "$before" 201
mount ahead plain 1
sidecar ahead "$newer"
ahead=$url
soon "the later one appends to it" appends "$ahead" 201
appends "$before" 201 || fail "the format was raised by use: $(cat "$work/answer")"
mount further plain 2
sidecar further "$newer"
soon "the later one reads both, by its own manifest" reads "$url" 3
reads "$ahead" 3 || fail "and by the older one"
echo "an older and a newer version met in the log and in what is mounted"
