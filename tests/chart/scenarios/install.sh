# An installation from nothing: an EventStore is ready, and its pods append, read and follow.

# the database is looked at every 5 s, and the webhook's authority is replaced every 40 s
values=(--set operator.driftSeconds=5)
values+=(--set webhook.authoritySeconds=60 --set webhook.certificateSeconds=30 --set webhook.overlapSeconds=3)
helm install polylog charts/polylog --create-namespace --wait --timeout 3m "${values[@]}" >/dev/null
since "helm install --wait"
helm test polylog --timeout 2m >"$work/tested" || fail "$(cat "$work/tested")"
since "helm test"

kubectl create namespace shop
shop create rolebinding polylog-secret-reader \
  --clusterrole=polylog-secret-reader --serviceaccount=polylog-system:polylog-operator
kubectl label namespace shop pod-security.kubernetes.io/enforce=restricted >/dev/null
mkdir "$work/payments"
sed "s|postgres://.*|$(address ledger_one one)|" examples/payments/secret.yaml >"$work/payments/secret.yaml"
sed "s|name: ledger-db|&\n        tls: {mode: Disable}|" examples/payments/store.yaml >"$work/payments/store.yaml"
cp examples/payments/schemas.yaml "$work/payments"
since "a namespace"

applied=$(now)
shop apply --filename "$work/payments"
shop wait --for=condition=Ready --timeout=120s eventstore/payments
echo "   EventStore ready $(($(now) - applied)) ms after apply"
since "an EventStore"
job append payments 'append, Payment-p1, --expected-version, noStream, --type, PaymentProcessed, --data, "{\"amount\":\"100.00\",\"currency\":\"EUR\"}"'
since "a Job that appends ends"
deployment follow payments polylog 'tail, --from, beginning' | kubectl apply --filename -
deployment checkout payments polylog-whole-tests steady | kubectl apply --filename -
shop expose deployment checkout --port 80
for name in follow checkout; do shop rollout status --timeout=120s "deployment/$name"; done
follows() { shop logs deployment/follow --container app | grep -q PaymentProcessed; }
soon 60 "the event is followed" follows
since "Deployments follow and append"
go_on 0 "after an installation"
mark=$(shop get pods --selector app=follow --output 'jsonpath={.items[0].metadata.annotations.polylog\.dev/injected}')
[[ $mark == "$version"/* ]] || fail "mark: $mark"
