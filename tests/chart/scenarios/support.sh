# What the scenarios on a node have in common: the bed, waiting, the operators.

kubectl() { "$bed/bin/kubectl" --kubeconfig "$bed/kubeconfig" "$@"; }
shop() { kubectl --namespace shop "$@"; }
ops() { kubectl --namespace polylog-system "$@"; }
helm() { command helm --kubeconfig "$bed/kubeconfig" --namespace polylog-system "$@"; }
inside() { "$kube/in" "$bed" "$@"; }
fail() { echo "$*" >&2; exit 1; }

# since <what>: how long it took
began=$SECONDS
since() { echo "   $1: $((SECONDS - began)) s"; began=$SECONDS; }

# soon <seconds> <what is waited for> <command>...
soon() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "not in time: $what: $* ($("$@" 2>&1 | tail -3))"
    sleep 0.1
  done
}

# is <expected> <command>...: whether the command prints that
is() {
  local expected=$1
  shift
  [ "$("$@")" = "$expected" ]
}

# differs <from> <command>...: whether the command prints something, and something else
differs() {
  local from=$1 found
  shift
  found=$("$@") && [ -n "$found" ] && [ "$found" != "$from" ]
}

# image <program>...: each as an image of this version
image() {
  local program
  for program in "$@"; do
    strip --strip-debug -o "$work/$program" "$binaries/$program"
    images/archive --name "ghcr.io/polylog-dev/$program:$version" --output "$work/image.tar" "$work/$program"
    inside ctr --namespace k8s.io images import "$work/image.tar" >/dev/null
  done
}

# of_store <name> <path>: what stands in an EventStore
of_store() { shop get eventstore "$1" --output "jsonpath={$2}"; }
# condition <store> <type>: its status and reason
condition() { of_store "$1" ".status.conditions[?(@.type==\"$2\")]['status', 'reason']"; }

operator_pods() { ops get pods --selector app.kubernetes.io/component=operator --output "jsonpath={.items[*]$1}"; }
# of_operators <metric>: its sum over the operator's processes; fails while one of them does not answer, as one that is ending
of_operators() {
  local address
  for address in $(operator_pods .status.podIP); do
    inside curl --silent --max-time 5 "http://$address:7301/metrics" || exit 1
  done | awk -v metric="$1" 'index($1, metric) == 1 { sum += $2 } END { printf "%d\n", sum }'
}
# count_reconciles: notes how many reconciles were made
count_reconciles() { reconciles=$(of_operators polylog_operator_reconciles_total); }
# reconciled <number>: whether so many reconciles were made, by processes that run now
reconciled() { [ "$(of_operators polylog_operator_reconciles_total)" -ge "$1" ] && [ "$(of_operators polylog_operator_leads)" = 1 ]; }

# kill_containers <container> <namespace>: SIGKILL, from the node
kill_containers() {
  local id killed=0
  local filter="labels.\"io.kubernetes.container.name\"==$1,labels.\"io.kubernetes.pod.namespace\"==$2"
  for id in $(inside ctr --namespace k8s.io containers list --quiet "$filter"); do
    ! inside ctr --namespace k8s.io tasks kill --signal SIGKILL "$id" 2>/dev/null || killed=$((killed + 1))
  done
  [ $killed -gt 0 ] || fail "no container $1 runs in $2"
}

# process <pod> <list of statuses> <container>: its number on the node
process() {
  local id
  id=$(shop get pod "$1" --output "jsonpath={.status.$2[?(@.name==\"$3\")].containerID}")
  inside ctr --namespace k8s.io tasks list | awk -v id="${id#containerd://}" '$1 == id { print $2 }'
}

dump() {
  kubectl get eventstores,pods --all-namespaces --output wide
  kubectl get eventstores --all-namespaces --output yaml | tail -120
  kubectl get events --all-namespaces --sort-by=.lastTimestamp | tail -40
  ops logs --selector app.kubernetes.io/component=operator --tail 40 --prefix
  shop logs --selector app.kubernetes.io/name=polylog-gateway --tail 40 --prefix
  shop logs --selector polylog.dev/eventstore --container polylog --tail 20 --prefix
  told 0 | grep -v ' good ' | tail -40
}
