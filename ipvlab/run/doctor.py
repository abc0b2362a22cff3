"""Which datapaths work on this machine, found out by trying, and what would fix the others."""

from __future__ import annotations

import dataclasses
import errno
import functools
import os
import socket
from typing import TYPE_CHECKING

from ipvlab.errors import (
    EnvironmentUnfit,
    KernelRefusal,
    KernelUnfit,
    PrivilegeMissing,
)

if TYPE_CHECKING:
    from ipvlab.datapath.base import Datapath
    from ipvlab.linux.netlink import Netlink

#: The order in which ``auto`` takes them.
DATAPATHS = ("kernel", "bpf", "sim")


@dataclasses.dataclass(frozen=True, slots=True)
class Fitness:
    """Whether one datapath works here, why not, and the one command that would fix it."""

    datapath: str
    works: bool
    why: str
    fix: str = ""
    #: What choosing it would raise; None where it works.
    error: EnvironmentUnfit | None = None
    #: Whether ``ipvlab run`` makes it work all the same, see :func:`enter_own_namespaces`.
    is_entered: bool = False


def examine(datapath: str) -> Fitness:
    """Find out whether a datapath works here; it is tried in two namespaces that end at once."""
    if datapath == "sim":
        return Fitness(datapath, True, "works anywhere, without privileges")
    try:
        _try_kernel() if datapath == "kernel" else _try_bpf()
    except PrivilegeMissing as missing:
        return _for_user(datapath, missing)
    except EnvironmentUnfit as unfit:
        return Fitness(datapath, False, unfit.what, unfit.hint, unfit)
    except OSError as refusal:
        why = f"the kernel makes no network namespace here: {refusal.strerror}"
        fix = "sudo sysctl -w user.max_net_namespaces=10000"
        return Fitness(datapath, False, why, fix, KernelUnfit(why, hint=fix))
    return Fitness(datapath, True, f"works on kernel {os.uname().release}")


@functools.cache
def choose_name(wanted: str) -> tuple[str, str]:
    """The datapath to use and why: ``auto`` takes the first that works, in the end ``sim``.

    Raises :class:`EnvironmentUnfit` with what to do when the wanted one does not work here.
    """
    if wanted != "auto":
        fitness = examine(wanted)
        if fitness.error is not None:
            raise fitness.error
        return wanted, f"datapath {wanted}, as asked"
    passed_over: list[str] = []
    for name in DATAPATHS:
        fitness = examine(name)
        if fitness.error is None:
            return name, f"datapath {name}: " + "; ".join([f"it {fitness.why}", *passed_over])
        passed_over.append(f"{name}: {fitness.why}")
    raise AssertionError("sim works anywhere")


def choose_datapath(wanted: str = "auto") -> tuple[Datapath, str]:
    """A datapath for one lab, and why this one; raises as :func:`choose_name` does."""
    name, why = choose_name(wanted)
    if name == "kernel":
        from ipvlab.datapath.kernel.datapath import KernelDatapath

        return KernelDatapath(), why
    from ipvlab.datapath.bpf.datapath import BpfDatapath

    return BpfDatapath(), why


def enter_own_namespaces(wanted: str) -> None:
    """Make an ordinary user root of namespaces of its own, if real ipvlan is wanted and works there.

    Only a program that runs labs and nothing else may call it, before it starts
    a thread: what follows happens in a child, see
    :func:`ipvlab.linux.rootless.enter_user_namespace`.
    """
    if wanted not in ("auto", "kernel") or not hasattr(os, "uname") or os.uname().sysname != "Linux":
        return
    from ipvlab.linux.rootless import enter_user_namespace, lacks_privileges

    if lacks_privileges() and _can_enter():
        enter_user_namespace()


def _can_enter() -> bool:
    from ipvlab.datapath.kernel.fitness import is_fit_without_root

    return is_fit_without_root()


def _for_user(datapath: str, missing: PrivilegeMissing) -> Fitness:
    """What a user without privileges can do: be root, or for real links root of namespaces of their own."""
    if datapath != "kernel":
        return Fitness(datapath, False, missing.what, "sudo ipvlab run PATH", missing)
    from ipvlab.datapath.kernel.fitness import refusal_without_root
    from ipvlab.linux.rootless import SHELL_COMMAND

    refusal = refusal_without_root()
    if refusal is None:
        fix = f"none is needed for ipvlab run; for other programs: {SHELL_COMMAND} PROGRAM"
        return Fitness(datapath, False, missing.what, fix, missing, is_entered=True)
    why, fix = f"{missing.what}, and in a user namespace: {refusal[0]}", refusal[1]
    return Fitness(datapath, False, why, fix, PrivilegeMissing(why, hint=fix))


def _try_kernel() -> None:
    """Make one of every real link that the kernel datapath needs; nothing outlives the call."""
    from ipvlab.datapath.kernel.fitness import check_fitness

    check_fitness()


def _try_bpf() -> None:
    """Make one of everything that the bpf datapath needs; nothing outlives the call."""
    if not hasattr(os, "uname") or os.uname().sysname != "Linux":
        raise KernelUnfit("the bpf datapath needs Linux")
    from ipvlab.datapath.bpf.program import LoadedObject, compiled_object
    from ipvlab.linux import messages
    from ipvlab.linux.namespaces import THREAD
    from ipvlab.linux.netlink import Netlink

    made: list[tuple[int, socket.socket]] = THREAD.create_network(2, {})
    try:
        here = Netlink(made[0][1], "doctor")
        macs = [bytes([2, 0, 0, 0, 0, number]) for number in range(4)]
        steps = (
            ("veth", messages.add_veth("d0", 10, macs[0], made[1][0], "d1", 10, macs[1], 1500)),
            ("ifb", messages.add_link("ifb", "d2", 11, macs[2], 1500)),
            ("bridge", messages.add_link("bridge", "d3", 12, macs[3], 1500)),
            ("sch_ingress", messages.add_clsact(10)),
        )
        for module, message in steps:
            _request(here, message, module)
        try:
            loaded = LoadedObject(compiled_object())
        except PermissionError as error:
            raise PrivilegeMissing(
                f"this user may not load BPF programs ({error.strerror})",
                hint="run as root, for example: sudo ipvlab run …",
            ) from error
        except KernelRefusal as error:
            if error.errno == errno.EPERM:
                # Programs and their maps need privileges on the machine; root of a user namespace has none.
                raise PrivilegeMissing(
                    f"this user may not load BPF programs ({error.what})",
                    hint="run as root, for example: sudo ipvlab run …",
                ) from error
            raise KernelUnfit(
                error.what, hint="bpf needs Linux 5.10 or later with CONFIG_BPF_SYSCALL"
            ) from error
        try:
            program = next(iter(loaded.programs.values()))
            _request(here, messages.add_program(10, messages.INGRESS, program, "doctor"), "cls_bpf")
        finally:
            loaded.close()
    finally:
        for fd, netlink in made:
            netlink.close()
            os.close(fd)


def _request(netlink: Netlink, message: bytearray, module: str) -> None:
    try:
        netlink.request(message, module)
    except KernelRefusal as error:
        raise KernelUnfit(
            f"this kernel has no {module} ({error.what})", hint=f"sudo modprobe {module}"
        ) from error
