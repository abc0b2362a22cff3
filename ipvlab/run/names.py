"""What a name means inside a node, asked for as a program there would: of the node's own resolver."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ipvlab.errors import Unobserved
from ipvlab.spec.values import Address

if TYPE_CHECKING:
    from ipvlab.lab.nodes import Node

RESOLVER = ("127.0.0.11", 53)
#: How long an answer may take before the resolver counts as broken, in seconds. Silence is
#: never read as "no such name": that is an answer too.
PATIENCE = 10.0


def resolve(node: Node, name: str, rrtypes: Sequence[str] = ("A", "AAAA")) -> list[Address]:
    """The addresses that a name has inside a node, IPv4 first, by real queries to 127.0.0.11:53.

    Hosts and routers have no resolver (their ``/etc/resolv.conf`` is empty), so
    they know no names but ``localhost``. Raises :class:`Unobserved` when no
    answer comes.
    """
    if node.kind != "container":
        return [ipaddress.ip_address("127.0.0.1")] if name == "localhost" else []
    import dns.exception
    import dns.message
    import dns.rdatatype

    try:
        queries = [dns.message.make_query(name.rstrip(".") + ".", rrtype) for rrtype in rrtypes]
    except dns.exception.DNSException:
        return []
    found: list[Address] = []
    with node.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as query_socket:
        query_socket.settimeout(PATIENCE)
        query_socket.connect(RESOLVER)
        for query in queries:
            try:
                query_socket.send(query.to_wire())
                answer = dns.message.from_wire(query_socket.recv(65535))
            except OSError as error:
                raise Unobserved(
                    f"the resolver of {node.name} gave no answer for {name!r}: {error}"
                ) from error
            for rrset in answer.answer:
                if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                    found.extend(ipaddress.ip_address(record.address) for record in rrset)
    return found
