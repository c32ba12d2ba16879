# The database's password is rotated as the book says: the new one is taken beside the old one, the Secret changes, and the old
# one ends once nobody uses it. No request fails.

mark=$(now)
sql "CREATE ROLE ledger_two LOGIN PASSWORD 'two' IN ROLE ledger_one"
shop patch secret ledger-db --patch "{\"stringData\": {\"url\": \"$(address ledger_two two)\"}}" >/dev/null
# two applications of two pods, and the gateway; the operator comes and goes
soon 120 "the new password is used, and the old one no more" is "0 true" \
  sql "SELECT count(*) FILTER (WHERE usename = 'ledger_one') || ' ' || (count(*) FILTER (WHERE usename = 'ledger_two') >= 5)::text
       FROM pg_stat_activity WHERE usename LIKE 'ledger%'"
sql "ALTER ROLE ledger_one NOLOGIN"
since "the new password is in use"
go_on "$mark" "while the password is rotated"
# the operator looks at the database again
soon 30 "every operator answers" count_reconciles
soon 30 "the operator looks at the database" reconciled $((reconciles + 3))
is "True Accepted" condition payments CredentialsValid || fail "the operator: $(condition payments CredentialsValid)"
since "the old one is of no use"
