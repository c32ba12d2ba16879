# PostgreSQL outside the cluster; pods find it at 198.19.255.1. Administrators come through its socket, others have passwords.

install_database() {
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  chmod 755 "$work"
  install --directory --owner postgres "$work/data"
  as_postgres initdb --pgdata "$work/data" --encoding UTF8 --locale C.UTF-8 --auth-local trust --auth-host scram-sha-256 --no-sync >/dev/null
  start_database
  as_postgres createdb --host "$work/data" --port "$port" payments
  sql "CREATE ROLE ledger_one LOGIN PASSWORD 'one'; GRANT CREATE ON DATABASE payments TO ledger_one"
}

as_postgres() {
  local program=$1
  shift
  runuser -u postgres -- "$postgres/$program" "$@"
}
database() { as_postgres pg_ctl --pgdata "$work/data" --silent --wait "$@"; }
start_database() {
  database start --options "-c port=$port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$work/data" >/dev/null
}

psql() { as_postgres psql --host "$work/data" --port "$port" --quiet --no-align --tuples-only payments "$@"; }
sql() { psql --command "$1"; }
# address <role> <password>
address() { echo "postgres://$1:$2@198.19.255.1:$port/payments"; }
# sessions <role>: how many it has
sessions() { sql "SELECT count(*) FROM pg_stat_activity WHERE usename = '$1'"; }
