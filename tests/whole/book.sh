#!/usr/bin/env bash
# The book builds, and none of its links to its own pages is dead.
set -euo pipefail
. tests/lib/tools.sh
need_cargo_tool mdbook 0.5.4
"$tools/mdbook" build docs --dest-dir "$POLYLOG_TARGET/book"
python3 tests/lib/links.py README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md docs examples
