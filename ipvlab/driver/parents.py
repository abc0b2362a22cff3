"""The link that carries a network's endpoints: found, made, or isolated.

Source: libnetwork ``drivers/ipvlan/ipvlan_setup.go`` (createVlanLink,
parseVlan, getDummyName) and ``ipvlan_network.go`` (createNetwork, DeleteNetwork).
"""

from __future__ import annotations

import dataclasses
import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ipvlab.driver.options import LOOPBACK, read_integer
from ipvlab.driver.port import HostPort
from ipvlab.errors import DriverRefusal, KernelRefusal

if TYPE_CHECKING:
    from ipvlab.driver.state import Network

#: The longest name of a link: IFNAMSIZ less its final zero byte.
_NAME_BYTES = 15


@dataclasses.dataclass(frozen=True, slots=True)
class Parent:
    """The link of the host that a network attaches to."""

    link: str
    #: Whether the driver made the link; only such a link goes with the network.
    is_made: bool
    #: Whether it leads nowhere: nothing leaves the host.
    is_isolated: bool


#: What a network has that only holds settings.
NO_PARENT = Parent("", is_made=False, is_isolated=True)


@dataclasses.dataclass(frozen=True, slots=True)
class VlanName:
    """The two halves of a parent that the driver makes: ``eth0`` and 20 of ``eth0.20``."""

    base: str
    vlan: int


def isolated_name(network_id: str) -> str:
    """The name of a network's isolated parent: ``di-`` and 12 hex digits of its id."""
    return f"di-{network_id[:12]}"


def find_parent(port: HostPort, written: str, network_id: str) -> Parent:
    """Find or make a network's parent; ``written`` is empty for an isolated one.

    An existing link of any name is used as it is, down or up, and never removed.
    Raises :class:`DriverRefusal` where the name stands for no link that can be
    made, and leaves no link behind then, in every dialect: the engines do leave a
    VLAN link whose base is down, and adopt it at the next attempt (D-PAR-024).
    """
    if not written:
        name = isolated_name(network_id)
        is_made = not port.has_link(name)
        if is_made:
            _make(port, name, None)
        return Parent(name, is_made, is_isolated=True)
    if port.has_link(written):
        return Parent(written, is_made=False, is_isolated=False)
    _make(port, written, read_vlan_name(port, written))
    return Parent(written, is_made=True, is_isolated=False)


def restore_parent(port: HostPort, network: Network) -> None:
    """Find or make a network's parent again after its engine restarted.

    A link that is gone and has a name that the driver can make is made again,
    whoever had made it before, and then goes with the network. Raises
    :class:`DriverRefusal` or :class:`KernelRefusal` where it cannot be; the
    network then keeps the parent that it does not have, and its containers do not
    start until there is a link of that name (``ipvlan_store.go``: populateNetworks).
    """
    held = network.parent
    if not held.link or port.has_link(held.link):
        return
    written = "" if held.is_isolated else held.link
    network.parent = find_parent(port, written, network.id)


def remove_parent(port: HostPort, parent: Parent) -> None:
    """Remove the link if the driver made it and it is still there.

    A kernel that refuses is ignored: ``network rm`` succeeds all the same
    (delVlanLink and delDummyLink only write to the engine's log).
    """
    if parent.is_made and port.has_link(parent.link):
        with suppress(KernelRefusal):
            port.remove_link(parent.link)


def read_vlan_name(port: HostPort, name: str) -> VlanName:
    """Read ``base.vid``, checking form, number, base and range in the driver's order.

    The number is read as Go's Atoi does, so ``eth0.020`` is VLAN 20. Raises
    :class:`DriverRefusal`.
    """
    if "." not in name:
        raise DriverRefusal(f"invalid subinterface vlan name {name}, example formatting is eth0.10")
    parts = name.split(".")
    if len(parts) != 2:
        raise DriverRefusal(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, "
            f"instead received {name}"
        )
    base, number = parts
    vlan = read_integer(number)
    if vlan is None:
        raise DriverRefusal(f"unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)")
    if not port.has_link(base):
        raise DriverRefusal(f"-o parent interface was not found on the host: {base}")
    if not 1 <= vlan <= 4094:
        raise DriverRefusal(f"vlan id must be between 1-4094, received: {vlan}")
    if base == LOOPBACK:
        # net/8021q/vlan.c: vlan_check_real_dev; lo is VLAN-challenged.
        raise _vlan_refusal(name, errno.EOPNOTSUPP, "")
    if len(name.encode()) > _NAME_BYTES:
        raise _vlan_refusal(name, errno.ERANGE, "")
    if not port.is_up(base):
        # The kernel answers ENETDOWN when a VLAN link is set up on a base that is down.
        raise DriverRefusal(f"failed to enable {name} the ipvlan parent link network is down")
    return VlanName(base, vlan)


def _make(port: HostPort, name: str, vlan: VlanName | None) -> None:
    try:
        if vlan is None:
            port.add_isolated(name)
        else:
            port.add_vlan(name, vlan.base, vlan.vlan)
    except KernelRefusal as refusal:
        # The engine leaves a link behind that it could create and not set up, and adopts it
        # at the next attempt; a lab that has refused a network must be as it was before.
        if port.has_link(name):
            with suppress(KernelRefusal):
                port.remove_link(name)
        if vlan is None:
            raise
        raise _vlan_refusal(name, refusal.errno, refusal.what) from refusal


def _vlan_refusal(name: str, number: int, otherwise: str) -> DriverRefusal:
    text = os.strerror(number).lower() if number else otherwise
    return DriverRefusal(f"failed to create {name} vlan link: {text}")
