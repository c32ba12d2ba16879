#!/usr/bin/env bash
# Writes the figures of benches/results into the book, draws its pictures, and writes the README's table.
#
#   ./benches/publish.sh           from what peers.sh and tests/whole/memory.sh left in benches/results
#   ./benches/publish.sh --check   that book, pictures and README are what benches/figures.json says
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh
need_figures
if [ "${1:-}" = --check ]; then
  "${figures[@]}" check
else
  "${figures[@]}" publish benches/results
fi
