#!/usr/bin/env bash
# The programs as images: the same bytes twice, and at work on a node, as pods that may do nothing.
set -euo pipefail
. tests/lib/tools.sh
need_kube >/dev/null
work=$(mktemp -d)
bed=$(mktemp -u -t polylog-kube-XXXXXX)
trap 'tests/kube/down "$bed"; rm -rf "$work"' EXIT

tests/kube/up --tier node "$bed"
kubectl() { "$bed/bin/kubectl" --kubeconfig "$bed/kubeconfig" "$@"; }
for program in polylog polylog-sidecar polylog-operator; do
  for time in first second; do
    images/archive --name "localhost/$program:test" --output "$work/$program.$time" "$target/release/$program"
  done
  cmp "$work/$program.first" "$work/$program.second"
  tests/kube/in "$bed" ctr --namespace k8s.io images import "$work/$program.first" >/dev/null
  echo "$program: $(stat -c %s "$work/$program.first") bytes, $(gzip -c "$work/$program.first" | wc -c) compressed"
done

kubectl create namespace images
kubectl label namespace images pod-security.kubernetes.io/enforce=restricted
kubectl -n images wait --for=create serviceaccount/default --timeout=30s
kubectl -n images create configmap manifests --from-file examples/payments
kubectl -n images create -f - <<'END'
apiVersion: v1
kind: Pod
metadata: {name: laptop}
spec:
  # a store of its own, as on a laptop, and the command line at it
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  initContainers:
    - name: store
      image: localhost/polylog:test
      imagePullPolicy: Never
      args: [dev, /manifests, --data, /data]
      restartPolicy: Always
      startupProbe: {exec: {command: [polylog, status]}, periodSeconds: 1, failureThreshold: 60}
      volumeMounts: [{name: manifests, mountPath: /manifests}, {name: data, mountPath: /data}]
      securityContext: &nothing {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
  containers:
    - name: append
      image: localhost/polylog:test
      imagePullPolicy: Never
      args: [append, Payment-p1, -e, noStream, -t, PaymentProcessed, -d, '{"amount": "10.00"}']
      securityContext: *nothing
  volumes:
    - {name: manifests, configMap: {name: manifests}}
    - {name: data, emptyDir: {}}
---
apiVersion: v1
kind: Pod
metadata: {name: sidecar}
spec:
  # configured with nothing yet: alive, and not ready
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: sidecar
      image: localhost/polylog-sidecar:test
      imagePullPolicy: Never
      args: [sidecar]
      livenessProbe: &alive {httpGet: {path: /livez, port: 7301}, periodSeconds: 1}
      readinessProbe: *alive
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Pod
metadata: {name: names}
spec:
  # an address that only the cluster's DNS knows
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: status
      image: localhost/polylog:test
      imagePullPolicy: Never
      args: [--url, 'http://kubernetes.default.svc.cluster.local:443', status]
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Pod
metadata: {name: operator}
spec:
  # without an account it finds no cluster, and says so
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: operator
      image: localhost/polylog-operator:test
      imagePullPolicy: Never
      args: [--namespace=ops, --pod=operator, --sidecar-image=localhost/polylog-sidecar:test]
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
END
said() { kubectl -n images describe pod "$1"; kubectl -n images logs "$1" --all-containers; } >&2
kubectl -n images wait --for=jsonpath='{.status.phase}=Succeeded' pod/laptop --timeout=60s || { said laptop; exit 1; }
kubectl -n images logs laptop -c append | grep 'Payment-p1 version 1'
kubectl -n images wait --for=condition=Ready pod/sidecar --timeout=60s || { said sidecar; exit 1; }
kubectl -n images wait --for=jsonpath='{.status.phase}=Failed' pod/names --timeout=60s || { said names; exit 1; }
kubectl -n images logs names | grep 'HTTP request to an HTTPS server'
kubectl -n images wait --for=jsonpath='{.status.phase}=Failed' pod/operator --timeout=60s || { said operator; exit 1; }
kubectl -n images logs operator | grep 'no API server'
