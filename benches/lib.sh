# What the benchmarks need beyond what the tests need: see tests/lib/tools.sh.
. tests/lib/tools.sh

message_db=1.3.1 umadb=0.7.8

# message-db (npm) in $peers/npm, UmaDB (PyPI) in $peers/python
need_peers() {
  peers=$cache/peers-$message_db-$umadb
  [ -e "$peers/ready" ] && return
  need_debian npm npm
  need_debian python3 python3
  rm -rf "$peers"
  npm install --silent --no-audit --no-fund --prefix "$peers/npm" "@eventide/message-db@$message_db" >&2
  python3 -m venv "$peers/python"
  "$peers/python/bin/pip" install --quiet --disable-pip-version-check "umadb==$umadb" >&2
  touch "$peers/ready"
}

# What draws and writes the figures; the command is $figures
need_figures() {
  python_environment benches/figures/requirements.txt figures
  figures=("$environment/bin/python" -m figures)
  export PYTHONPATH=$PWD/benches PYTHONDONTWRITEBYTECODE=1
}
