# A log over PostgreSQL, which is its primary, and two databases of MariaDB. What becomes of it without PostgreSQL is looked at in
# the scenario `outage`.

# of_source <source> <field>: what the status says of it
of_source() { of_store across ".status.sources[?(@.name==\"$1\")].$2"; }
# plugin <arguments>...: as kubectl polylog
plugin() { PATH=$bed/bin:$PATH "$binaries/polylog" kube "$@" --kubeconfig "$bed/kubeconfig" --namespace shop; }
sql "CREATE ROLE ledger_across LOGIN PASSWORD 'across' IN ROLE ledger_one"
mariadb_at=${url/127.0.0.1/198.19.255.1}
mariadb_at=${mariadb_at%/*}
kubectl apply --filename - <<STORE
apiVersion: v1
kind: Secret
metadata: {name: across-db, namespace: shop}
stringData: {ledger: "$(address ledger_across across)", mirror: "$mariadb_at/across_mirror", spare: "$mariadb_at/across_spare"}
---
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: across, namespace: shop}
spec:
  strategyRef: {name: across}
  sources:
    - {name: ledger, connection: {secretRef: {name: across-db, key: ledger}, tls: {mode: Disable}}, postgres: {schema: across}}
    - {name: mirror, connection: {secretRef: {name: across-db, key: mirror}, tls: {mode: Disable}}, mysql: {database: across_mirror}}
    - {name: spare, connection: {secretRef: {name: across-db, key: spare}, tls: {mode: Disable}}, mysql: {database: across_spare}}
---
apiVersion: polylog.dev/v1alpha1
kind: ReplicationStrategy
metadata: {name: across, namespace: shop}
spec: {type: Priority, acks: Majority, failover: {mode: Automatic, after: 2s}}
STORE
shop wait --for=condition=Ready --timeout=120s eventstore/across
is ledger of_store across .status.primary || fail "its primary: $(of_store across .status.primary)"
since "EventStore over three databases ready after apply"
deployment across across polylog-whole-tests steady | kubectl apply --filename -
shop rollout status --timeout=120s deployment/across
application=across go_on 0 "over three databases"
since "its application appends and reads"
