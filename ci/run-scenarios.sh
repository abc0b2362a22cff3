#!/usr/bin/env bash
# Set everything up and run the scenarios. Arguments go to `ipvlab run`; where none of them is
# a scenario file or a folder, the whole folder of scenarios runs.
set -euo pipefail

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${IPVLAB_VENV:-$project/.venv}"
"$project/ci/setup.sh" run

names_scenarios=false
for argument in "$@"; do
  if [ -d "$argument" ] || [[ "$argument" == *.ipvlab.yaml ]]; then
    names_scenarios=true
  fi
done
"$names_scenarios" || set -- "$@" "$project/scenarios"

if [ "$(id -u)" -eq 0 ]; then
  exec "$venv/bin/ipvlab" run "$@"
fi
exec sudo "$venv/bin/ipvlab" run "$@"
