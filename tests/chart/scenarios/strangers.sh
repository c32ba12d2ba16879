# Who may not reads and appends by no port of a gateway, or of a pod with a sidecar, over HTTP or gRPC; and an application does
# what `access` grants it, and no more. The scenario `gateway` has made the stores and accounts.

# open_ports <pod> <list of statuses> <container>: of its pod, each with who reaches it
open_ports() { inside python3 $scenarios/listeners.py "$(process "$@")" | paste --serial --delimiters ' '; }
# message <text> <text>: what gRPC sends of a request with these two first fields
message() {
  local byte='\\x%02x'
  printf '\0\0\0\0'"$(printf "$byte" $((4 + ${#1} + ${#2})))\\x0a$(printf "$byte" ${#1})%s\\x12$(printf "$byte" ${#2})%s" "$1" "$2"
}
# grpc <address> <method> <text> <text> <curl's arguments>...: the code of its answer
grpc() {
  local code=
  message "$3" "$4" >"$work/message"
  # an answer that comes before everything was sent is sometimes lost to curl
  for _ in {1..30}; do
    code=$(curl_inside --header 'Content-Type: application/grpc' --header 'TE: trailers' --data-binary "@$work/message" \
      --dump-header - --output /dev/null "$1/$2" "${@:5}" | sed -n 's/^grpc-status: \([0-9]*\).*/\1/p') || true
    [ -z "$code" ] || break
    sleep 0.2
  done
  echo "$code"
}
curl_inside() { inside curl --silent --max-time 10 "$@"; }
# gateway_grpc <token> <method> <text> <text>
gateway_grpc() {
  grpc https://polylog-invoices.shop.svc:7300 "$2" "$3" "$4" --http2 --cacert "$work/gateway-ca.crt" \
    --resolve "polylog-invoices.shop.svc:7300:$gateway" --header "Authorization: Bearer $1"
}
pod_of() { shop get pods --selector "$1" --output 'jsonpath={.items[0].metadata.name}'; }
address_of() { shop get pod "$1" --output 'jsonpath={.status.podIP}'; }

read=polylog.v1.Events/ReadStream
permission_denied=7 unauthenticated=16
is 0 gateway_grpc "$(token reports granted polylog)" $read invoices Invoice-granted || fail "one who is granted it, over gRPC"
is $permission_denied gateway_grpc "$strange" $read invoices Invoice-granted || fail "a stranger reads over gRPC"
is $unauthenticated gateway_grpc none $read invoices Invoice-granted || fail "somebody without a token reads over gRPC"

# every port that there is, of all that could be reached
served=$(pod_of app.kubernetes.io/name=polylog-gateway,app.kubernetes.io/instance=invoices)
is "any 7300 any 7301" open_ports "$served" containerStatuses gateway || fail "the gateway's ports: $(open_ports "$served" containerStatuses gateway)"
beside=$(pod_of app=checkout)
is "any 7301 loopback 7300" open_ports "$beside" initContainerStatuses polylog ||
  fail "ports of a pod with a sidecar: $(open_ports "$beside" initContainerStatuses polylog)"
for pod in "$served" "$beside"; do
  for path in /v1/streams/Invoice-granted /v1/stores/invoices/log /v1/stores /polylog.v1.Events/ReadStream; do
    is 404 curl_inside --output /dev/null --write-out '%{http_code}' "http://$(address_of "$pod"):7301$path" || fail "$pod: the port of metrics answers $path"
  done
  ! curl_inside --output /dev/null "http://$(address_of "$pod"):7300/v1/stores" || fail "$pod answers others in the clear"
done
since "nothing to be had by any port"

# as a process of the application, which is on its pod's loopback
sidecar_pid=$(process "$beside" initContainerStatuses polylog)
as_application() { inside nsenter --net="/proc/$sidecar_pid/ns/net" curl --silent --max-time 10 "$@"; }
status_of() { as_application --output "$work/answer" --write-out '%{http_code}' "$@"; }
local=http://127.0.0.1:7300
is 200 status_of $local/v1/streams/Payment-p1 || fail "an application reads its log: $(cat "$work/answer")"
is 403 status_of $local/v1/streams/%24config || fail "an application reads the log's own events: $(cat "$work/answer")"
is 403 status_of $local/v1/streams/%24policy || fail "an application reads the log's own events: $(cat "$work/answer")"
curl_inside() { as_application "$@"; }
is 0 grpc $local $read payments Payment-p1 --http2-prior-knowledge || fail "an application reads over gRPC"
is $permission_denied grpc $local $read payments '$config' --http2-prior-knowledge || fail "an application reads the log's own events over gRPC"
is $permission_denied grpc $local polylog.admin.v1.Admin/GetStatus payments '' --http2-prior-knowledge || fail "an application administrates over gRPC"
# `orders` grants one category
start_job beyond orders 'append, Payment-1, --expected-version, any, --type, Paid'
shop wait --for=condition=Failed --timeout=60s job/beyond >/dev/null
shop logs job/beyond --container app >"$work/told"
grep -q access_denied "$work/told" || fail "beyond what is granted: $(cat "$work/told")"
is 0 sql "SELECT count(*) FROM orders.polylog_events WHERE category = 'Payment'" || fail "it was written"
since "an application does no more than it may"
