# A node: its container runtime, kubelet, kube-proxy, and the cluster's DNS.

# Started first, since it is ready while the API server still starts.
start_runtime() {
  [ -x /usr/lib/cni/bridge ] || { echo "missing: /usr/lib/cni/bridge (containernetworking-plugins)" >&2; return 1; }
  private_folders
  control_groups
  mkdir -p "$bed/networks" "$bed/containerd" "$bed/kubelet"
  cat >"$bed/networks/10-bed.conflist" <<END
{"cniVersion": "0.4.0", "name": "bed", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "isDefaultGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/var/lib/cni/networks", "ranges": [[{"subnet": "$pod_network"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
  cat >"$bed/containerd.toml" <<END
version = 2
root = "$bed/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$bed/networks"
END
  start containerd containerd --config "$bed/containerd.toml"
  {
    until_ready containerd 60 ctr version
    ctr --namespace k8s.io images import "$bed/bin/pause.tar"
  } >>"$bed/log/images" &
  images=$!
}

# What kubelet, containerd and the CNI plugins write outside the folders that they are told.
private_folders() {
  mount --make-rshared /
  # a new view of /sys, so that it shows this network's devices; control groups stay as they are
  mkdir "$bed/control-groups"
  mount --rbind /sys/fs/cgroup "$bed/control-groups"
  mount -t sysfs sysfs /sys
  mount --rbind "$bed/control-groups" /sys/fs/cgroup
  mount -t tmpfs tmpfs /run
  mkdir -p /run/lock /run/netns
  # the host does not see what is made in these
  mkdir "$bed/overlay"
  mount -t tmpfs tmpfs "$bed/overlay"
  local folder
  for folder in /var/lib /var/log; do
    mkdir -p "$bed/overlay$folder" "$bed/overlay/work$folder"
    mount -t overlay -o "lowerdir=$folder,upperdir=$bed/overlay$folder,workdir=$bed/overlay/work$folder" overlay $folder
  done
  mkdir -p /var/lib/cni /var/lib/kubelet /var/log/containers
}

control_groups() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo "a bed's node needs a machine with control groups of version 1 (this one has version 2)" >&2
    return 1
  fi
  local hierarchy file
  for hierarchy in /sys/fs/cgroup/*; do mkdir -p "$hierarchy$cgroup" 2>/dev/null || true; done
  # a new group has no processors and no memory, and no process can join it until it has
  for file in cpuset.cpus cpuset.mems; do
    cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset$cgroup/$file"
  done
}

start_node() {
  cat >"$bed/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_address
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $keys/authority.crt}}
authorization: {mode: Webhook}
tlsCertFile: $keys/kubelet-server.crt
tlsPrivateKeyFile: $keys/kubelet-server.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: $cgroup
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
makeIPTablesUtilChains: false
clusterDomain: cluster.local
clusterDNS: [$node_address]
resolvConf: ""
podLogsDir: $bed/pods
volumePluginDir: $bed/kubelet/volume-plugins
syncFrequency: 5s # mounted Secrets follow within seconds, not a minute
imageGCHighThresholdPercent: 100
imageMaximumGCAge: 0s
evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%, imagefs.inodesFree: 0%}
END
  wait "$images"
  start kubelet kubelet --config="$bed/kubelet.yaml" --kubeconfig="$bed/kubeconfigs/kubelet" --root-dir="$bed/kubelet" \
    --hostname-override="$node" --node-ip="$node_address"
  start kube-proxy kube-proxy --kubeconfig="$bed/kubeconfigs/kube-proxy" --hostname-override="$node" \
    --proxy-mode=nftables --cluster-cidr="$pod_network" --conntrack-max-per-core=0 \
    --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s
  start_dns
  until_ready kubelet 90 as_admin wait --for=condition=Ready "node/$node" --timeout=1s
}

start_dns() {
  cat >"$bed/Corefile" <<END
.:53 {
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local {
    kubeconfig $bed/kubeconfigs/dns bed
  }
}
END
  as_admin apply -f - >/dev/null <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bed-dns}
rules:
  - {apiGroups: [""], resources: [services, namespaces, pods], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bed-dns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bed-dns}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:dns"}]
END
  start dns dns -conf "$bed/Corefile"
  until_ready dns 60 curl --silent --fail http://127.0.0.1:8181/ready
}

as_admin() { kubectl --kubeconfig="$bed/kubeconfigs/admin" "$@"; }
