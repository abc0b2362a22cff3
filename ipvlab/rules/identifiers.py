"""How links come by their MAC and link-local addresses."""

from __future__ import annotations

import hashlib
import ipaddress


def eui64_link_local(mac: bytes) -> ipaddress.IPv6Interface:
    """The link-local address of an ordinary Ethernet link (RFC 4291, appendix A)."""
    identifier = bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return ipaddress.IPv6Interface((b"\xfe\x80" + bytes(6) + identifier, 64))


def endpoint_link_local(mac: bytes, device: int) -> ipaddress.IPv6Interface:
    """The link-local address of an ipvlan endpoint.

    The endpoint's dev_id (1 to 0xFFFD, unique on its parent) stands where EUI-64
    has FFFE, and the U/L bit stays as it is. Rule K-OBJ-018; include/net/addrconf.h:
    addrconf_ifid_eui48.
    """
    identifier = mac[:3] + device.to_bytes(2, "big") + mac[3:]
    return ipaddress.IPv6Interface((b"\xfe\x80" + bytes(6) + identifier, 64))


def derived_mac(lab: str, node: str, interface: str) -> bytes:
    """The MAC of a link that was given none: locally administered, the same in every run."""
    digest = hashlib.sha256(f"{lab}/{node}/{interface}".encode()).digest()
    return b"\x02" + digest[:5]
