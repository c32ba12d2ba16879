#!/usr/bin/env bash
# kill -9 of the sidecar at random moments, under load: $1 times.
set -euo pipefail
polylog-whole-tests kill --rounds "$1"
