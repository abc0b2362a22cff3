#!/usr/bin/env bash
# Prepare a Debian or Ubuntu machine for ipvlab: kernel modules where the distribution has them,
# then the project's own set-up. Idempotent: a second run changes nothing (ci/try_provision.py
# proves it). For virtual machines (Vagrantfile, ci/vm.py --provision), containers and any other
# machine that may be changed; as root, or as a user with sudo.
set -euo pipefail

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${IPVLAB_VENV:-$project/.venv}"
PATH="$PATH:/usr/sbin:/sbin"

say() { printf 'provision: %s\n' "$*"; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
  say "root is needed: run me as root, or install sudo" >&2
  exit 5
fi

has_lists() { [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ]; }

# Ubuntu's cloud kernels keep ipvlan and ifb in a package of their own.
install_extra_modules() {
  local extra
  extra="linux-modules-extra-$(uname -r)"
  if modinfo ipvlan >/dev/null 2>&1 || ! grep -qs '^ID=ubuntu' /etc/os-release; then
    return 0
  fi
  has_lists || as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
  if apt-cache show "$extra" >/dev/null 2>&1; then
    say "installing $extra"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$extra" </dev/null
  fi
}

load_modules() {
  local module
  for module in ipvlan 8021q dummy veth ifb tun bridge cls_bpf sch_ingress; do
    if as_root modprobe "$module" 2>/dev/null; then
      say "$module: loaded or built in"
    else
      say "$module: not in this kernel"
    fi
  done
}

# A container or a chroot has no modules of its own, and a guest of ci/vm.py has them loaded already.
if [ -n "${IPVLAB_GUEST:-}" ]; then
  say "a guest of ci/vm.py: its kernel modules are loaded"
elif command -v modprobe >/dev/null && [ -d "/lib/modules/$(uname -r)" ]; then
  install_extra_modules
  load_modules
else
  say "no modules for kernel $(uname -r) here; what it can do is up to the machine around this one"
fi

"$project/ci/setup.sh" test
# What works here is for the doctor to say; a datapath that does not is no failure of the set-up.
as_root "$venv/bin/ipvlab" doctor || true
