"""The one table of sysctls that a lab's namespaces are given; none is inherited from the machine.

A new namespace copies IPv4 settings from the machine's first one
(net/ipv4/devconf: inet_init_net), and distributions change those: with
rp_filter 1 or 2 an address-less sub-interface stops hearing limited broadcasts,
with redirects on a one-armed router turns TTL 63 into 64.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Mapping

from ipvlab.errors import KernelRefusal
from ipvlab.linux.namespaces import THREAD, Namespace, write_sysctl
from ipvlab.linux.rootless import last_mapped_group
from ipvlab.spec.values import NodeKind

#: Paths below /proc/sys/net/ and their values, for every namespace of a lab.
EVERYWHERE: Mapping[str, str] = {
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/default/accept_redirects": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/all/arp_ignore": "0",
    "ipv4/conf/all/arp_announce": "0",
    "ipv4/icmp_echo_ignore_all": "0",
    "ipv4/ping_group_range": "0\t2147483647",
    "ipv6/conf/all/accept_redirects": "0",
    "ipv6/conf/default/accept_redirects": "0",
    "ipv6/conf/default/accept_ra": "0",
    # The random delay before the first solicitation of DAD, in seconds (addrconf.c: addrconf_dad_kick).
    "ipv6/conf/default/router_solicitation_delay": "0",
    # Link-local addresses are given by hand, NODAD, so that nothing waits for DAD.
    "ipv6/conf/default/addr_gen_mode": "1",
    # Host ends of endpoints must have no IPv6 of their own; links that want it are told so.
    "ipv6/conf/default/disable_ipv6": "1",
}

#: What a switch is given on top: frames cross it without netfilter seeing them.
SWITCH: Mapping[str, str] = {
    "bridge/bridge-nf-call-iptables": "0",
    "bridge/bridge-nf-call-ip6tables": "0",
    "bridge/bridge-nf-call-arptables": "0",
}


def sysctls(kind: NodeKind | str, *, forwarding: bool = False) -> dict[str, str]:
    """The whole table of one namespace; ``kind`` is a node's, or ``switch``."""
    table = dict(EVERYWHERE)
    if kind == "switch":
        table.update(SWITCH)
    # In a user namespace groups without a map are refused (net/ipv4/sysctl_net_ipv4.c: EINVAL).
    table["ipv4/ping_group_range"] = f"0\t{last_mapped_group()}"
    table["ipv4/ip_forward"] = str(int(forwarding))
    table["ipv6/conf/all/forwarding"] = str(int(forwarding))
    return table


def deviations(table: Mapping[str, str]) -> dict[str, str]:
    """The part of a table that a new namespace on this machine does not have by itself.

    Each write costs over 0.1 ms and more as namespaces grow in number.
    """
    fresh = _fresh_values()
    return {path: value for path, value in table.items() if path in fresh and fresh[path] != value}


def write_all(namespace: Namespace, settings: Mapping[str, str]) -> None:
    """Write sysctls that a user asked for, by their paths below /proc/sys/net/.

    Raises :class:`KernelRefusal`, in Docker's words (libnetwork
    ``osl/interface_linux.go``: setSysctls), for one that is not there (ENOENT) or
    whose value the kernel refuses.
    """

    def write() -> None:
        for path, value in settings.items():
            full = f"/proc/sys/net/{path}"
            if not os.path.isfile(full):
                raise KernelRefusal(f"{full} is not a sysctl file", errno=errno.ENOENT)
            try:
                write_sysctl(path, value)
            except KernelRefusal as refusal:
                reason = os.strerror(refusal.errno).lower()
                raise KernelRefusal(
                    f"unable to write to '{full}': {reason}", errno=refusal.errno
                ) from refusal

    namespace.call(write)


@functools.cache
def _fresh_values() -> dict[str, str]:
    [(fd, netlink)] = THREAD.create_network(1, {})
    paths = {*EVERYWHERE, *SWITCH, "ipv4/ip_forward", "ipv6/conf/all/forwarding"}

    def read() -> dict[str, str]:
        values = {}
        for path in paths:
            try:
                with open(f"/proc/sys/net/{path}") as sysctl:
                    values[path] = sysctl.read().strip()
            except FileNotFoundError:
                continue
        return values

    try:
        return THREAD.call_in((fd,), read)
    finally:
        netlink.close()
        os.close(fd)
