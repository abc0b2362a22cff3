"""Broken instruments must be noticed: what cannot hear is never called silent."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator

import pytest

from ipvlab.probe import readiness
from ipvlab.probe.filters import Instruction, attach, nothing
from ipvlab.probe.lane import Lane, Pulse
from ipvlab.probe.layers import EarKind
from ipvlab.probe.marks import Role
from ipvlab.probe.questions import (
    BroadcastObservation,
    BroadcastQuestion,
    Question,
    ReachObservation,
    ReachQuestion,
)
from ipvlab.probe.tables import NeighbourRoom
from ipvlab.spec.values import BroadcastKind
from tests.netns.probe_lab import PlainLab

LIMITED = BroadcastQuestion("a", BroadcastKind.LIMITED, "eth0")
#: The role in a datagram as a filter of a UDP socket sees it: UDP header, identity, number.
ROLE_OFFSET = 8 + 8 + 4


@pytest.fixture
def lab() -> Iterator[PlainLab]:
    """a, b and c on one switch, and z on nothing; every socket has been opened once."""
    plain = PlainLab()
    plain.flat(["a", "b", "c"])
    plain.add("z")
    plain.prober.answer([LIMITED, reach("a", "b", "10.0.0.2"), arp()])
    yield plain
    plain.close()


def reach(source: str, target: str, address: str) -> ReachQuestion:
    """An ICMP question."""
    return ReachQuestion(source, target, ipaddress.ip_address(address))


def arp() -> BroadcastQuestion:
    """An ARP broadcast of a."""
    return BroadcastQuestion("a", BroadcastKind.ARP, "eth0")


def hear(lab: PlainLab, question: BroadcastQuestion) -> BroadcastObservation:
    """One broadcast, observed."""
    [seen] = lab.prober.answer([question])
    assert isinstance(seen, BroadcastObservation)
    return seen


def assert_heard(
    seen: BroadcastObservation, heard_by: set[str], silent: set[str], unobserved: set[str]
) -> None:
    """The other nodes fall into these three sets, exactly."""
    assert seen.heard_by == heard_by
    assert seen.silent == silent
    assert seen.unobserved == unobserved


def see(lab: PlainLab, question: ReachQuestion) -> ReachObservation:
    """One unicast probe, observed."""
    [seen] = lab.prober.answer([question])
    assert isinstance(seen, ReachObservation)
    return seen


def drop_role(role: Role) -> list[Instruction]:
    """A filter of a UDP socket that drops packets of one role."""
    return [(0x30, 0, 0, ROLE_OFFSET), (0x15, 0, 1, role), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF)]


@pytest.mark.parametrize("name", ["b", "z"])
def test_a_deaf_listener_is_unobserved_whether_it_would_have_heard_or_not(lab: PlainLab, name: str) -> None:
    attach(lab.prober.posts[name].ears[EarKind.UDP4].sock, nothing())
    seen = hear(lab, LIMITED)
    assert seen.unobserved == {name}
    assert name not in seen.silent
    assert seen.heard_by == {"b", "c"} - {name}
    assert seen.reason == f"the udp4 listener of {name} heard nothing of its canary"


def test_a_deaf_arp_listener_is_unobserved(lab: PlainLab) -> None:
    attach(lab.prober.posts["z"].ears[EarKind.ARP].sock, nothing())
    seen = hear(lab, arp())
    assert_heard(seen, {"b", "c"}, set(), {"z"})


@pytest.mark.parametrize(("role", "word"), [(Role.CANARY, "canary"), (Role.FENCE, "fence")])
def test_a_lost_canary_or_fence_leaves_a_listener_unobserved(lab: PlainLab, role: Role, word: str) -> None:
    attach(lab.prober.posts["z"].ears[EarKind.UDP4].sock, drop_role(role))
    seen = hear(lab, LIMITED)
    assert_heard(seen, {"b", "c"}, set(), {"z"})
    assert word in seen.reason
    assert seen.proof[word] is False


def test_a_listener_that_heard_the_probe_heard_it_even_without_its_fence(lab: PlainLab) -> None:
    attach(lab.prober.posts["b"].ears[EarKind.UDP4].sock, drop_role(Role.FENCE))
    seen = hear(lab, LIMITED)
    assert_heard(seen, {"b", "c"}, {"z"}, set())


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_deaf_end_of_a_unicast_probe_proves_no_silence(lab: PlainLab, name: str) -> None:
    attach(lab.prober.posts[name].ears[EarKind.ICMP4].sock, nothing())
    seen = see(lab, reach("a", "b", "10.0.0.99"))
    assert (seen.request, seen.reply, seen.is_proved) == (False, False, False)
    assert seen.reason.startswith(f"the icmp4 listener of {name} heard nothing of its canary")


def test_an_answer_stands_for_its_request_when_the_target_is_deaf(lab: PlainLab) -> None:
    attach(lab.prober.posts["b"].ears[EarKind.ICMP4].sock, nothing())
    seen = see(lab, reach("a", "b", "10.0.0.2"))
    assert (seen.request, seen.reply, seen.ttl) == (True, True, None)
    assert seen.reason == "the answer came, but the target's listener missed the request"


def test_a_listener_that_lost_packets_is_unobserved_where_it_did_not_hear(lab: PlainLab) -> None:
    sock = lab.prober.posts["b"].ears[EarKind.UDP4].sock
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    seen = [one for one in lab.prober.answer([LIMITED] * 40) if isinstance(one, BroadcastObservation)]
    missed = [one for one in seen if "b" not in one.heard_by]
    assert missed
    assert all(one.unobserved == {"b"} and "lost" in one.reason for one in missed)
    assert all("c" in one.heard_by for one in seen)


def test_a_barrier_that_does_not_come_through_voids_silences_and_keeps_arrivals(
    lab: PlainLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pulse, "beat", lambda _pulse: False)
    assert_heard(hear(lab, LIMITED), {"b", "c"}, set(), {"z"})
    assert see(lab, reach("a", "b", "10.0.0.2")).reply
    lost = see(lab, reach("a", "b", "10.0.0.99"))
    assert not lost.is_proved
    assert lost.reason.startswith("the packets were not proved to be at rest")


def test_a_thread_that_may_wander_between_cpus_proves_no_silence(
    lab: PlainLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_pid: int, _cpus: set[int]) -> None:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert hear(lab, LIMITED).unobserved == {"z"}


@pytest.mark.parametrize(("owner", "counter", "word"), [
    (Lane, "drops", "netdev_max_backlog"),
    (NeighbourRoom, "losses", "gc_thresh3"),
])  # fmt: skip
def test_packets_lost_for_want_of_room_void_the_silences_of_the_batch(
    lab: PlainLab, monkeypatch: pytest.MonkeyPatch, owner: type, counter: str, word: str
) -> None:
    readings = iter(range(1000))
    monkeypatch.setattr(owner, counter, lambda _self: next(readings))
    heard, lost = hear(lab, LIMITED), see(lab, reach("a", "b", "10.0.0.99"))
    assert_heard(heard, {"b", "c"}, set(), {"z"})
    assert word in heard.reason
    assert not lost.is_proved
    assert word in lost.reason


def test_a_blind_capture_is_named(lab: PlainLab) -> None:
    assert see(lab, reach("a", "b", "10.0.0.2")).unheard_wires == frozenset()
    [tap] = lab.prober.posts.open_taps(lab.taps)
    tap.mute()
    blind = see(lab, reach("a", "b", "10.0.0.2"))
    assert blind.crossings == ()
    assert blind.unheard_wires == {"lan"}


def test_listeners_recover_when_the_fault_is_gone(lab: PlainLab) -> None:
    sock = lab.prober.posts["z"].ears[EarKind.UDP4].sock
    attach(sock, nothing())
    assert hear(lab, LIMITED).unobserved == {"z"}
    attach(sock, [(0x06, 0, 0, 0xFFFF)])
    assert hear(lab, LIMITED).silent == {"z"}


def test_a_prober_that_forgets_and_closes_leaves_no_descriptor_open() -> None:
    plain = PlainLab()
    try:
        plain.flat(["a", "b", "c"])
        before = open_descriptors()
        questions: list[Question] = [LIMITED, arp(), reach("a", "b", "10.0.0.2")]
        plain.prober.answer(questions)
        opened = open_descriptors() - before
        plain.prober.forget("b")
        assert len(open_descriptors() - before) < len(opened)
        plain.prober.answer(questions)
        plain.prober.close()
        # The prober's own counters and event loop were open before; nothing else may be.
        assert open_descriptors() <= before
    finally:
        plain.close()


def open_descriptors() -> set[str]:
    """This process's descriptors, as numbers with what is behind them."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number}:{os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:  # the descriptor of this very listing
            continue
    return found


def test_an_address_that_never_becomes_usable_voids_the_silences_of_ipv6(
    lab: PlainLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PATIENCE", 0.0)
    monkeypatch.setattr(readiness, "pending_addresses", lambda _post: ["fd00::7"])
    lost, other = see(lab, reach("a", "b", "fd00::99")), see(lab, reach("a", "b", "10.0.0.99"))
    assert not lost.is_proved
    assert lost.reason.startswith("a: fd00::7 is not usable yet")
    assert other.is_proved
