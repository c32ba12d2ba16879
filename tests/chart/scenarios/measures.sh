# What injection costs. Figures of a machine that does other things too: judged only so far as something is broken.

python3 $scenarios/creations.py pairs "$bed/kubeconfig" 100

# process <pod> <list of statuses> <container>: its number on the node
process() {
  local id
  id=$(shop get pod "$1" --output "jsonpath={.status.$2[?(@.name==\"$3\")].containerID}")
  inside ctr --namespace k8s.io tasks list | awk -v id="${id#containerd://}" '$1 == id { print $2 }'
}
for pod in $(shop get pods --selector 'app in (follow, checkout)' --output 'jsonpath={.items[*].metadata.name}'); do
  inside python3 $scenarios/starts.py "$pod" "$(process "$pod" initContainerStatuses polylog)" \
    "$(process "$pod" containerStatuses app)" "$(shop logs "$pod" --container polylog | grep -m 1 '"event":"serving"')"
done
since "measures"
