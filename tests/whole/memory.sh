#!/usr/bin/env bash
# Resident memory of the shipped binaries, `polylog dev` and the roles of a cluster: idle, and while 128 clients append
# and 100 subscribers follow, one of them stalled.
#
#   tests/whole/memory.sh [folder for the figures, as JSON]
# shellcheck disable=SC2086  # the arguments of a role are several
set -euo pipefail
. tests/lib/tools.sh
need_postgres
need_shipped_binaries
figures=${1:+--figures=$1}
for role in "" "--role=sidecar --idle=25" "--role=gateway --idle=25"; do
  echo "${role:-dev}"
  polylog-whole-tests memory --binary "$shipped/polylog" --role-binary "$shipped/polylog-sidecar" $role $figures
done
