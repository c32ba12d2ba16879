# An installation for a list of namespaces looks after these, and leaves all others alone. What it may not bring itself is there:
# the kinds' definitions since the installations before, the role by which it reads Secrets by the tenant's hand.

helm install polylog charts/polylog --wait --timeout 3m --set 'watchNamespaces={shop}' >/dev/null
shop delete rolebinding polylog-secret-reader >/dev/null
shop create role polylog-secret-reader --verb=get --resource=secrets >/dev/null
shop create rolebinding polylog-secret-reader --role=polylog-secret-reader --serviceaccount=polylog-system:polylog-operator >/dev/null
since "installed for one namespace"
{ store few; echo ---; behind_gateway reports left; } | kubectl apply --filename - >/dev/null
shop wait --for=condition=Ready --timeout=120s eventstore/few
job few few 'append, Order-1, --expected-version, any, --type, Ordered'
sidecars() { kubectl run app --namespace "$1" --image app --labels polylog.dev/eventstore=left --dry-run=server --output 'jsonpath={.spec.initContainers[*].name}'; }
is "" sidecars reports || fail "a pod of another namespace: $(sidecars reports)"
is "" reports get eventstore left --output 'jsonpath={.status}' || fail "an EventStore of another namespace: $(reports get eventstore left --output yaml)"
helm uninstall polylog --wait >/dev/null 2>&1
since "an installation for a list of namespaces"
