# What an administrator does with a log, by kubectl and the gateway, once `access` lets the gateway's own account do it.

plugin verify across >"$work/told" 2>&1 && fail "nobody was given that: $(cat "$work/told")"
grep -q access_denied "$work/told" && grep -q polylog-across "$work/told" || fail "without a right: $(cat "$work/told")"
shop patch eventstore across --type merge --patch '{"spec": {"access": [
  {"serviceAccounts": [{"name": "*"}], "verbs": ["append", "read", "subscribe"]},
  {"serviceAccounts": [{"name": "polylog-across"}], "verbs": ["admin"]}]}}' >/dev/null
soon 120 "the right is in force" plugin verify across --no-wait
since "the right to administer a log"

# what the log held before is verified; its application goes on appending
held=$(of_store across .status.position)
plugin verify across --output json >"$work/told" || fail "verify: $(cat "$work/told")"
python3 - "$work/told" "$held" <<'CHECK'
import json, sys
status, held = json.load(open(sys.argv[1])), int(sys.argv[2])
assert held > 0 and status["consistencyPercent"] == "100.00", status
assert all(source["verified"]["through"] >= held for source in status["sources"]), status
assert sorted(source["name"] for source in status["sources"]) == ["ledger", "mirror", "spare"], status
assert all(source["verified"]["answered"] >= 2 for source in status["sources"]), status
CHECK
mark=$(now)
plugin switch across spare | grep -q '^spare is primary of term ' || fail "switch"
application=across soon 30 "the application goes on with another primary" each_told "$(now)" 5 ' good '
[ -z "$(application=across failed "$mark")" ] || fail "requests failed: $(application=across failed "$mark")"
plugin switch across ledger | grep -q '^ledger is primary of term ' || fail "and back"
plugin failover across --stopped spare >"$work/told" 2>&1 && fail "a source that answers is given up"
grep -q 'spare answers' "$work/told" || fail "failover: $(cat "$work/told")"
is '[]' plugin quarantine across --output json || fail "quarantine: $(plugin quarantine across --output json)"
switched() { [ "$(of_store across .status.term)" -ge 3 ]; }
soon 60 "the status tells the term" switched
is ledger of_store across .status.primary || fail "primary: $(of_store across .status.primary)"
since "verified, switched and switched back by kubectl"
