# Uninstalled, and then without an API server, applications go on; a new installation takes over what it finds, and writes
# nothing; an EventStore that is made anew takes over its log.

# a status is told late; what is written after that would be noticed
position() { of_store orders .status.position; }
# versions: of everything that belongs to the stores. A store's status follows the load, the one of `orders` has none
owned=configmaps,deployments,services,serviceaccounts,networkpolicies,poddisruptionbudgets,secrets,replicationstrategies
versions() {
  shop get "$owned,eventstores" --selector 'app.kubernetes.io/managed-by=polylog-operator' --output \
    'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}'
  shop get eventstore orders --output 'jsonpath=EventStore/orders {.metadata.resourceVersion}{"\n"}'
  shop get eventstore payments --output 'jsonpath=EventStore/payments {.metadata.generation}{"\n"}'
}
known=$(sql "SELECT tail_position FROM orders.polylog_head")
soon 60 "the status tells the last append" is "$known" position
versions=$(versions)
payments=$(of_store payments .status.storeId) orders=$(of_store orders .status.storeId)

helm uninstall polylog --wait >/dev/null 2>&1
mark=$(now)
shop get eventstores
since "uninstalled"
go_on "$mark" "without an operator"
"$kube/part" "$bed" kill kube-apiserver
no_api_server() { ! kubectl get --raw /readyz; }
soon 30 "the API server is gone" no_api_server
go_on "$(now)" "without an API server"
"$kube/part" "$bed" start kube-apiserver
soon 60 "the API server is back" kubectl get --raw /readyz
since "without an API server"

helm install polylog charts/polylog --wait --timeout 3m "${values[@]}" >/dev/null
soon 60 "every object was looked at, more than once" reconciled 6
[ "$(versions)" = "$versions" ] || fail "a new installation wrote: $(diff <(echo "$versions") <(versions))"
go_on "$mark" "while another installation takes over"
is "$payments" of_store payments .status.storeId || fail "payments is another log"
since "installed again, and nothing written"

shop delete eventstore orders >/dev/null
soon 60 "what was made for it is gone" is "" shop get deployment polylog-orders --ignore-not-found
store orders | kubectl apply --filename - >/dev/null
shop wait --for=condition=Ready --timeout=120s eventstore/orders
is "$orders" of_store orders .status.storeId || fail "orders was log $orders, and is $(of_store orders .status.storeId)"
job second orders 'append, Order-1, --expected-version, "1", --type, Paid'
since "made anew, an EventStore takes over its log"
helm uninstall polylog --wait >/dev/null 2>&1
