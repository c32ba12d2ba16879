# What injection costs. Figures of a machine that does other things too: judged only so far as something is broken.

python3 $scenarios/creations.py pairs "$bed/kubeconfig" 100

for pod in $(shop get pods --selector 'app in (follow, checkout)' --output 'jsonpath={.items[*].metadata.name}'); do
  inside python3 $scenarios/starts.py "$pod" "$(process "$pod" initContainerStatuses polylog)" \
    "$(process "$pod" containerStatuses app)" "$(shop logs "$pod" --container polylog | grep -m 1 '"event":"serving"')"
done
since "measures"
