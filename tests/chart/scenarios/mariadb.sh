# The same with MariaDB as the source.

# the server ends with this process, which holds its input open
mkfifo "$work/mariadb.input"
"$binaries/polylog-whole-tests" with-server mariadb -- \
  bash -c 'echo "$POLYLOG_TEST_DATABASE" >"$0.new"; mv "$0.new" "$0"; exec cat' "$work/mariadb" <"$work/mariadb.input" &
exec 8>"$work/mariadb.input"
soon 60 "MariaDB runs" test -s "$work/mariadb"
# mysql://user:password@127.0.0.1:port/database
url=$(cat "$work/mariadb")
mariadb_port=$(sed 's|.*:\([0-9]*\)/.*|\1|' <<<"$url")
"$kube/reach" "$bed" "$mariadb_port"
began=$SECONDS
kubectl apply --filename - <<STORE
apiVersion: v1
kind: Secret
metadata: {name: audit-db, namespace: shop}
stringData: {url: "${url/127.0.0.1/198.19.255.1}"}
---
apiVersion: polylog.dev/v1alpha1
kind: EventStore
metadata: {name: audit, namespace: shop}
spec:
  sources:
    - {name: book, connection: {secretRef: {name: audit-db}, tls: {mode: Disable}}, mysql: {database: "${url##*/}"}}
STORE
shop wait --for=condition=Ready --timeout=120s eventstore/audit
since "EventStore on MariaDB ready after apply"
job audit audit 'append, Audit-1, --expected-version, noStream, --type, Audited'
since "a Job that appends ends"
