# With `delivery: Gateway` pods append and read without any Secret; pods of other namespaces do where both sides want it, and are
# refused at every port where not; a gateway that is killed under load is back without an event that is lost or doubled.

# behind_gateway <namespace> <name> [<more of its spec>]: of the same database, in a schema of its own
behind_gateway() {
  cat <<STORE
apiVersion: v1
kind: Secret
metadata: {name: $2-db, namespace: $1}
stringData: {url: "$(address ledger_three three)"}
---
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: $2, namespace: $1}
spec:
  delivery: Gateway
  ${3:-}
  sources:
    - {name: ledger, connection: {secretRef: {name: $2-db}, tls: {mode: Disable}}, postgres: {schema: $2}}
---
STORE
}
# call <name> <account> <annotations>: a Job of the namespace `reports` that appends to `shop/invoices`
call() {
  printf -- '---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: %s, namespace: reports}\nspec:\n  backoffLimit: 0\n  template:\n' "$1"
  pod "$1" own Never polylog 'append, "Invoice-'"$1"'", --store, shop/invoices, --expected-version, noStream, --type, Billed, --data, "1"' |
    sed "s|^    metadata: {|&annotations: {$3}, |; s|^    spec:|&\n      serviceAccountName: $2|"
}
# bare <name> <ConfigMap with the authority> <audience>: a Job whose pod has no sidecar, and goes to the gateway by itself
bare() {
  cat <<JOB
---
apiVersion: batch/v1
kind: Job
metadata: {name: $1, namespace: shop}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: app
          image: ghcr.io/polylog-dev/polylog:$version
          args: [append, Bill-$1, --url, "https://polylog-invoices.shop.svc:7300", --ca, /from/gateway-ca.crt, --token-file, /from/token,
                 --store, invoices, --expected-version, noStream, --type, Billed, --data, "1"]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: from, mountPath: /from}]
      volumes:
        - name: from
          projected:
            sources:
              - configMap: {name: $2, items: [{key: gateway-ca.crt, path: gateway-ca.crt}]}
              - serviceAccountToken: {path: token, audience: $3}
JOB
}
reports() { kubectl --namespace reports "$@"; }
# refused <job> <code>: whether it ended so
refused() { reports logs "job/$1" --container app 2>/dev/null | grep -q "$2"; }
# mounted_secrets <app>: those in its pods' volumes
mounted_secrets() {
  shop get pods --selector "app=$1" --output 'jsonpath={.items[*].spec.volumes[*].projected.sources[*].secret.name}{.items[*].spec.volumes[*].secret.secretName}'
}
# token <namespace> <account> <audience>
token() { kubectl --namespace "$1" create token "$2" --audience "$3" --duration 10m; }
# answered <token> <path> <curl's arguments>...: the status by which the gateway's port for other pods answers
answered() {
  inside curl --silent --max-time 10 --output "$work/answer" --write-out '%{http_code}' --cacert "$work/gateway-ca.crt" \
    --resolve "polylog-invoices.shop.svc:7300:$gateway" --header "Authorization: Bearer $1" "https://polylog-invoices.shop.svc:7300$2" "${@:3}"
}

mark=$(now)
sql "CREATE ROLE ledger_three LOGIN PASSWORD 'three' IN ROLE ledger_one"
kubectl create namespace reports
for account in granted stranger; do reports create serviceaccount $account; done
reports create rolebinding polylog-secret-reader \
  --clusterrole=polylog-secret-reader --serviceaccount=polylog-system:polylog-operator
{
  behind_gateway reports own
  behind_gateway shop invoices 'access: [{serviceAccounts: [{name: "*"}, {namespace: reports, name: granted}], verbs: [append, read]}]'
} | kubectl apply --filename - >/dev/null
shop wait --for=condition=Ready --timeout=120s eventstore/invoices
reports wait --for=condition=Ready --timeout=120s eventstore/own
soon 30 "it is told who vouches for the gateway" differs "" of_store invoices .status.gatewayAuthority
since "EventStores behind their gateways ready after apply"

deployment forward invoices polylog-whole-tests steady | kubectl apply --filename -
kubectl config view --raw --output 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 --decode >"$work/another.crt"
shop create configmap another-authority --from-file "gateway-ca.crt=$work/another.crt" >/dev/null
{
  call granted granted 'polylog.dev/more-eventstores: shop/invoices'
  call stranger stranger 'polylog.dev/more-eventstores: shop/invoices'
  call unasked granted ''
  bare bare polylog-invoices polylog
  bare elsewhere polylog-invoices elsewhere
  bare mistrusts another-authority polylog
} | kubectl apply --filename - >/dev/null
shop rollout status --timeout=120s deployment/forward
application=forward go_on 0 "without a Secret"
is "" mounted_secrets forward || fail "pods with delivery Gateway mount $(mounted_secrets forward)"
differs "" mounted_secrets checkout || fail "no Secret is seen in pods with delivery Direct either"
since "pods without a Secret append and read"

reports wait --for=condition=Complete --timeout=60s job/granted >/dev/null || fail "a pod that is granted it: $(reports logs job/granted --container app)"
soon 60 "a pod that is not granted it is refused" refused stranger access_denied
soon 60 "a pod that does not ask for it has no way there" refused unasked store_not_found
shop wait --for=condition=Complete --timeout=60s job/bare >/dev/null || fail "a pod without a sidecar: $(shop logs job/bare)"
bare_is() { shop logs "job/$1" 2>/dev/null | grep -q "$2"; }
soon 60 "a token for somebody else is refused" bare_is elsewhere unauthenticated
soon 60 "a gateway that another authority vouches for is not talked to" bare_is mistrusts UnknownIssuer
is "bare" sql "SELECT string_agg(substr(stream, 6), ',') FROM invoices.polylog_events WHERE category = 'Bill'" || fail "who has appended"
is "1" sql "SELECT count(*) FROM invoices.polylog_events WHERE category = 'Invoice'" || fail "somebody who may not has appended"
gateway=$(shop get service polylog-invoices --output 'jsonpath={.spec.clusterIP}')
shop get configmap polylog-invoices --output 'jsonpath={.data.gateway-ca\.crt}' >"$work/gateway-ca.crt"
# the one in a pod of the application, as it was mounted there
pod=$(shop get pods --selector app=forward --output 'jsonpath={.items[0].metadata.name}')
sidecar=/proc/$(process "$pod" initContainerStatuses polylog)/root # its files, as it sees them
projected=$(inside cat "$sidecar/var/run/polylog/token")
stream=/v1/streams/Invoice-granted
is 200 answered "$projected" $stream || fail "a projected token: $(cat "$work/answer")"
is 200 answered "$(token reports granted polylog)" $stream || fail "a token of one who is granted it: $(cat "$work/answer")"
is 401 answered "$(token reports granted other)" $stream || fail "another audience's token: $(cat "$work/answer")"
is 401 answered none $stream || fail "no token: $(cat "$work/answer")"
strange=$(token reports stranger polylog)
is 403 answered "$strange" $stream || fail "a stranger reads: $(cat "$work/answer")"
is 403 answered "$strange" $stream --json '{"expectedVersion": "any", "events": [{"type": "Billed", "data": 1}]}' || fail "a stranger appends: $(cat "$work/answer")"
is 404 inside curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' "http://$gateway:7301$stream" ||
  fail "the port of metrics answers for the log"
since "of another namespace, granted or refused"

began_kill=$(now)
kill_containers gateway shop
killed() { differs 0 shop get pods --selector app.kubernetes.io/name=polylog-gateway,app.kubernetes.io/instance=invoices --output 'jsonpath={.items[0].status.containerStatuses[0].restartCount}'; }
soon 60 "the gateway is back" killed
application=forward soon 60 "appends go on" each_told "$(now)" 2 ' good '
application=forward failed "$began_kill" >"$work/failed"
others=$(grep -v -e ' 503 source_unavailable$' -e ' append 504 outcome_unknown$' "$work/failed" || true)
[ -z "$others" ] || fail "other answers while the gateway is away: $others"
# an application that finds an event lost or doubled ends
is "0 0" shop get pods --selector app=forward --output 'jsonpath={.items[*].status.containerStatuses[0].restartCount}' || fail "$(shop logs --selector app=forward --container app --previous)"
is "" sql "SELECT stream FROM invoices.polylog_events GROUP BY stream HAVING count(*) <> max(version) OR count(*) <> count(DISTINCT id)" || fail "an event is missing or stands twice"
echo "   $(wc -l <"$work/failed") requests failed with their code meanwhile"
go_on "$mark" "of pods with delivery Direct, whatever becomes of gateways"
shop delete deployment forward --wait=false >/dev/null
since "the gateway killed under load"
