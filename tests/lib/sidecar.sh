# A `polylog dev` for the length of a test: start_sidecar <manifests> <data folder> [arguments]; POLYLOG_URL is set. Its
# admin port is POLYLOG_HEALTH_PORT, if that is set.
start_sidecar() {
  local manifests=$1 data=$2
  shift 2
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  export POLYLOG_URL=http://127.0.0.1:$port
  polylog dev "$manifests" --data "$data" --port "$port" --health-port "${POLYLOG_HEALTH_PORT:-0}" "$@" &
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
