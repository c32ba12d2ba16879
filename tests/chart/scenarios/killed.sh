# The operators are killed in the middle of provisioning, and finish after they were restarted.

# store <name>: of the same database, in a schema of its own
store() {
  cat <<STORE
apiVersion: v1
kind: Secret
metadata: {name: $1-db, namespace: shop}
stringData: {url: "$(address ledger_two two)"}
---
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: $1, namespace: shop}
spec:
  access: [{serviceAccounts: [{name: "*"}], verbs: [append, read], categories: [Order]}]
  sources:
    - {name: ledger, connection: {secretRef: {name: $1-db}, tls: {mode: Disable}}, postgres: {schema: $1}}
STORE
}
mark=$(now)
# somebody is about to make a schema of this name: the first step has to wait for the end of that
mkfifo "$work/other"
psql <"$work/other" >/dev/null &
exec 7>"$work/other"
echo "BEGIN; CREATE SCHEMA orders;" >&7
soon 30 "the other holds the name" is 1 sql "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE 'CREATE SCHEMA orders%'"
store orders | kubectl apply --filename -
soon 60 "the operator provisions" is 1 sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE SCHEMA%'"
kill_containers operator polylog-system
echo "ROLLBACK;" >&7
exec 7>&-
since "killed while it provisions"
shop wait --for=condition=Ready --timeout=120s eventstore/orders
log=$(sql "SELECT log FROM orders.polylog_head")
is "$log" of_store orders .status.storeId || fail "the database has log $log, the store $(of_store orders .status.storeId)"
[[ "$(operator_pods .status.containerStatuses[0].restartCount)" != *0* ]] || fail "not every operator was killed"
ops rollout status --timeout=60s deployment/polylog-operator >/dev/null
since "another finished it"
go_on "$mark" "while operators are killed"
job first orders 'append, Order-1, --expected-version, noStream, --type, Ordered'
