"""Whether this kernel and user can make real ipvlan links, found out by making them."""

from __future__ import annotations

import errno
import functools
import json
import os
import socket
import subprocess
import sys

from ipvlab.driver.options import check_kernel
from ipvlab.errors import DriverRefusal, KernelRefusal, KernelUnfit, PrivilegeMissing
from ipvlab.linux import ipvlan_messages, messages
from ipvlab.linux.namespaces import THREAD
from ipvlab.linux.netlink import Netlink
from ipvlab.spec.values import Flag, Mode

#: rtnl_newlink answers EOPNOTSUPP for a kind of link that no module provides; ENOTSUPP (524)
#: is ipvlan without CONFIG_IPVLAN_L3S.
_UNKNOWN = (errno.EOPNOTSUPP, 524)

#: Where no command makes this kernel fit, another kernel is a command away.
IN_A_GUEST = "ci/vm.py -- ipvlab run PATH"


@functools.cache
def check_fitness() -> None:
    """Make one of everything that the kernel datapath needs, in two namespaces that end at once.

    A kernel that was found fit is not asked again by this process.
    Raises :class:`PrivilegeMissing` when the user may not make namespaces,
    and :class:`KernelUnfit` with all that is lacking when the kernel has no ipvlan,
    8021q, dummy, veth or bridge, or is below Linux 4.2, which Docker's driver
    refuses.
    """
    if sys.platform != "linux":
        raise KernelUnfit("the kernel datapath needs Linux")
    try:
        check_kernel(os.uname().release)
    except DriverRefusal as refusal:
        raise KernelUnfit(refusal.what, hint=IN_A_GUEST) from refusal
    try:
        made = THREAD.create_network(2, {})
    except OSError as refusal:
        raise KernelUnfit(
            f"the kernel makes no network namespace here: {refusal.strerror}",
            hint="sudo sysctl -w user.max_net_namespaces=10000",
        ) from refusal
    try:
        lacking = _lacking(made)
    finally:
        for fd, netlink in made:
            netlink.close()
            os.close(fd)
    if lacking:
        raise KernelUnfit(f"this kernel has no {', '.join(lacking)}", hint=fix_for(lacking))


def _lacking(made: list[tuple[int, socket.socket]]) -> list[str]:
    """The modules whose links cannot be made in the first namespace."""
    here, there = Netlink(made[0][1], "doctor"), made[1][0]
    macs = [bytes([2, 0, 0, 0, 0, number]) for number in range(5)]
    # The parent is a veth: the dummy link is among the things in question.
    steps = (
        ("veth", messages.add_veth("d0", 10, macs[0], there, "d1", 10, macs[1], 1500)),
        ("ipvlan", ipvlan_messages.add_ipvlan("d2", 11, 10, there, Mode.L2, Flag.BRIDGE)),
        ("ipvlan mode l3s", ipvlan_messages.add_ipvlan("d3", 12, 10, there, Mode.L3S, Flag.BRIDGE)),
        ("8021q", ipvlan_messages.add_vlan("d4", 13, 10, 2)),
        ("dummy", messages.add_link("dummy", "d5", 14, macs[3], 1500)),
        ("bridge", messages.add_link("bridge", "d6", 15, macs[4], 1500)),
    )
    lacking: list[str] = []
    for module, message in steps:
        if lacking and (lacking[0] == "veth" or (module == "ipvlan mode l3s" and "ipvlan" in lacking)):
            continue
        try:
            here.request(message, f"add a link of {module}")
        except KernelRefusal as refusal:
            if refusal.errno in (errno.EPERM, errno.EACCES):
                raise PrivilegeMissing(
                    f"this user may not make links ({refusal.what})",
                    hint="run as root, for example: sudo ipvlab run …",
                ) from refusal
            if refusal.errno not in _UNKNOWN:
                raise
            lacking.append(module)
    return lacking


#: Asked of a process of its own, since entering a user namespace is for good.
_TRIAL = """
import json
from ipvlab.errors import EnvironmentUnfit
try:
    from ipvlab.linux.rootless import enter_user_namespace
    enter_user_namespace()
    from ipvlab.datapath.kernel.fitness import check_fitness
    check_fitness()
except EnvironmentUnfit as unfit:
    print(json.dumps([unfit.what, unfit.hint]))
else:
    print("[]")
"""


def is_fit_without_root() -> bool:
    """Whether the kernel datapath would work here in a user namespace, found out by entering one."""
    return refusal_without_root() is None


@functools.cache
def refusal_without_root() -> tuple[str, str] | None:
    """Why the kernel datapath fails here in a user namespace, and what would help; None where it works."""
    trial = [sys.executable, "-c", _TRIAL]
    try:
        done = subprocess.run(trial, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        told = json.loads(done.stdout)
    except (OSError, ValueError):
        # This user may not even start the interpreter again: it lies in another user's folder.
        return "ipvlab cannot be started again in a user namespace", "sudo ipvlab run PATH"
    return (str(told[0]), str(told[1])) if told else None


def fix_for(lacking: list[str]) -> str:
    """The one command that may bring what is lacking: a module, a package, or a guest with another kernel."""
    modules = " ".join(dict.fromkeys(module.split()[0] for module in lacking))
    release = os.uname().release
    if _has_modules(release, modules.split()):
        return f"sudo modprobe -a {modules}"
    if release.endswith(("-aws", "-azure", "-gcp", "-generic", "-kvm", "-oracle", "-virtual")):
        return f"sudo apt-get install linux-modules-extra-{release} && sudo modprobe -a {modules}"
    return IN_A_GUEST


def _has_modules(release: str, modules: list[str]) -> bool:
    try:
        with open(f"/lib/modules/{release}/modules.dep") as index:
            listed = index.read()
    except OSError:
        return False
    return all(f"/{module}.ko" in listed for module in modules)
