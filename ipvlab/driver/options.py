"""The options of Docker's ipvlan driver: ``parent``, ``ipvlan_mode``, ``ipvlan_flag``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Flag, Mode

PARENT = "parent"
MODE = "ipvlan_mode"
FLAG = "ipvlan_flag"
LOOPBACK = "lo"
ENABLE_IPV4 = "com.docker.network.enable_ipv4"
ENABLE_IPV6 = "com.docker.network.enable_ipv6"
IFNAME = "com.docker.network.endpoint.ifname"
#: How often, and how many milliseconds apart, a new endpoint announces itself (``netlabel/labels.go``).
ADVERTISE_COUNT = "com.docker.network.advertise_addr_nmsgs"
ADVERTISE_INTERVAL = "com.docker.network.advertise_addr_ms"
#: ``osl/interface_linux.go``: AdvertiseAddrNMsgsMax, AdvertiseAddrIntervalMin and Max.
ADVERTISE_COUNT_MOST = 3
ADVERTISE_INTERVAL_RANGE = (100, 2000)

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INTEGER_BOUNDS = range(-(1 << 63), 1 << 63)
#: The first kernel that Docker's ipvlan driver accepts.
MINIMUM_KERNEL = (4, 2)


@dataclasses.dataclass(frozen=True, slots=True)
class DriverOptions:
    """The three options that the driver reads, with its defaults filled in."""

    parent: str
    mode: Mode
    flag: Flag


def read_options(options: Mapping[str, str]) -> DriverOptions:
    """Read the driver's options; any other key is left alone, as Docker does.

    An empty value is the default. Raises :class:`DriverRefusal` for another
    mode, another flag, or ``parent=lo``, in that order (libnetwork
    ``drivers/ipvlan/ipvlan_network.go``: parseNetworkOptions, CreateNetwork).
    """
    mode = options.get(MODE) or Mode.L2
    flag = options.get(FLAG) or Flag.BRIDGE
    if mode not in tuple(Mode):
        raise DriverRefusal(
            f"requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default"
        )
    if flag not in tuple(Flag):
        raise DriverRefusal(
            f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default"
        )
    parent = options.get(PARENT, "")
    if parent == LOOPBACK:
        raise DriverRefusal("loopback interface is not a valid ipvlan parent link")
    return DriverOptions(parent, Mode(mode), Flag(flag))


def read_switch(options: Mapping[str, str], key: str) -> bool | None:
    """Read one of the engine's own boolean options, or None where it is absent.

    Raises :class:`DriverRefusal` with status 400 for what Go's ParseBool refuses
    (moby ``daemon/network.go``: createNetwork).
    """
    text = options.get(key)
    if text is None:
        return None
    value = parse_bool(text)
    if value is None:
        raise DriverRefusal(f'driver-opt "{key}" is not a valid bool', status=400)
    return value


def parse_bool(text: str) -> bool | None:
    """What Go's ``strconv.ParseBool`` makes of a text, or None where it refuses."""
    return True if text in _TRUE else False if text in _FALSE else None


def read_integer(text: str) -> int | None:
    """What Go's ``strconv.Atoi`` makes of a text, or None where it refuses: no space, 64 bits."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number in _INTEGER_BOUNDS else None


def check_kernel(release: str) -> None:
    """Refuse a kernel older than 4.2, as the driver does; for the kernel datapath only.

    ``release`` is the text of uname(2). Raises :class:`DriverRefusal` (libnetwork
    ``drivers/ipvlan/ipvlan_network.go``: CreateNetwork).
    """
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if found is None:
        raise DriverRefusal(f"could not read a kernel version from {release!r}")
    kernel, major, minor = (int(part or 0) for part in found.groups())
    if (kernel, major) < MINIMUM_KERNEL:
        wanted = ".".join(str(part) for part in MINIMUM_KERNEL)
        raise DriverRefusal(
            "kernel version failed to meet the minimum ipvlan kernel requirement of "
            f"{wanted}, found {kernel}.{major}.{minor}"
        )
