# The chart is upgraded to a version whose formats are one higher, and rolled back. Pods that run keep the sidecar of the version
# before all the while, and no request of theirs fails. $raised has the programs of the later version; `install` came before.

for program in polylog-operator polylog-sidecar; do
  strip --strip-debug -o "$work/$program" "$raised/$program"
  images/archive --name "ghcr.io/polylog-dev/$program:raised" --output "$work/image.tar" "$work/$program"
  inside ctr --namespace k8s.io images import "$work/image.tar" >/dev/null
done
form() { shop get configmap "polylog-$1" --output 'jsonpath={.data.eventstore\.yaml}' | sed -n 's/.*polylog.dev\/format: *"*\([0-9]*\).*/\1/p'; }
formats() { of_store "$1" '.status.sources[*].formatVersion'; }
gateway_image() { shop get pods --selector "app.kubernetes.io/name=polylog-gateway,app.kubernetes.io/instance=$1" --field-selector status.phase=Running --output 'jsonpath={.items[*].spec.containers[0].image}'; }
sidecar_images() { shop get pods --selector app=checkout --output 'jsonpath={.items[*].spec.initContainers[?(@.name=="polylog")].image}'; }
both() { echo "ghcr.io/polylog-dev/polylog-sidecar:$1 ghcr.io/polylog-dev/polylog-sidecar:$1"; }
is 1 form payments || fail "the form before: $(form payments)"

mark=$(now)
helm upgrade polylog charts/polylog --reuse-values --set tag=raised --wait --timeout 2m >/dev/null
soon 60 "the later operator mounts its form" is 2 form payments
soon 120 "the gateway is of the later version" is ghcr.io/polylog-dev/polylog-sidecar:raised gateway_image payments
soon 60 "the store is ready" is True of_store payments '.status.conditions[?(@.type=="Ready")].status'
go_on "$mark" "under a later operator and its gateway"
is "$(both "$version")" sidecar_images || fail "pods were made anew: $(sidecar_images)"
is 1 formats payments || fail "a stored format was raised by use: $(formats payments)"
refuses_the_form() { shop logs --selector app=checkout --container polylog --tail -1 | grep -q 'is of form 2, and this version reads 1'; }
soon 120 "sidecars of the version before say that they keep the manifest before" refuses_the_form
since "a later version of the chart"

# what the later version makes, it makes with its own format
kubectl apply --filename - >/dev/null <<STORE
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: newer, namespace: shop}
spec:
  sources:
    - {name: ledger, connection: {secretRef: {name: ledger-db}, tls: {mode: Disable}}, postgres: {schema: newer}}
STORE
shop wait --for=condition=Ready --timeout=120s eventstore/newer
soon 60 "the status tells its format" is 2 formats newer
job newer newer 'append, Order-1, --expected-version, any, --type, Ordered'
since "an EventStore of the later version"

shop rollout restart deployment/checkout >/dev/null
shop rollout status --timeout=120s deployment/checkout >/dev/null
soon 60 "all pods have the later sidecar" is "$(both raised)" sidecar_images
go_on "$mark" "with sidecars of the later version"
since "sidecars of the later version"

mark=$(now)
helm rollback polylog --wait --timeout 2m >/dev/null
soon 60 "the operator before mounts its form" is 1 form payments
soon 120 "the gateway is of the version before" is "ghcr.io/polylog-dev/polylog-sidecar:$version" gateway_image payments
go_on "$mark" "with later sidecars, after the chart was rolled back"
soon 60 "what is of a later format is left alone" is "False FormatTooNew" condition newer Provisioned
events_of_newer() { sql "SELECT count(*) FROM newer.polylog_events"; }
before=$(events_of_newer)
start_job older newer 'append, Order-2, --expected-version, any, --type, Ordered'
refused_as_too_old() { shop logs job/older --container app 2>/dev/null | grep -q sidecar_too_old; }
soon 60 "a sidecar of the version before appends nothing to it" refused_as_too_old
is "$before" events_of_newer || fail "something was written"
since "rolled back"
