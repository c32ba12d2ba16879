# A `polylog dev` for the length of a test: start_sidecar <manifests> <data folder> [arguments]; POLYLOG_URL is set. Its
# admin port is POLYLOG_HEALTH_PORT, and its source `ledger` is kept at POLYLOG_TEST_DATABASE, if those are set.
start_sidecar() {
  local manifests=$1 data=$2
  shift 2
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  export POLYLOG_URL=http://127.0.0.1:$port
  polylog dev "$manifests" --data "$data" --port "$port" --health-port "${POLYLOG_HEALTH_PORT:-0}" \
    ${POLYLOG_TEST_DATABASE:+--source "ledger=$POLYLOG_TEST_DATABASE"} "$@" &
  sidecar=$!
  for _ in $(seq 300); do
    curl --silent --fail --output /dev/null "$POLYLOG_URL/v1/stores" && return
    kill -0 "$sidecar" || return
    sleep 0.1
  done
  echo "polylog dev did not answer within 30 s" >&2
  return 1
}

stop_sidecar() {
  kill "$sidecar" 2>/dev/null || true
  wait "$sidecar" || true
}

# The last position of the only store.
position() {
  curl --silent --fail "$POLYLOG_URL/v1/stores" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["stores"][0]["positions"][0])'
}

# Runs a command on every engine at the same time, beside a server where there is one (POLYLOG_TEST_DATABASE); the engine is
# its last argument. What they said is printed when all have ended.
on_every_engine() {
  local engine said outcome=0
  local -A running
  said=$(mktemp -d)
  for engine in sqlite postgres mariadb; do
    polylog-whole-tests with-server "$engine" -- "$@" "$engine" >"$said/$engine" 2>&1 &
    running[$engine]=$!
  done
  for engine in "${!running[@]}"; do
    wait "${running[$engine]}" || { outcome=1; echo "it failed" >>"$said/$engine"; }
    sed "s/^/$engine: /" "$said/$engine"
  done
  rm -r "$said"
  return $outcome
}
