# What would remove something waits, is approved by its hash, and runs then.

has_index() { sql "SELECT count(*) FROM pg_indexes WHERE schemaname = 'orders' AND indexname = 'polylog_mine'"; }
sql "CREATE INDEX polylog_mine ON orders.polylog_events (type, id)"
shop wait --for=condition=ApprovalRequired --timeout=60s eventstore/orders
is "False ApprovalRequired" condition orders Ready || fail "Ready: $(condition orders Ready)"
[[ "$(condition orders Available)" == "True "* ]] || fail "Available: $(condition orders Available)"
[[ "$(shop get configmap polylog-orders-plan --output 'jsonpath={.data.plan\.sql}')" == *"DROP INDEX"* ]] || fail "the plan as SQL"
# it looks at the database again, and leaves it so
soon 30 "every operator answers" count_reconciles
soon 60 "the operator looks at the database" reconciled $((reconciles + 4))
is 1 has_index || fail "carried out without an approval"
shop annotate eventstore orders "polylog.dev/approve-plan=$(of_store orders .status.plan.hash)" >/dev/null
shop wait --for=condition=ApprovalRequired=False --timeout=60s eventstore/orders
shop wait --for=condition=Ready --timeout=60s eventstore/orders
is 0 has_index || fail "approved, and not carried out"
since "a destructive plan was approved"
