"""Whatever arrives at the resolver, it answers, forwards or is silent, and never breaks."""

from __future__ import annotations

import ipaddress

import dns.flags
import dns.message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipvlab.driver.names import NameAnswer
from ipvlab.driver.resolv_conf import Nameserver
from ipvlab.lab.dns_messages import Unanswered, answer_query

SERVER = Nameserver(ipaddress.ip_address("192.0.2.53"), is_asked_by_host=True)
LABELS = st.lists(st.text("abmz-", min_size=1, max_size=9), min_size=1, max_size=5).map(".".join)
KINDS = st.sampled_from(["A", "AAAA", "PTR", "MX", "TXT", "SOA", "ANY", "TYPE65"])


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    edns = draw(st.sampled_from([-1, 0, 1]))
    query = dns.message.make_query(draw(LABELS), draw(KINDS), use_edns=edns, payload=draw(PAYLOADS))
    return query.to_wire()


PAYLOADS = st.integers(0, 65535)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(queries()))
    for _ in range(draw(st.integers(0, 4))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))]) + draw(st.binary(max_size=20))


def lookup(count: int, name: str, kind: str) -> NameAnswer:
    """Names with an m are known, with so many addresses."""
    if "m" not in name:
        return NameAnswer("SERVFAIL", nameservers=(SERVER,))
    addresses = tuple(ipaddress.IPv4Address(0x0A000000 + n) for n in range(count))
    return NameAnswer("NOERROR", addresses if kind == "A" else ())


@settings(deadline=None)
@given(content=damaged(), is_udp=st.booleans())
@example(content=b"", is_udp=True)
def test_any_datagram_is_answered_forwarded_or_passed_over(content: bytes, is_udp: bool) -> None:
    answer = answer_query(lambda name, kind: lookup(200, name, kind), content, is_udp)
    if isinstance(answer, Unanswered):
        assert answer.query == content
        assert not answer.is_answered_by(content)
        assert answer.is_answered_by(answer.failure)
    elif answer is not None:
        assert answer[:2] == content[:2]
        assert answer[2] & 0x80


@settings(deadline=None)
@given(LABELS.map("m".__add__), st.integers(0, 300), st.integers(0, 65535), st.booleans())
def test_an_answer_fits_and_has_as_many_addresses_as_do(
    name: str, count: int, payload: int, has_edns: bool
) -> None:
    query = dns.message.make_query(name, "A", use_edns=0 if has_edns else -1, payload=payload)
    content = answer_query(lambda name, kind: lookup(count, name, kind), query.to_wire(), True)
    assert isinstance(content, bytes)
    room = min(max(payload, 512), 4096) if has_edns else 512
    assert len(content) <= room
    answer = dns.message.from_wire(content)
    given_out = sum(len(rrset) for rrset in answer.answer)
    if answer.flags & dns.flags.TC:
        # One record more would be 16 octets more.
        assert given_out < count
        assert len(content) + 16 > room
    else:
        assert given_out == count
