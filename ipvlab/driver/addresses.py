"""Addresses as texts, and the set of addresses of one subnet that are taken."""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right

from ipvlab.spec.values import Address, Subnet

#: A prefix length has no leading zero (Go's netip.ParsePrefix).
_CIDR = re.compile(r"[0-9a-fA-F:.]+/(0|[1-9][0-9]{0,2})")


def parse_address(text: str) -> Address | None:
    """An address from its text, or None; a zone or a prefix length makes it none."""
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def parse_cidr(text: str) -> tuple[Address, Subnet] | None:
    """Address and subnet of ``A/N``, or None; netmask notation is not CIDR."""
    if not _CIDR.fullmatch(text):
        return None
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return None
    return interface.ip, interface.network


def family_word(version: int) -> str:
    """``IPv4`` or ``IPv6``, as Docker's texts say it."""
    return f"IPv{version}"


class AddressSet:
    """The addresses of one subnet that are taken, as disjoint runs.

    A run is what a growing network of containers makes, so the set stays short
    however large the subnet is: a /64 costs no more than a /30, and the lowest
    free address is found by bisection.

    Taken from the start (libnetwork ``ipams/defaultipam``: newPoolData): the
    first and last address of an IPv4 subnet larger than a /31, and the first of
    any IPv6 subnet (the subnet-router anycast address).
    """

    def __init__(self, subnet: Subnet) -> None:
        self.subnet = subnet
        self._starts: list[int] = []
        self._ends: list[int] = []
        if subnet.version == 6:
            self.take(subnet.network_address)
        elif subnet.num_addresses > 2:
            self.take(subnet.network_address)
            self.take(subnet.broadcast_address)

    def __contains__(self, address: Address) -> bool:
        number = int(address)
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number <= self._ends[at]

    def __len__(self) -> int:
        return self.count_within(self.subnet)

    def count_within(self, within: Subnet) -> int:
        """How many addresses of ``within`` are taken."""
        first, last = int(within.network_address), int(within.broadcast_address)
        runs = zip(self._starts, self._ends, strict=True)
        return sum(max(0, min(end, last) - max(start, first) + 1) for start, end in runs)

    def take(self, address: Address) -> bool:
        """Take one address; False, and nothing changes, where it is taken already."""
        if address in self:
            return False
        number = int(address)
        at = bisect_right(self._starts, number)
        touches_left = at > 0 and self._ends[at - 1] == number - 1
        touches_right = at < len(self._starts) and self._starts[at] == number + 1
        if touches_left and touches_right:
            self._ends[at - 1] = self._ends.pop(at)
            del self._starts[at]
        elif touches_left:
            self._ends[at - 1] = number
        elif touches_right:
            self._starts[at] = number
        else:
            self._starts.insert(at, number)
            self._ends.insert(at, number)
        return True

    def take_lowest(self, within: Subnet) -> Address | None:
        """Take the lowest free address of ``within``, or None where it is full."""
        number = int(within.network_address)
        at = bisect_right(self._starts, number) - 1
        if at >= 0 and number <= self._ends[at]:
            number = self._ends[at] + 1
        if number > int(within.broadcast_address):
            return None
        kind = ipaddress.IPv4Address if within.version == 4 else ipaddress.IPv6Address
        address = kind(number)
        self.take(address)
        return address

    def release(self, address: Address) -> None:
        """Give one address back; giving back a free one changes nothing."""
        if address not in self:
            return
        number = int(address)
        at = bisect_right(self._starts, number) - 1
        start, end = self._starts[at], self._ends[at]
        if start == end:
            del self._starts[at], self._ends[at]
        elif number == start:
            self._starts[at] = number + 1
        elif number == end:
            self._ends[at] = number - 1
        else:
            self._ends[at] = number - 1
            self._starts.insert(at + 1, number + 1)
            self._ends.insert(at + 1, end)
