"""An expectation becomes checks: one for each verdict, with the question that settles it.

Ids are the contract's: ``expect[2]:a1->h1/ipv4`` for pairs, and by the same
pattern ``expect[3]:a1`` for a broadcast, ``expect[4]:a1/ipv4`` for routes,
``expect[5]:a1/eth0`` for addresses, ``expect[6]:a1/db`` for a name,
``expect[7]:h1`` for links and failing commands. ``node/address`` stays in the id
as written, so that no two checks of an expectation share one.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable, Iterator, Sequence

from ipvlab.errors import FamilyMissing, Position, ValueInvalid
from ipvlab.probe.questions import BroadcastQuestion, Question, ReachQuestion
from ipvlab.run.directory import Directory, LinkView, NodeView, aim, families
from ipvlab.spec.model import (
    Addresses,
    Blocked,
    Broadcast,
    Delivers,
    Expectation,
    Fails,
    Links,
    OnWire,
    Reach,
    Resolves,
    Routes,
    Undelivered,
)
from ipvlab.spec.values import Address, BroadcastKind, Family

PairClaim = Reach | Blocked | Delivers | Undelivered
Claim = PairClaim | Broadcast | Routes | Addresses | Resolves | Links | OnWire | Fails

KINDS = (
    "reach",
    "blocked",
    "delivers",
    "undelivered",
    "broadcast",
    "routes",
    "addresses",
    "resolves",
    "links",
    "on_wire",
    "fails",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One verdict to be: what is claimed, of whom, and the question to ask."""

    id: str
    kind: str
    claim: Claim
    where: Position | None
    #: The node that the claim is about, or that sends.
    subject: str
    target: str | None = None
    family: Family | None = None
    #: For tables: the family (``ipv4``) or interface that this check is about.
    part: str = ""
    #: What to ask of the prober; None for tables, names and commands, and where nothing can be sent.
    question: Question | None = None


def claim_of(expectation: Expectation) -> tuple[str, Claim]:
    """The one kind that an expectation states, and its claim."""
    for kind in KINDS:
        claim: Claim | None = getattr(expectation, kind)
        if claim is not None:
            return kind, claim
    raise ValueInvalid("an expectation states no kind")


def expand(expectation: Expectation, id_: str, directory: Directory, where: Position | None) -> list[Check]:
    """The checks of one expectation against the nodes that exist now.

    Raises :class:`NodeNotFound` for a name that no node has and
    :class:`FamilyMissing` where two nodes share no family and none is written.
    """
    kind, claim = claim_of(expectation)
    stamp = _Stamp(id_, kind, where, directory)
    return list(_EXPANDERS[kind](stamp, claim))


@dataclasses.dataclass(frozen=True, slots=True)
class _Stamp:
    """What all checks of one expectation have in common."""

    id: str
    kind: str
    where: Position | None
    directory: Directory


def _pairs(stamp: _Stamp, claim: Claim) -> Iterator[Check]:
    assert isinstance(claim, Reach | Blocked | Delivers | Undelivered)
    for from_ in claim.from_:
        for to in claim.to:
            yield from _pair(stamp, claim, from_, to, claim.family, claim.address)


def _on_wire(stamp: _Stamp, claim: Claim) -> Iterator[Check]:
    assert isinstance(claim, OnWire)
    yield from _pair(stamp, claim, claim.from_, claim.to, claim.family, claim.address)


def _pair(
    stamp: _Stamp,
    claim: PairClaim | OnWire,
    from_: str,
    to: str,
    family: Family | None,
    address: Address | None,
) -> Iterator[Check]:
    source, source_address = stamp.directory.find_place(from_, stamp.where)
    target, target_address = stamp.directory.find_place(to, stamp.where)
    if source is target:
        return
    target_address = target_address or address
    label = f"{stamp.id}:{_label(source, source_address)}->{_label(target, target_address)}"
    for each in _families(stamp, source, target, family, (source_address, target_address)):
        aimed_at = target_address or aim(source, target, each)
        has_source = source_address is not None or each in families(source)
        question = None
        if aimed_at is not None and has_source:
            question = ReachQuestion(
                source=source.name,
                target=target.name,
                address=aimed_at,
                proto=getattr(claim, "proto", "udp" if isinstance(claim, Delivers | Undelivered) else "icmp"),
                is_one_way=isinstance(claim, Delivers | Undelivered),
                source_address=source_address,
                wants_path=getattr(claim, "via", None) is not None,
            )
        yield Check(
            id=f"{label}/{each}",
            kind=stamp.kind,
            claim=claim,
            where=stamp.where,
            subject=source.name,
            target=target.name,
            family=each,
            question=question,
        )


def _label(node: NodeView, address: Address | None) -> str:
    return node.name if address is None else f"{node.name}/{address}"


def _families(
    stamp: _Stamp,
    source: NodeView,
    target: NodeView,
    family: Family | None,
    addresses: Sequence[Address | None],
) -> tuple[Family, ...]:
    """The families to probe: the written one, that of a written address, else each that both have."""
    written = {Family.of(address) for address in addresses if address is not None}
    if family is not None:
        written.add(family)
    if len(written) > 1:
        raise FamilyMissing(
            f"{source.name} -> {target.name} mixes IPv4 and IPv6",
            where=stamp.where,
            hint="let `family:` and the addresses be of one family",
        )
    if written:
        return tuple(written)
    common = tuple(each for each in families(source) if each in families(target))
    if not common:
        raise FamilyMissing(
            f"{source.name} and {target.name} have no address family in common",
            where=stamp.where,
            hint="write `family: ipv4` or `family: ipv6` if that is the point: "
            "a side without an address of it is blocked",
        )
    return common


def _broadcasts(stamp: _Stamp, claim: Claim) -> Iterator[Check]:
    assert isinstance(claim, Broadcast)
    for from_ in claim.from_:
        sender, _ = stamp.directory.find_place(from_, stamp.where)
        question = ask_broadcast(stamp.directory, sender, claim, stamp.where)
        yield Check(
            id=f"{stamp.id}:{sender.name}",
            kind=stamp.kind,
            claim=claim,
            where=stamp.where,
            subject=sender.name,
            family=question.family,
            question=question,
        )


def ask_broadcast(
    directory: Directory, sender: NodeView, claim: Broadcast, where: Position | None = None
) -> BroadcastQuestion:
    """The question behind a broadcast: interface, destination and family by the rules of the file.

    Raises :class:`FamilyMissing` where the sender has no address to broadcast
    from or no interface at all, :class:`ValueInvalid` for an interface it lacks.
    """
    if not sender.links:
        raise FamilyMissing(f"{sender.name} has no interface to broadcast from", where=where)
    named = _named_link(sender, claim.interface, where)
    destination = claim.destination
    if destination is None and claim.kind is BroadcastKind.DIRECTED:
        destination = _directed(sender, named, where)
    elif destination is None and claim.kind is BroadcastKind.ARP:
        destination = directory.unused_address(sender, 4, named)
    elif destination is None and claim.kind is BroadcastKind.ND:
        destination = directory.unused_address(sender, 6, named)
    link = named or _link_towards(sender, destination) or next(iter(sender.links.values()))
    return BroadcastQuestion(
        source=sender.name,
        kind=claim.kind,
        interface=link.name,
        destination=destination,
        family=_broadcast_family(claim.kind, destination, link),
    )


def _named_link(sender: NodeView, name: str | None, where: Position | None) -> LinkView | None:
    if name is None:
        return None
    link = sender.links.get(name)
    if link is None:
        raise ValueInvalid(
            f"{sender.name} has no interface {name!r}",
            where=where,
            hint="interfaces: " + ", ".join(sender.links),
        )
    return link


def _directed(sender: NodeView, named: LinkView | None, where: Position | None) -> Address:
    for link in [named] if named is not None else sender.links.values():
        for held in link.addresses:
            if isinstance(held, ipaddress.IPv4Interface):
                return held.network.broadcast_address
    raise FamilyMissing(f"{sender.name} has no IPv4 subnet, so no directed broadcast address", where=where)


def _link_towards(sender: NodeView, destination: Address | None) -> LinkView | None:
    if destination is None:
        return None
    for link in sender.links.values():
        if any(destination in held.network for held in link.addresses):
            return link
    return None


def _broadcast_family(kind: BroadcastKind, destination: Address | None, link: LinkView) -> Family:
    if kind in (BroadcastKind.ND, BroadcastKind.RA):
        return Family.IPV6
    if destination is not None:
        return Family.of(destination)
    if kind is BroadcastKind.MDNS and not any(held.version == 4 for held in link.addresses):
        return Family.IPV6
    return Family.IPV4


def _routes(stamp: _Stamp, claim: Claim) -> Iterator[Check]:
    assert isinstance(claim, Routes)
    node = stamp.directory.find(claim.in_, stamp.where)
    for family in Family:
        if getattr(claim, family) is not None:
            yield _table(stamp, claim, node, str(family), family)


def _addresses(stamp: _Stamp, claim: Claim) -> Iterator[Check]:
    assert isinstance(claim, Addresses)
    node = stamp.directory.find(claim.in_, stamp.where)
    for interface in claim.interfaces:
        yield _table(stamp, claim, node, interface)


def _resolves(stamp: _Stamp, claim: Claim) -> Iterator[Check]:
    assert isinstance(claim, Resolves)
    yield _table(stamp, claim, stamp.directory.find(claim.in_, stamp.where), claim.name)


def _links(stamp: _Stamp, claim: Claim) -> Iterator[Check]:
    assert isinstance(claim, Links)
    yield _table(stamp, claim, stamp.directory.find(claim.in_, stamp.where))


def _fails(stamp: _Stamp, claim: Claim) -> Iterator[Check]:
    assert isinstance(claim, Fails)
    yield _table(stamp, claim, stamp.directory.find(claim.on, stamp.where))


def _table(
    stamp: _Stamp, claim: Claim, node: NodeView, part: str = "", family: Family | None = None
) -> Check:
    id_ = f"{stamp.id}:{node.name}" + (f"/{part}" if part else "")
    return Check(
        id=id_,
        kind=stamp.kind,
        claim=claim,
        where=stamp.where,
        subject=node.name,
        family=family,
        part=part,
    )


_EXPANDERS: dict[str, Callable[[_Stamp, Claim], Iterator[Check]]] = {
    "reach": _pairs,
    "blocked": _pairs,
    "delivers": _pairs,
    "undelivered": _pairs,
    "broadcast": _broadcasts,
    "routes": _routes,
    "addresses": _addresses,
    "resolves": _resolves,
    "links": _links,
    "on_wire": _on_wire,
    "fails": _fails,
}
