#!/usr/bin/env bash
# Set everything up and run every check of the project: lint, format, types, import floors, shell
# scripts and files of CI, the scenarios on real ipvlan in a guest (IPVLAB_NO_GUEST=1 leaves it out),
# tests. Arguments go to pytest. All checks run; the exit status is that of the first to fail.
set -euo pipefail

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${IPVLAB_VENV:-$project/.venv}"
cd "$project"
ci/setup.sh test

status=0
failed=()
check() {
  local name="$1" code=0
  shift
  printf '\n== %s\n' "$name"
  "$@" || code=$?
  if [ "$code" -ne 0 ]; then
    failed+=("$name")
    [ "$status" -ne 0 ] || status=$code
  fi
}

# The tests build namespaces, which needs root; the other checks do not.
# shellcheck disable=SC2329 # check calls it
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

bin="$venv/bin"
check "ruff check" "$bin/ruff" check .
check "ruff format" "$bin/ruff" format --check .
check "mypy --strict" "$bin/python" -m mypy
check "import floors" "$bin/lint-imports"
check "shell scripts, workflows, Vagrantfile" "$bin/python" ci/lint_ci.py
# QEMU is installed where it is missing. sudo passes no variables on, so they are named.
check "real ipvlan, in a guest (docs/vm.md)" \
  as_root env "IPVLAB_NO_GUEST=${IPVLAB_NO_GUEST:-}" "CI=${CI:-}" \
  ${XDG_CACHE_HOME:+"XDG_CACHE_HOME=$XDG_CACHE_HOME"} "$bin/python" ci/guest_step.py
# The summary of the tests comes last, so what failed before them is said here.
if [ "$status" -ne 0 ]; then
  printf '\nfailed so far: %s\n' "${failed[*]}"
fi
check "pytest" as_root "$bin/python" -m pytest -n auto "$@"
exit "$status"
