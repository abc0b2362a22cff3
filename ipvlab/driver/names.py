"""What the resolver at 127.0.0.11 answers, and the files that point a container at it.

Source: libnetwork ``resolver.go``, ``sandbox.go``: ResolveName, ResolveIP,
``sandbox_dns_unix.go`` and ``etchosts``.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Literal

from ipvlab.driver.engine import Engine
from ipvlab.driver.state import Container, Endpoint, Network
from ipvlab.spec.values import Address

#: Seconds that an answer may be kept (libnetwork ``resolver.go``: respTTL).
TTL = 600
Rcode = Literal["NOERROR", "NXDOMAIN", "SERVFAIL"]
_VERSIONS = {"A": 4, "AAAA": 6}
_REVERSE_IPV4 = ".in-addr.arpa"
_REVERSE_IPV6 = ".ip6.arpa"


@dataclasses.dataclass(frozen=True, slots=True)
class NameAnswer:
    """An answer: addresses for A and AAAA, names with a final dot for PTR, or neither."""

    rcode: Rcode
    addresses: tuple[Address, ...] = ()
    pointers: tuple[str, ...] = ()
    ttl: int = TTL


def lookup(engine: Engine, container: str, qname: str, rrtype: str) -> NameAnswer:
    """Answer one question of one container, named as its host's engine names it.

    Names are those of the networks that the container is on: a container's
    name, aliases, short id and hostname, each also with ``.NETWORK`` after it;
    the case does not matter. A known name without an address of the family, or
    asked for another type, is NOERROR and empty. An unknown one is SERVFAIL where
    no network of the container leaves the host, and else NXDOMAIN, since a lab
    has no upstream server.
    """
    asking = engine.containers.get(container)
    if asking is None:
        return NameAnswer("SERVFAIL")
    name = qname.rstrip(".").lower()
    networks = [endpoint.network for endpoint in tuple(asking.endpoints)]
    if rrtype == "PTR":
        address = _reversed_address(name)
        pointers = () if address is None else _pointers(networks, address)
        return NameAnswer("NOERROR", pointers=pointers) if pointers else _unknown(networks)
    version = _VERSIONS.get(rrtype)
    is_known = False
    for network in networks:
        endpoints = _find_named(network, name)
        is_known = is_known or bool(endpoints)
        addresses = tuple(a for endpoint in endpoints for a in endpoint.addresses if a.version == version)
        if addresses:
            return NameAnswer("NOERROR", addresses=addresses)
    return NameAnswer("NOERROR") if is_known else _unknown(networks)


def hosts_file(container: Container) -> str:
    """The text of a container's ``/etc/hosts``: its hostname for each address, its name not."""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::\tip6-localnet",
        "ff00::\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
    ]
    for endpoint in container.endpoints:
        lines += [f"{address}\t{container.hostname}" for address in endpoint.addresses]
    return "\n".join(lines) + "\n"


def resolv_conf() -> str:
    """The text of a container's ``/etc/resolv.conf``: a lab's hosts have neither search list nor upstream."""
    return "nameserver 127.0.0.11\noptions ndots:0\n"


def _find_named(network: Network, name: str) -> tuple[Endpoint, ...]:
    found = network.find_named(name)
    if found:
        return found
    suffix = f".{network.name.lower()}"
    return network.find_named(name.removesuffix(suffix)) if name.endswith(suffix) else ()


def _pointers(networks: list[Network], address: Address) -> tuple[str, ...]:
    for network in networks:
        for endpoint in tuple(network.endpoints.values()):
            if address in endpoint.addresses:
                return (f"{endpoint.container.name}.{network.name}.",)
    return ()


def _unknown(networks: list[Network]) -> NameAnswer:
    is_external = any(network.is_external for network in networks)
    return NameAnswer("NXDOMAIN" if is_external else "SERVFAIL")


def _reversed_address(name: str) -> Address | None:
    try:
        if name.endswith(_REVERSE_IPV4):
            return ipaddress.IPv4Address(".".join(reversed(name.removesuffix(_REVERSE_IPV4).split("."))))
        if name.endswith(_REVERSE_IPV6):
            nibbles = name.removesuffix(_REVERSE_IPV6).split(".")
            if len(nibbles) == 32 and all(len(nibble) == 1 for nibble in nibbles):
                return ipaddress.IPv6Address(int("".join(reversed(nibbles)), 16))
    except ValueError:
        pass
    return None
