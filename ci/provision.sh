#!/usr/bin/env bash
# Prepare a Debian or Ubuntu machine for ipvlab: kernel modules where the distribution has
# them, then the project's own set-up. Idempotent; for a virtual machine (see Vagrantfile) or
# any other machine that may be changed. Run as root.
set -euo pipefail

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
say() { printf 'provision: %s\n' "$*"; }

[ "$(id -u)" -eq 0 ] || { say "run me as root" >&2; exit 5; }

# Ubuntu's cloud kernels keep ipvlan and ifb in a package of their own.
extra="linux-modules-extra-$(uname -r)"
if ! modinfo ipvlan >/dev/null 2>&1 && apt-cache show "$extra" >/dev/null 2>&1; then
  say "installing $extra"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$extra" </dev/null
fi

for module in ipvlan 8021q dummy veth ifb bridge cls_bpf sch_ingress; do
  if modprobe "$module" 2>/dev/null; then
    say "$module: loaded or built in"
  else
    say "$module: not in this kernel"
  fi
done

"$project/ci/setup.sh" test
venv="${IPVLAB_VENV:-$project/.venv}"
# What works here is for the doctor to say; a datapath that does not is no failure of the set-up.
"$venv/bin/ipvlab" doctor || true
