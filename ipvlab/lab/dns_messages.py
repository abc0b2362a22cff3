"""DNS messages of the embedded resolver: a query read, and what is known put into an answer."""

from __future__ import annotations

import dataclasses
import random
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from ipvlab.driver.names import NameAnswer
    from ipvlab.driver.resolv_conf import Nameserver

_UDP_WITHOUT_EDNS, _UDP_MOST, _TCP_MOST = 512, 4096, 65535
_FLAG_RESPONSE = 0x8000
_FLAGS_ECHOED = 0x7900  # opcode and RD
_HEADER = struct.Struct("!HHHHHH")


@dataclasses.dataclass(frozen=True, slots=True)
class Unanswered:
    """A query that is for nameservers to answer, and what to say when none of them does."""

    asked: dns.message.Message
    query: bytes
    nameservers: tuple[Nameserver, ...]
    failure: bytes
    refusal: bytes

    def is_answered_by(self, content: bytes) -> bool:
        """Whether a message is the answer to this query, and no other's or none at all."""
        try:
            return self.asked.is_response(dns.message.from_wire(content))
        except dns.exception.DNSException:
            return False


def answer_query(
    lookup: Callable[[str, str], NameAnswer], query: bytes, is_udp: bool
) -> bytes | Unanswered | None:
    """Answer one DNS message, or say whom to ask; None where silence is right (not a query at all)."""
    if len(query) < _HEADER.size:
        return None
    number, flags, *_ = _HEADER.unpack_from(query)
    if flags & _FLAG_RESPONSE:
        return None
    try:
        asked = dns.message.from_wire(query)
    except dns.exception.DNSException:
        return _HEADER.pack(number, _FLAG_RESPONSE | flags & _FLAGS_ECHOED | dns.rcode.FORMERR, 0, 0, 0, 0)
    answer = dns.message.make_response(asked, recursion_available=True)
    if asked.edns > 0:
        answer.set_rcode(dns.rcode.BADVERS)
    elif asked.opcode() != dns.opcode.QUERY:
        answer.set_rcode(dns.rcode.NOTIMP)
    elif len(asked.question) != 1:
        answer.set_rcode(dns.rcode.FORMERR)
    elif asked.question[0].rdclass != dns.rdataclass.IN:
        answer.set_rcode(dns.rcode.REFUSED)
    else:
        nameservers = _fill(answer, asked.question[0], lookup)
        if nameservers:
            failure = answer.to_wire()
            answer.set_rcode(dns.rcode.REFUSED)
            return Unanswered(asked, query, nameservers, failure, refusal=answer.to_wire())
    return _fit(answer, _room(asked) if is_udp else _TCP_MOST)


def is_failure(content: bytes) -> bool:
    """Whether an answer is one after which the next nameserver is asked (resolver.go: forwardExtDNS)."""
    return content[3] & 0xF in {dns.rcode.SERVFAIL, dns.rcode.REFUSED}


def _room(asked: dns.message.Message) -> int:
    return min(max(asked.payload, _UDP_WITHOUT_EDNS), _UDP_MOST) if asked.edns >= 0 else _UDP_WITHOUT_EDNS


def _fit(answer: dns.message.Message, room: int) -> bytes:
    """The message, of whose records as many are left as fit, with TC where some are not."""
    try:
        return answer.to_wire(max_size=room)
    except dns.exception.TooBig:
        answer.flags |= dns.flags.TC
    [rrset] = answer.answer
    records = list(rrset)
    fitting, too_many = 0, len(records)
    best = b""
    while too_many - fitting > 1 or not best:
        count = (fitting + too_many) // 2
        answer.answer = [dns.rrset.from_rdata_list(rrset.name, rrset.ttl, records[:count])] if count else []
        try:
            best = answer.to_wire(max_size=room)
            fitting = count
        except dns.exception.TooBig:
            too_many = count
    return best


def _fill(
    answer: dns.message.Message, question: dns.rrset.RRset, lookup: Callable[[str, str], NameAnswer]
) -> tuple[Nameserver, ...]:
    """Put what is known into ``answer``; returns the nameservers that are to be asked instead."""
    kind = dns.rdatatype.to_text(question.rdtype)
    name = question.name.to_text(omit_final_dot=True)
    try:
        found = lookup(name, kind)
    except Exception:  # noqa: BLE001 - whatever breaks in a lookup must not end the DNS of all containers
        answer.set_rcode(dns.rcode.SERVFAIL)
        return ()
    answer.set_rcode(dns.rcode.from_text(found.rcode))
    texts = [*map(str, found.addresses), *found.pointers]
    # So that the clients of an alias spread over its containers (resolver.go: handleIPQuery).
    random.shuffle(texts)
    if texts:
        answer.answer.append(dns.rrset.from_text_list(question.name, found.ttl, "IN", kind, texts))
    return found.nameservers
