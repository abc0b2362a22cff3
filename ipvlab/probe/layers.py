"""The protocol layers that a probe can be heard at; what listens there is an ear."""

from __future__ import annotations

from enum import StrEnum

from ipvlab.spec.values import Address, BroadcastKind, Family

#: Unicast, limited, directed and multicast datagrams; nothing else listens there in a lab, and it is below
#: the ports that the kernel picks for sockets without one (ip_local_port_range).
PROBE_PORT = 29999
MDNS_PORT = 5353


class EarKind(StrEnum):
    """The protocol layer that an ear listens at."""

    ICMP4 = "icmp4"
    ICMP6 = "icmp6"
    UDP4 = "udp4"
    UDP6 = "udp6"
    MDNS4 = "mdns4"
    MDNS6 = "mdns6"
    ARP = "arp"

    @classmethod
    def of_reach(cls, proto: str, address: Address) -> EarKind:
        """The layer that a unicast probe arrives at."""
        return _REACH_KINDS[proto, address.version]

    @classmethod
    def of_broadcast(cls, kind: BroadcastKind, family: Family) -> EarKind:
        """The layer at which a broadcast of that kind is heard."""
        if kind is BroadcastKind.ARP:
            return cls.ARP
        if kind in (BroadcastKind.ND, BroadcastKind.RA):
            return cls.ICMP6
        version = 4 if family is Family.IPV4 else 6
        return cls(f"{'mdns' if kind is BroadcastKind.MDNS else 'udp'}{version}")

    @property
    def is_ipv6(self) -> bool:
        """Whether the layer belongs to IPv6."""
        return self.value.endswith("6")

    @property
    def port(self) -> int:
        """The UDP port of the layer; 0 for the others."""
        return {"udp": PROBE_PORT, "mdns": MDNS_PORT}.get(self.value[:-1], 0)


_REACH_KINDS = {
    (proto, version): EarKind(f"{proto}{version}") for proto in ("icmp", "udp") for version in (4, 6)
}
