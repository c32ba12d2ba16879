# Without its database an application gets the documented codes, each after its deadline of 5 s, and stays in its Service.

endpoints() { shop get endpointslices --selector kubernetes.io/service-name=checkout --output 'jsonpath={.items[*].endpoints[*].conditions.ready}'; }
restarts() { shop get pods --selector 'app in (follow, checkout)' --output 'jsonpath={.items[*].status..restartCount}'; }
is "true true" endpoints || fail "endpoints before: $(endpoints)"
restarts=$(restarts)
mark=$(now)
database stop --mode fast >/dev/null
soon 60 "requests are refused" each_told "$mark" 2 ' failed (append|read) 503 source_unavailable'
# what was under way when it went may be written or not
others=$(failed "$mark" | grep -v -e ' 503 source_unavailable$' -e ' append 504 outcome_unknown$' || true)
[ -z "$others" ] || fail "other answers without a database: $others"
is "true true" endpoints || fail "applications left their Service with the database: $(endpoints)"
shop wait --for=condition=Available --timeout=10s deployment/checkout deployment/follow
since "without a database"
start_database
soon 90 "appends go on" each_told "$(now)" 1 ' good '
go_on "$(now)" "after the database came back"
[ "$(restarts)" = "$restarts" ] || fail "containers were restarted: $restarts, now $(restarts)"
since "the database came back"
