#!/usr/bin/env bash
# Resident memory: idle, and while 128 clients append and 100 subscribers follow, one of them stalled.
set -euo pipefail
polylog-whole-tests memory
