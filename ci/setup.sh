#!/usr/bin/env bash
# Set up what ipvlab needs: a few system packages where they are missing, and a private
# virtual environment. Idempotent; works as root and with sudo.
#
#   ci/setup.sh          to run scenarios
#   ci/setup.sh test     to run the project's own checks as well
#
# IPVLAB_VENV names the directory of the virtual environment (default: .venv in the project).
# IPVLAB_PYTHON names the interpreter to build it with (default: the first that is 3.11 or newer).
set -euo pipefail

purpose="${1:-run}"
project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${IPVLAB_VENV:-$project/.venv}"

say() { printf 'setup: %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "root is needed for: $*"
    say "run this command as root, or install sudo"
    return 5
  fi
}

apt_is_fresh=false
refresh_lists() {
  if "$apt_is_fresh"; then
    return 0
  fi
  say "apt-get update"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 </dev/null
  apt_is_fresh=true
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here; install by other means: $*"
    return 1
  fi
  refresh_lists
  say "apt-get install $*"
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >&2 </dev/null
}

has_package() { [ -n "$(apt-cache search --names-only "^$1\$" 2>/dev/null)" ]; }

is_recent() { "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${IPVLAB_PYTHON:+"$IPVLAB_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && is_recent "$candidate"; then
      # The interpreter itself, since a version manager's shim depends on the directory it runs in.
      "$candidate" -c 'import sys; print(sys.executable)'
      return 0
    fi
  done
  return 1
}

if ! python="$(find_python)"; then
  # Ubuntu 22.04 has Python 3.10 as python3 and 3.11 beside it, in universe.
  install_packages python3.11 python3.11-venv
  python="$(find_python)" || { say "no Python 3.11 or newer found"; exit 1; }
fi

# Debian and Ubuntu keep ensurepip, which venv needs, in a package of its own.
if [ ! -x "$venv/bin/pip" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  install_packages "python$version-venv"
fi

missing=()
command -v ip >/dev/null || [ -x /sbin/ip ] || missing+=(iproute2)
command -v ping >/dev/null || missing+=(iputils-ping)
# Tests ask ps what the kernel has recorded of a terminal, and give hosts rules with nft.
if [ "$purpose" = test ]; then
  command -v ps >/dev/null || missing+=(procps)
  command -v nft >/dev/null || [ -x /usr/sbin/nft ] || missing+=(nftables)
fi
if [ "${#missing[@]}" -gt 0 ]; then
  install_packages "${missing[@]}"
fi

# The committed BPF object was made by clang 14. Any clang will do to check that the source
# still compiles; only the same one can show that the bytes are equal.
if [ "$purpose" = test ] && ! command -v clang-14 >/dev/null && ! command -v clang >/dev/null; then
  if command -v apt-get >/dev/null; then
    refresh_lists
  fi
  compiler=clang
  if has_package clang-14; then
    compiler=clang-14
  fi
  install_packages "$compiler" || say "$compiler could not be installed; its check will say so"
fi

if [ ! -x "$venv/bin/pip" ] || ! is_recent "$venv/bin/python"; then
  say "virtual environment in $venv, of $python"
  "$python" -m venv --clear "$venv"
fi

extra=""
[ "$purpose" = test ] && extra="[test]"
# Nothing is installed twice: the stamp holds what the environment was made from.
wanted="$(cksum <"$project/pyproject.toml") $project"
stamp="$venv/ipvlab-$purpose"
is_installed() { [ "$(cat "$venv/ipvlab-$1" 2>/dev/null)" = "$wanted" ]; }
# What the tests need includes what a run needs.
if ! is_installed "$purpose" && ! is_installed test; then
  say "pip install -e .$extra"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    -e "$project$extra" >&2 </dev/null
  printf '%s\n' "$wanted" >"$stamp"
fi
say "ready: $venv/bin/ipvlab"
