# The end of what the scenario `webhook` began.

soon 120 "another authority is trusted, and the first one no more" trusts_no_more "$first_authority"
echo "   authority replaced after at most $((($(now) - began_load) / 1000)) s"
kill "$load"
wait "$load" || fail "pods were refused or had no sidecar: $(cat "$work/creations")"
load=
cat "$work/creations"
since "the webhook's authority is replaced"
