"""Which ``ip`` lines typed in a node are the lab's to carry out, and which the machine's own ``ip`` does.

The lab's are those on links that its datapath makes: 802.1Q links, dummies and
ipvlan endpoints are no such thing to a kernel without their drivers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ipvlab.driver.hand_links import DummyAdd, IpvlanAdd, parse_ipvlan_add
from ipvlab.driver.ip_grammar import IpCommand, IpvlanSet, LinkDelete, LinkSet, VlanAdd, parse_ip
from ipvlab.errors import CommandUnknown

_TYPES = ("vlan", "dummy", "ipvlan")
_ADD = ("add", "ad", "a")


def read_link_line(arguments: Sequence[str], known: Collection[str]) -> IpCommand | None:
    """The command that an ``ip`` line asks of the lab, or None for one that is not the lab's.

    ``known`` are the node's links. Raises :class:`CommandUnknown` for a line that adds
    a link of the lab's types in a way that its datapath cannot.
    """
    words = [word for word in arguments if word not in ("-4", "-6")]
    if len(words) < 2 or not "link".startswith(words[0]):
        return None
    argv = ("ip", *words)
    if words[1] in _ADD:
        kind = words[words.index("type") + 1 :][:1] if "type" in words else []
        return _read_add(argv) if kind and kind[0] in _TYPES else None
    try:
        command = parse_ip(argv)
    except CommandUnknown:
        return None
    if isinstance(command, LinkSet | IpvlanSet | LinkDelete) and command.device in known:
        return command
    return None


def _read_add(argv: Sequence[str]) -> VlanAdd | DummyAdd | IpvlanAdd:
    command = parse_ipvlan_add(argv) or parse_ip(argv)
    assert isinstance(command, VlanAdd | DummyAdd | IpvlanAdd)
    return command
