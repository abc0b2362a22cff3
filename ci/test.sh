#!/usr/bin/env bash
# Set everything up and run every check of the project: lint, format, types, import floors,
# tests. Arguments go to pytest. All checks run; the exit status is that of the first to fail.
set -euo pipefail

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${IPVLAB_VENV:-$project/.venv}"
cd "$project"
ci/setup.sh test

status=0
check() {
  printf '\n== %s\n' "$1"
  shift
  "$@" || { local code=$?; [ "$status" -ne 0 ] || status=$code; }
}

# The tests build namespaces, which needs root; the other checks do not.
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

bin="$venv/bin"
check "ruff check" "$bin/ruff" check .
check "ruff format" "$bin/ruff" format --check .
check "mypy --strict" "$bin/python" -m mypy
check "import floors" "$bin/lint-imports"
check "pytest" as_root "$bin/python" -m pytest -n auto "$@"
if [ "$status" -ne 0 ]; then
  printf 'a check failed; the headings above say which\n' >&2
fi
exit "$status"
