#!/usr/bin/env bash
# No banned crate, no licence that is not allowed, nothing from outside the registry.
set -euo pipefail
. tests/lib/tools.sh
need_cargo_tool cargo-deny 0.20.2
"$tools/cargo-deny" --all-features check bans licenses sources
