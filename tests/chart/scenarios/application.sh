# Applications: pods whose only program is the polylog command, or one that appends and reads for ever.

# pod <name> <store> <restart policy> <program> <arguments>: the template of a pod with a sidecar
pod() {
  cat <<POD
    metadata: {labels: {app: $1, polylog.dev/eventstore: $2}}
    spec:
      restartPolicy: $3
      terminationGracePeriodSeconds: 2
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: app
          image: ghcr.io/polylog-dev/$4:$version
          args: [$5]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
POD
}

# start_job <name> <store> <arguments of polylog>
start_job() {
  {
    printf 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s, namespace: shop}\nspec:\n  backoffLimit: 0\n  template:\n' "$1"
    pod "$1" "$2" Never polylog "$3"
  } | kubectl apply --filename - >/dev/null
}
# job <name> <store> <arguments of polylog>: and waits for its end
job() {
  start_job "$@"
  shop wait --for=condition=Complete --timeout=120s "job/$1" >/dev/null || fail "Job $1: $(shop logs "job/$1" --all-containers)"
}

# deployment <name> <store> <program> <arguments>: of two pods
deployment() {
  printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: shop}\nspec:\n  replicas: 2\n' "$1"
  printf '  selector: {matchLabels: {app: %s}}\n  template:\n' "$1"
  pod "$1" "$2" Always "$3" "$4"
}

# What the pods of the Deployment $application tell of their requests, as the node keeps it. It needs no API server.
application=checkout
# now: in milliseconds, as they say it
now() { date +%s%3N; }
# told <since>
told() { cut -d' ' -f4- "$bed"/pods/shop_"$application"-*/app/*.log | awk -v since="$1" '$1 > since'; }
# failed <since>: the requests that failed
failed() { told "$1" | grep ' failed ' || true; }
# each_told <since> <lines> <pattern>: whether each of the two pods told so many lines like this
each_told() {
  local log
  for log in "$bed"/pods/shop_"$application"-*/app/0.log; do
    [ "$(cut -d' ' -f4- "$log" | awk -v since="$1" -v pattern="$3" '$1 > since && $0 ~ pattern' | wc -l)" -ge "$2" ] || return 1
  done
}
# go_on <since> <what goes on>: each pod appends and reads 50 times more, and no request of any has failed since
go_on() {
  soon 60 "appends go on $2" each_told "$1" 5 ' good '
  [ -z "$(failed "$1")" ] || fail "requests failed $2: $(failed "$1")"
}
