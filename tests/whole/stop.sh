#!/usr/bin/env bash
# SIGSTOP of one of two sidecars in the middle of an append, $1 times each at the worst moments and at random ones.
set -euo pipefail
for engine in postgres mariadb; do
  polylog-whole-tests stop --engine "$engine" --rounds "$1"
done
