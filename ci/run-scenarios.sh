#!/usr/bin/env bash
# Set everything up and run the scenarios. Arguments go to `ipvlab run`; without any, the
# whole folder runs.
set -euo pipefail

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${IPVLAB_VENV:-$project/.venv}"
"$project/ci/setup.sh" run

[ "$#" -gt 0 ] || set -- "$project/scenarios"
if [ "$(id -u)" -eq 0 ]; then
  exec "$venv/bin/ipvlab" run "$@"
fi
exec sudo "$venv/bin/ipvlab" run "$@"
