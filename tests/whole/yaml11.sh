#!/usr/bin/env bash
# kubectl and Helm read YAML 1.1: what our reader accepts must mean the same to one of those.
set -euo pipefail
. tests/lib/tools.sh
need_python
YAML_AS_JSON=$POLYLOG_TARGET/debug/examples/yaml_as_json "$python_env/bin/python" crds/tests/yaml11.py
