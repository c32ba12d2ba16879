# From here to the scenario `rotated` pods are made all the time, and none is refused: not while the operator's processes are
# replaced, nor while the webhook's certificates are.

trusted() { kubectl get mutatingwebhookconfiguration --output 'jsonpath={.items[0].webhooks[0].clientConfig.caBundle}' | base64 -d; }
# trusts_no_more <authorities>: whether none of them is trusted any more
trusts_no_more() {
  local certificates
  certificates=$(trusted)
  [ -n "$certificates" ] && [[ "$certificates" != *"$(sed -n 2p <<<"$1")"* ]]
}
first_authority=$(trusted)
python3 $scenarios/creations.py load "$bed/kubeconfig" >"$work/creations" 2>&1 &
load=$!
began_load=$(now)
helm upgrade polylog charts/polylog --reuse-values --set operator.podAnnotations.upgraded=yes --wait --timeout 2m >/dev/null
since "helm upgrade --wait"
