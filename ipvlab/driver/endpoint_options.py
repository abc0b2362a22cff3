"""What a user may wish of an interface inside the container: its name and its sysctls.

Source: moby ``daemon/container_operations.go``: validateEndpointSettings,
libnetwork ``osl/interface_linux.go``: setSysctls, ``netlabel/labels.go``;
``api/server/router/container``: handleSysctlBC for those of the container.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence

from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.options import IFNAME
from ipvlab.driver.requests import EndpointRequest
from ipvlab.errors import DriverRefusal

SYSCTLS = "com.docker.network.endpoint.sysctls"
#: What stands for the interface's name; Docker's client writes keys in lower case.
_PLACEHOLDERS = ("IFNAME", "ifname")
_FAMILIES = ("ipv4", "ipv6", "mpls")
_OF_AN_INTERFACE = re.compile(r"net\.[^.]+\.[^.]+\.eth[^.]*\.")
#: The longest name of a link: IFNAMSIZ less its final zero byte.
_NAME_BYTES = 15


def wished_name(request: EndpointRequest, row: DialectRow) -> str | None:
    """The name that the interface is asked to have; None where that is left to the engine."""
    return request.options.get(IFNAME) or None if row.has_endpoint_wishes else None


def choose_names(
    requests: Sequence[EndpointRequest], held: Sequence[str | None], row: DialectRow
) -> tuple[str, ...]:
    """The names inside the container: the held one, the wished one, else the first free of eth0, eth1 …

    Raises :class:`DriverRefusal` (500) for a name that is taken or that no link can have.
    """
    names: list[str] = [name for name in held if name is not None]
    chosen: list[str] = []
    for request, kept in zip(requests, held, strict=True):
        name = kept or _choose_name(wished_name(request, row), names)
        names.append(name)
        chosen.append(name)
    return tuple(chosen)


def _choose_name(wished: str | None, taken: Sequence[str]) -> str:
    if wished is None:
        return next(name for name in _ethernet_names() if name not in taken)
    number = 0
    if wished in taken or wished == "lo":
        number = errno.EEXIST
    elif len(wished.encode()) > _NAME_BYTES:
        number = errno.ERANGE
    elif wished in (".", "..") or re.search(r"[/:\s]", wished):  # net/core/dev.c: dev_valid_name
        number = errno.EINVAL
    if number:
        raise DriverRefusal(f"error renaming interface to {wished}: {os.strerror(number).lower()}")
    return wished


def find_sysctl_faults(request: EndpointRequest, row: DialectRow) -> list[str]:
    """What is wrong with an endpoint's sysctls, in the engine's words."""
    return [
        f"unrecognised network interface sysctl '{text}'; represent 'net.X.Y.ethN.Z=V' as "
        "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
        for text in _texts(request, row)
        if not _is_recognised(text)
    ]


def plan_sysctls(request: EndpointRequest, interface: str, row: DialectRow) -> tuple[tuple[str, str], ...]:
    """An endpoint's sysctls with the interface's name put in, as paths below /proc/sys/net/ and values.

    Raises :class:`DriverRefusal` (500) for one without a value, or with more parts than five.
    """
    plan = []
    for text in _texts(request, row):
        key, equals, value = text.partition("=")
        if not equals:
            raise DriverRefusal(f"expected sysctl '{text}' to have format name=value")
        parts = key.split(".")
        if len(parts) != 5:
            raise DriverRefusal(f"expected sysctl '{text}' to have format net.X.Y.IFNAME.Z")
        plan.append((f"{parts[1]}/{parts[2]}/{interface}/{parts[4]}", value))
    return tuple(plan)


def container_sysctls(sysctls: Mapping[str, str], row: DialectRow) -> dict[str, str]:
    """A container's own sysctls (``--sysctl``) as paths below /proc/sys/net/.

    Raises :class:`DriverRefusal` (400) for those of an interface (27.0 and later),
    and for those that are no network's: a lab's containers share the rest.
    """
    paths = {}
    for key, value in sysctls.items():
        if row.has_endpoint_sysctls and _OF_AN_INTERFACE.match(key):
            raise DriverRefusal(
                f'interface specific sysctl setting "{key}" must be supplied using driver option '
                f"'{SYSCTLS}'",
                status=400,
            )
        head, *rest = key.replace("/", ".").split(".")
        if head != "net" or not all(rest) or not rest or ".." in rest:
            raise DriverRefusal(
                f"the containers of a lab have network sysctls of their own and no others: '{key}' "
                "does not begin with net.",
                status=400,
            )
        paths["/".join(rest)] = value
    return paths


def _texts(request: EndpointRequest, row: DialectRow) -> list[str]:
    written = request.options.get(SYSCTLS)
    return written.split(",") if written is not None and row.has_endpoint_sysctls else []


def _is_recognised(text: str) -> bool:
    parts = text.split(".", 4)
    return len(parts) == 5 and parts[1] in _FAMILIES and parts[3] in _PLACEHOLDERS and "/" not in text


def _ethernet_names() -> Iterator[str]:
    number = 0
    while True:
        yield f"eth{number}"
        number += 1
