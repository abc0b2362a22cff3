#!/usr/bin/env bash
# Hold one implementation against the conformance suite and leave its reports in a folder.
#
#   ci/conformance.sh IMPLEMENTATION FOLDER [OPTION…]
#
# sim and bpf run on this machine; kernel too where it has ipvlan, else in the guest of ci/vm.py; docker,
# podman and cni in that of ci/conformance_vm.py. Options are -k EXPR and -n N, as in pytest, and
# IPVLAB_VM_OPTIONS holds those of the guest (--timeout S, --kvm). Status 0: nothing is red; what is
# unsupported is in the reports. Any other status is that of the run, as `ipvlab conformance` says it.
set -euo pipefail

if [ "$#" -lt 2 ]; then
  echo "usage: ci/conformance.sh IMPLEMENTATION FOLDER [OPTION…]" >&2
  exit 2
fi
implementation="$1"
mkdir -p "$2"
folder="$(cd "$2" && pwd)"
shift 2
project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
bin="${IPVLAB_VENV:-$project/.venv}/bin"
cd "$project"

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

read -r -a guest_options <<<"${IPVLAB_VM_OPTIONS:-}"
# sudo passes no variables on, so they are named.
passed=("CI=${CI:-}" ${XDG_CACHE_HOME:+"XDG_CACHE_HOME=$XDG_CACHE_HOME"})

# Runs the suite and prints its results as JSON; what pytest says goes to standard error. A guest
# keeps no files, so results leave it this way, whatever the verdicts are.
# shellcheck disable=SC2016 # the shell that runs this expands it
suite='
  results="$(mktemp)" code=0
  ipvlab conformance --json "$results" "$@" >&2 || code=$?
  cat "$results"
  rm -f "$results"
  exit "$code"'

# Each of these leaves results in a file and has the status of the run.
run_here() {
  as_root env "${passed[@]}" "PATH=$bin:$PATH" \
    bash -c "$suite" suite --implementation "$implementation" "$@" >"$results"
}
run_in_guest() {
  as_root env "${passed[@]}" "$bin/python" ci/vm.py "${guest_options[@]}" -- \
    bash -c "$suite" suite --implementation "$implementation" "$@" >"$results"
}
run_engine() {
  as_root env "${passed[@]}" "$bin/python" ci/conformance_vm.py --results "$folder" \
    "${guest_options[@]}" "$implementation" -- "$@"
}

has_ipvlan() { as_root "$bin/ipvlab" doctor | grep -q '^kernel *yes'; }

results="$folder/$implementation.json"
rm -f "$results"
code=0
case "$implementation" in
  sim | bpf) run_here "$@" || code=$? ;;
  kernel) if has_ipvlan; then run_here "$@" || code=$?; else run_in_guest "$@" || code=$?; fi ;;
  *) run_engine "$@" || code=$? ;;
esac
if [ ! -s "$results" ]; then
  echo "conformance: no results of $implementation (status $code)" >&2
  rm -f "$results"
  exit "$((code == 0 ? 5 : code))"
fi

verdict=0
"$bin/ipvlab" report "$results" --html "$folder/$implementation.html" \
  --markdown "$folder/$implementation.md" --junit "$folder/$implementation.xml" \
  --ktap "$folder/$implementation.ktap" --report "$folder/$implementation.yaml" || verdict=$?
# 3 is "unsupported or incomplete": of an implementation without flags, say, which is no defect of it.
case "$verdict/$code" in
  0/0 | 0/3 | 3/0 | 3/3) exit 0 ;;
  0/* | 3/*) exit "$code" ;;
  *) exit "$verdict" ;;
esac
