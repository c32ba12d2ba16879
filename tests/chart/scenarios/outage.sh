# Without its database an application gets the documented codes, each after its deadline of 5 s, and stays in its Service. A log
# over several databases, of which this was the primary, goes on without it, and its status says so.

endpoints() { shop get endpointslices --selector kubernetes.io/service-name=checkout --output 'jsonpath={.items[*].endpoints[*].conditions.ready}'; }
restarts() { shop get pods --selector 'app in (follow, checkout)' --output 'jsonpath={.items[*].status..restartCount}'; }
is "true true" endpoints || fail "endpoints before: $(endpoints)"
mark=$(now)
database stop --mode fast >/dev/null
stopped=$(now)
# a pod that is made now starts all the same
shop scale deployment checkout --replicas 3 >/dev/null
shop rollout status --timeout=60s deployment/checkout >/dev/null || fail "no pod starts without a database"
restarts=$(restarts)
soon 60 "requests are refused" each_told "$mark" 2 ' failed (append|read) 503 source_unavailable'
# what was under way when it went may be written or not
others=$(failed "$mark" | grep -v -e ' 503 source_unavailable$' -e ' append 504 outcome_unknown$' || true)
[ -z "$others" ] || fail "other answers without a database: $others"
is "true true true" endpoints || fail "applications left their Service with the database: $(endpoints)"
shop wait --for=condition=Available --timeout=10s deployment/checkout deployment/follow

# the other one
application=across soon 30 "another database takes over" each_told "$stopped" 5 ' good '
first_good() { cut -d' ' -f4- "$1" | awk -v since="$stopped" '$1 > since && / good / { print $1 - since; exit }'; }
for log in "$bed"/pods/shop_across-*/app/0.log; do echo "   ten appends more $(first_good "$log") ms after the primary stopped"; done
others=$(application=across failed "$mark" | grep -v -E ' (503 (source_unavailable|no_primary)|504 (outcome_unknown|acks_timeout))$' || true)
[ -z "$others" ] || fail "other answers without a primary: $others"
soon 90 "the status tells who is primary now" is mirror of_store across .status.primary
soon 60 "the status tells which database is away" is Unreachable of_source ledger state
is "False SourceDown" condition across Replicating || fail "Replicating: $(condition across Replicating)"
for type in Ready Available; do [[ "$(condition across $type)" == "True "* ]] || fail "$type: $(condition across $type)"; done
plugin status across >"$work/told"
grep -q 'primary *mirror' "$work/told" && grep -q 'ledger.* Unreachable ' "$work/told" || fail "kubectl polylog status: $(cat "$work/told")"
since "without a database"
start_database
back=$(now)
soon 90 "appends go on" each_told "$(now)" 1 ' good '
go_on "$(now)" "after the database came back"
[ "$(restarts)" = "$restarts" ] || fail "containers were restarted: $restarts, now $(restarts)"
since "the database came back"
