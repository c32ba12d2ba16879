#!/usr/bin/env bash
# Resident memory of `polylog dev` and of the roles of a cluster: idle, and while 128 clients append and 100 subscribers
# follow, one of them stalled.
#
#   tests/whole/memory.sh release            of the build that the other tests use, which has more code
#   tests/whole/memory.sh shipped [folder]   of the binaries as they are shipped; leaves the figures there, as JSON
# shellcheck disable=SC2086  # the arguments of a role are several
set -euo pipefail
. tests/lib/tools.sh
need_postgres
case $1 in
  release) binaries=$target/release more=4 ;;
  shipped) need_shipped_binaries; binaries=$shipped more=0 ;;
esac
figures=${2:+--figures=$2}
for role in "--idle=$((26 + more))" "--role=sidecar --idle=$((27 + more))" "--role=gateway --idle=$((27 + more))"; do
  echo "$role"
  polylog-whole-tests memory --binary "$binaries/polylog" --role-binary "$binaries/polylog-sidecar" $role $figures
done
