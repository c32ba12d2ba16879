# What the scripts of the Kubernetes test bed have in common.
set -euo pipefail
# also for a caller without any environment
export PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin}:/usr/sbin:/sbin:/usr/local/go/bin
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy
scripts=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

node=node
# Addresses of benchmark networks (RFC 2544), which exist only in a bed's own network namespace.
pod_network=198.18.0.0/24
service_network=198.19.0.0/20
api_service=198.19.0.1
node_address=198.19.255.1

# A bed is a folder. use_bed <folder>: its paths, absolute since commands change their folder.
use_bed() {
  bed=$(readlink -f "$1")
  keys=$bed/certificates
  # pods live in a cgroup that is named after the bed
  cgroup=/polylog-$(basename "$bed")
}

# The number of process 1 of the bed, as this side sees it
process_1() {
  local outer children
  outer=$(cat "$bed/outer.pid")
  children=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null) || true
  children=${children%% *}
  [ -n "$children" ] || { echo "the bed $bed is not running" >&2; return 1; }
  echo "$children"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# on_host_in_bed <command>...: starts it on the host's network, as a process of the bed, with which it ends
on_host_in_bed() {
  local first
  first=$(process_1)
  setsid nsenter --target "$first" --pid "$@" </dev/null >>"$bed/log/host" 2>&1 &
  disown
}

# in_bed <command>...: runs it inside, in the same folder
in_bed() {
  local first
  first=$(process_1)
  nsenter --target "$first" --mount --net --uts --ipc --pid --wdns="$PWD" -- "$@"
}
