"""Packet sockets for captures, opened in a node and handed to whoever asked."""

from __future__ import annotations

import fcntl
import socket
import struct
from typing import TYPE_CHECKING

from ipvlab.errors import LabError
from ipvlab.probe.ears import enlarge
from ipvlab.probe.stamped import ask_for_stamps

if TYPE_CHECKING:
    from ipvlab.lab.nodes import Node

ETH_P_ALL = 3
_SIOCGIFHWADDR = 0x8927
_ARPHRD_ETHER, _ARPHRD_LOOPBACK = 1, 772


def open_socket(node: Node, interface: str) -> socket.socket:
    """A packet socket on an interface of a node, with time stamps and the tags that the kernel strips.

    Raises :class:`LabError` where the node has no such interface, or one without Ethernet frames.
    """

    def make() -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            _check_kind(sock, f"{node.name}:{interface}", interface)
            ask_for_stamps(sock)
            enlarge(sock)
            sock.bind((interface, ETH_P_ALL))
        except BaseException:
            sock.close()
            raise
        return sock

    try:
        return node.namespace.call(make)
    except OSError as refusal:
        known = ", ".join(["lo", *node.links])
        raise LabError(
            f"no capture on {node.name}:{interface}: {refusal.strerror}", hint=f"{node.name} has {known}"
        ) from refusal


def _check_kind(sock: socket.socket, place: str, interface: str) -> None:
    """Refuse what is no Ethernet: a capture says that it is."""
    request = fcntl.ioctl(sock, _SIOCGIFHWADDR, struct.pack("=16s24x", interface.encode()[:15]))
    kind = struct.unpack_from("=H", request, 16)[0]
    if kind not in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK):
        raise LabError(f"{place} carries no Ethernet frames (ARPHRD {kind})")
