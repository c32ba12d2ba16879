#!/usr/bin/env bash
# The example clients do what examples/clients/README.md says, also when answers are lost and connections cut: no event
# is written twice, none is missed by a follower; on every engine.
#   clients.sh [engine]     the address of a server is in POLYLOG_TEST_DATABASE
set -euo pipefail
. tests/lib/tools.sh
. tests/lib/sidecar.sh
clients=$PWD/examples/clients
need_debian jq jq
need_client_python
need_client_node
need_client_go
need_client_java
if [ $# = 0 ]; then
  on_every_engine "$0"
  exit
fi
work=$(mktemp -d)
start_sidecar examples/payments "$work/data"
trap 'stop_sidecar; rm -rf "$work"' EXIT

client() { # <name> <command>…
  python3 tests/lib/clients.py "$1" "$POLYLOG_URL" "${@:2}"
}
"$client_python/bin/python" -m grpc_tools.protoc -I crates/api/proto \
  --python_out="$work" --grpc_python_out="$work" crates/api/proto/polylog/v1/*.proto
client curl "$clients/curl/payments.sh"
client python-http "$client_python/bin/python" "$clients/python/payments.py"
PYTHONPATH=$work client python-grpc "$client_python/bin/python" "$clients/python/payments_grpc.py"
client node-http node "$clients/node/payments.mjs"
POLYLOG_PROTOS=$PWD/crates/api/proto client node-grpc node "$client_node/payments-grpc.mjs"
client rust "$POLYLOG_TARGET/debug/examples/payments"
client go "$client_go"
client java java -cp "$client_java" Payments
