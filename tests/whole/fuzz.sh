#!/usr/bin/env bash
# A fuzzer driven by /openapi.json finds no 500 and no answer outside the described schema, on every engine.
#   fuzz.sh [engine]     the address of a server is in POLYLOG_TEST_DATABASE
set -euo pipefail
. tests/lib/tools.sh
. tests/lib/sidecar.sh
need_python
if [ $# = 0 ]; then
  on_every_engine "$0"
  exit
fi
# what a request may look like is the same for every engine: on the servers fewer are made up
examples=${POLYLOG_FUZZ_EXAMPLES:-$([ "$1" = sqlite ] && echo 25 || echo 5)}
work=$(mktemp -d)
config=$PWD/tests/lib/schemathesis.toml
start_sidecar examples/payments "$work/data"
trap 'stop_sidecar; rm -rf "$work"' EXIT
cd "$work"
fuzz() {
  "$python_env/bin/schemathesis" --config-file "$config" run "$POLYLOG_URL/openapi.json" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
    --exclude-tag later --request-timeout 10 --seed "${POLYLOG_FUZZ_SEED:-1}" "$@"
}
# A subscription that is accepted does not end by itself: the second run has its bounds alone.
fuzz --phases fuzzing,stateful --exclude-path-regex subscribe --max-examples "$examples"
# The generator of this phase fails by itself on the nested body of a commit; the phases above cover that.
fuzz --phases coverage --exclude-path-regex commits
