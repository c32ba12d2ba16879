#!/usr/bin/env bash
# Writes the figures of benches/results into the book, draws its pictures, and writes the README's table.
#
#   ./benches/publish.sh           from what peers.sh and tests/whole/memory.sh left in benches/results
#   ./benches/publish.sh --check   that the tables of the book and the README are what benches/figures.json says
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh
if [ "${1:-}" = --check ]; then
  # tables alone: nothing is drawn, so nothing needs installing
  PYTHONPATH=$PWD/benches PYTHONDONTWRITEBYTECODE=1 python3 -m figures check
else
  need_figures
  "${figures[@]}" publish benches/results
fi
