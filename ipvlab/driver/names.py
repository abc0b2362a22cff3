"""What the resolver at 127.0.0.11 answers, and the files that point a container at it.

Source: libnetwork ``resolver.go``: serveDNS, ``sandbox.go``: ResolveName, ResolveIP,
``network.go``: ResolveName, ``sandbox_dns_unix.go`` and ``etchosts``.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from ipvlab.driver.default_routes import by_precedence
from ipvlab.driver.dialect import DOCS, DialectRow
from ipvlab.driver.resolv_conf import EMPTY, NAMESERVERS_MOST, Nameserver, ResolvConf
from ipvlab.spec.values import Address

if TYPE_CHECKING:
    from ipvlab.driver.engine import Engine
    from ipvlab.driver.state import Container, Network

#: Seconds that an answer may be kept (libnetwork ``resolver.go``: respTTL).
TTL = 600
Rcode = Literal["NOERROR", "NXDOMAIN", "SERVFAIL"]
_VERSIONS = {"A": 4, "AAAA": 6}
_REVERSE_IPV4 = ".in-addr.arpa"
_REVERSE_IPV6 = ".ip6.arpa"


@dataclasses.dataclass(frozen=True, slots=True)
class NameAnswer:
    """An answer: addresses for A and AAAA, names with a final dot for PTR, or neither.

    With ``nameservers`` it is for them to answer, the next one where one is
    silent or fails; ``rcode`` is what is left to say when none answers.
    """

    rcode: Rcode
    addresses: tuple[Address, ...] = ()
    pointers: tuple[str, ...] = ()
    ttl: int = TTL
    nameservers: tuple[Nameserver, ...] = ()


def lookup(
    engine: Engine,
    container: str,
    qname: str,
    rrtype: str,
    read_host: Callable[[], ResolvConf] = lambda: EMPTY,
) -> NameAnswer:
    """Answer one question of one container, named as its host's engine names it.

    Names are those of the networks that the container is on: a container's
    name, aliases, short id and hostname, each also with ``.NETWORK`` after it;
    the case does not matter. A known name without an address of the family, or
    asked for MX, is NOERROR and empty. All else is for the host's nameservers,
    which ``read_host`` tells, where a network of the container leaves the host,
    and SERVFAIL where none does.

    Unlike the engine, which reads the host's file when a container starts, this
    one reads it at each question: a lab's host gets its nameservers when its
    containers run already.
    """
    asking = engine.containers.get(container)
    if asking is None:
        return NameAnswer("SERVFAIL")
    name = qname.removesuffix(".").lower()
    networks = [endpoint.network for endpoint in by_precedence(asking.endpoints, engine.row)]
    if rrtype == "PTR":
        address = _reversed_address(name)
        pointers = () if address is None else _pointers(networks, address)
        if pointers:
            return NameAnswer("NOERROR", pointers=pointers)
    elif rrtype in _VERSIONS or rrtype == "MX":
        found = _addresses(networks, name, _VERSIONS.get(rrtype), engine.row)
        if found is not None:
            return NameAnswer("NOERROR", addresses=found)
    return _unknown(engine.row, networks, name, rrtype, read_host().override(asking.request))


def hosts_file(container: Container, row: DialectRow = DOCS) -> str:
    """The text of a container's ``/etc/hosts``: its hostname for each address, its name not."""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        f"fe00{row.hosts_zeros}\tip6-localnet",
        f"ff00{row.hosts_zeros}\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
    ]
    lines += [f"{address}\t{name}" for name, address in container.request.extra_hosts]
    for endpoint in by_precedence(container.endpoints, row):
        lines += hosts_lines(container.hostname, endpoint.addresses)
    return "\n".join(lines) + "\n"


def hosts_lines(hostname: str, addresses: Sequence[Address]) -> list[str]:
    """The lines of ``/etc/hosts`` for an endpoint; a hostname with dots is there without them too."""
    bare, dot, _ = hostname.partition(".")
    names = f"{hostname} {bare}" if dot else hostname
    return [f"{address}\t{names}" for address in addresses]


def rejoin_hosts(text: str, gone: Sequence[str], new: Sequence[str]) -> str:
    """``/etc/hosts`` after endpoints went and came: what a user wrote into it stays (``etchosts.Delete``)."""
    kept = [line for line in text.splitlines() if line and line not in gone]
    return "\n".join([*kept, *new]) + "\n"


def resolv_conf(container: Container | None = None, host: ResolvConf = EMPTY, row: DialectRow = DOCS) -> str:
    """The text of a container's ``/etc/resolv.conf``, from its host's and its own settings."""
    return (host if container is None else host.override(container.request)).for_container(row)


def _addresses(
    networks: Sequence[Network], name: str, version: int | None, row: DialectRow
) -> tuple[Address, ...] | None:
    """The addresses of a name on the first network that knows it, or None where none does."""
    found = None
    for wanted, suffix in _readings(name):
        for network in networks:
            if suffix not in {"", network.name.lower()}:
                continue
            endpoints = network.find_named(wanted)
            if not endpoints:
                continue
            found = tuple(a for endpoint in endpoints for a in endpoint.addresses if a.version == version)
            if found or not row.seeks_family_on_next_network:
                return found
    return found


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """A name as that of a container, then with one more of its last parts as its network each time.

    Both may have dots: ``a.b.c`` is ``a.b.c``, ``a.b`` on ``c``, ``a`` on ``b.c``.
    """
    yield name, ""
    at = name.rfind(".")
    while at > 0:
        yield name[:at], name[at + 1 :]
        at = name.rfind(".", 0, at)


def _pointers(networks: Sequence[Network], address: Address) -> tuple[str, ...]:
    for network in networks:
        for endpoint in tuple(network.endpoints.values()):
            if address in endpoint.addresses:
                return (f"{endpoint.container.name}.{network.name}.",)
    return ()


def _unknown(
    row: DialectRow,
    networks: Sequence[Network],
    name: str,
    rrtype: str,
    conf: ResolvConf,
) -> NameAnswer:
    if conf.sets_ndots and rrtype in _VERSIONS and "." not in name:
        # The asking program comes back with its search domain (serveDNS: NdotsSet).
        return NameAnswer("NOERROR")
    is_external = any(network.is_external for network in networks)
    upstream = conf.upstream(row)[:NAMESERVERS_MOST]
    return NameAnswer(
        "SERVFAIL", nameservers=tuple(each for each in upstream if is_external or not each.is_asked_by_host)
    )


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
