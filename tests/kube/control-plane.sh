# The parts that every cluster has.

start_api_server() {
  local store=http://127.0.0.1:2379 peer=http://127.0.0.1:2380
  start etcd etcd --name=bed --data-dir="$bed/etcd" --listen-client-urls=$store --advertise-client-urls=$store \
    --listen-peer-urls=$peer --initial-advertise-peer-urls=$peer --initial-cluster=bed=$peer \
    --unsafe-no-fsync --log-level=warn
  start kube-apiserver kube-apiserver --etcd-servers=$store --bind-address=0.0.0.0 --secure-port=6443 \
    --advertise-address="$node_address" --service-cluster-ip-range="$service_network" --allow-privileged=true \
    --client-ca-file="$keys/authority.crt" \
    --tls-cert-file="$keys/kube-apiserver.crt" --tls-private-key-file="$keys/kube-apiserver.key" \
    --anonymous-auth=false --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$keys/tokens.pub" --service-account-signing-key-file="$keys/tokens.key" \
    --kubelet-client-certificate="$keys/to-kubelet.crt" --kubelet-client-key="$keys/to-kubelet.key" \
    --kubelet-certificate-authority="$keys/authority.crt" --kubelet-preferred-address-types=InternalIP \
    --enable-aggregator-routing=true --profiling=false
  # a socket with a path is reached from every network namespace: the host's way in
  start api-bridge socat "UNIX-LISTEN:$bed/api.socket,fork,unlink-early" TCP:127.0.0.1:6443,nodelay
  until_ready kube-apiserver 60 from_api_server /readyz
}

start_controllers() {
  # their own limit of 20 calls a second would make their start take seconds
  start kube-controller-manager kube-controller-manager --kubeconfig="$bed/kubeconfigs/kube-controller-manager" \
    --bind-address=127.0.0.1 --leader-elect=false --root-ca-file="$keys/authority.crt" \
    --service-account-private-key-file="$keys/tokens.key" --use-service-account-credentials=true \
    --cluster-signing-cert-file="$keys/authority.crt" --cluster-signing-key-file="$keys/authority.key" \
    --profiling=false --kube-api-qps=500 --kube-api-burst=1000
  start kube-scheduler kube-scheduler --kubeconfig="$bed/kubeconfigs/kube-scheduler" --bind-address=127.0.0.1 \
    --leader-elect=false --profiling=false
}
