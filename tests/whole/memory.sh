#!/usr/bin/env bash
# Resident memory of the shipped binary: idle, and while 128 clients append and 100 subscribers follow, one of them
# stalled.
set -euo pipefail
. tests/lib/tools.sh
need_shipped_binary
polylog-whole-tests memory --binary "$shipped"
