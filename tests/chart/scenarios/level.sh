# Some time after the outage: the log over several databases is whole in each of them, with everything that was acknowledged.

is_level() { is "InSync InSync InSync" of_store across '.status.sources[*].state' && is "True InSync" condition across Replicating; }
soon 90 "the status tells that it came back" is_level
application=across go_on "$back" "after PostgreSQL came back"
plugin status across >"$work/told"
grep -q 'ledger.* InSync ' "$work/told" || fail "kubectl polylog status: $(cat "$work/told")"
is "0 0" shop get pods --selector app=across --output 'jsonpath={.items[*].status.containerStatuses[0].restartCount}' ||
  fail "an application has found an event lost or doubled: $(shop logs --selector app=across --container app --previous)"
# the last version that each application was told is written; each has a stream of its own
acknowledged=$(for log in "$bed"/pods/shop_across-*/app/0.log; do sed -n 's/.* good //p' "$log" | tail -1; done | sort -n)
shop scale deployment across --replicas 0 >/dev/null
shop wait --for=delete --timeout=60s pod --selector app=across >/dev/null

# events <source>: everything, in the words of its database
events() {
  case $1 in
    ledger) sql "SELECT position || ' ' || stream || ' ' || version || ' ' || upper(replace(id::text, '-', '') || ' ' || encode(digest, 'hex')) FROM across.polylog_events ORDER BY position" ;;
    *) mariadb_sql "SELECT concat_ws(' ', position, stream, version, hex(id), hex(digest)) FROM across_$1.polylog_events ORDER BY position" ;;
  esac
}
mariadb_sql() { MYSQL_PWD=secret mariadb --no-defaults --host 127.0.0.1 --port "$mariadb_port" --user root --skip-column-names --batch --execute "$1"; }
are_alike() {
  local source
  for source in ledger mirror spare; do events $source >"$work/events-$source"; done
  cmp "$work/events-ledger" "$work/events-mirror" && cmp "$work/events-ledger" "$work/events-spare"
}
soon 60 "three databases hold the same events" are_alike
awk '$1 != NR { exit 1 }' "$work/events-mirror" || fail "a hole among the positions"
grep ' Payment-' "$work/events-mirror" | sort --key=2,2 --key=3,3n | awk '$2 != stream { stream = $2; version = 0 } $3 != ++version { exit 1 }' || fail "a hole in a stream"
[ "$(grep ' Payment-' "$work/events-mirror" | cut -d' ' -f4 | sort | uniq -d)" = "" ] || fail "an event stands twice"
written=$(awk '/ Payment-/ { last[$2] = $3 } END { for (stream in last) print last[stream] }' "$work/events-mirror" | sort -n)
paste <(echo "$acknowledged") <(echo "$written") | awk '$2 < $1 || NF != 2 { exit 1 }' || fail "acknowledged were versions up to $acknowledged, written up to $written"
echo "   $(wc -l <"$work/events-mirror") events are the same in three databases, with those that were acknowledged"
since "a log over several databases is whole in each"
