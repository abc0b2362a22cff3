"""What a name means inside a node, asked for as a program there would: of the node's own resolver."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ipvlab.errors import Unobserved
from ipvlab.spec.values import Address

if TYPE_CHECKING:
    import dns.message

    from ipvlab.lab.nodes import Node

RESOLVER = ("127.0.0.11", 53)
#: How long an answer may take before the resolver counts as broken, in seconds: longer than
#: three silent nameservers of a host take. Silence is never read as "no such name": that is an
#: answer too.
PATIENCE = 15.0


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
        queries = [dns.message.make_query(name.rstrip(".") + ".", rrtype, use_edns=0) for rrtype in rrtypes]
    except dns.exception.DNSException:
        return []
    found: list[Address] = []
    for query in queries:
        try:
            answer = _ask(node, query)
        except (OSError, dns.exception.DNSException) as error:
            raise Unobserved(f"the resolver of {node.name} gave no answer for {name!r}: {error}") from error
        for rrset in answer.answer:
            if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                found.extend(ipaddress.ip_address(record.address) for record in rrset)
    return found


def _ask(node: Node, query: dns.message.Message) -> dns.message.Message:
    """The resolver's answer, over TCP where it is too long for a datagram."""
    import dns.flags
    import dns.message
    import dns.query

    with node.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(PATIENCE)
        datagrams.connect(RESOLVER)
        datagrams.send(query.to_wire())
        answer = dns.message.from_wire(datagrams.recv(65535))
    if not answer.flags & dns.flags.TC:
        return answer
    with node.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        stream.settimeout(PATIENCE)
        stream.connect(RESOLVER)
        dns.query.send_tcp(stream, query)
        return dns.query.receive_tcp(stream)[0]
