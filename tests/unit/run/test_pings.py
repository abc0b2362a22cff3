"""``ping`` as a question: resolved, asked, and told in ping's words."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest

from ipvlab.driver.ip_grammar import Ping
from ipvlab.driver.port import CommandResult
from ipvlab.errors import Unobserved
from ipvlab.probe.questions import Observation, Question, ReachObservation, ReachQuestion
from ipvlab.run.pings import ping
from ipvlab.spec.values import Address, Family
from tests.unit.run.town import directory, node

A1 = node("a1", eth0="192.168.1.2/24")
A2 = node("a2", eth0="192.168.1.3/24 2001:db8::3/64")
TWIN = node("twin", eth0="192.168.1.3/24")


class Oracle:
    """Answers reach questions by the name of the target."""

    def __init__(self, *, reached: str = "", is_proved: bool = True) -> None:
        self.reached = reached.split()
        self.is_proved = is_proved
        self.asked: list[ReachQuestion] = []

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        answers: list[Observation] = []
        for question in questions:
            assert isinstance(question, ReachQuestion)
            self.asked.append(question)
            came = question.target in self.reached
            answers.append(
                ReachObservation(question, came, came, 64, (), None, self.is_proved, "no way back", {})
            )
        return answers


def resolve(name: str, rrtypes: Sequence[str]) -> list[Address]:
    known = {"A": "192.168.1.3", "AAAA": "2001:db8::3"}
    return [ipaddress.ip_address(known[rrtype]) for rrtype in rrtypes] if name == "a2" else []


def run(command: Ping, oracle: Oracle) -> CommandResult:
    return ping(A1, command, directory(A1, A2), oracle, resolve)


def test_a_ping_that_is_answered_exits_with_0_and_counts() -> None:
    oracle = Oracle(reached="a2")
    result = run(Ping("a2", count=4), oracle)
    assert result.exit_code == 0
    assert "PING a2 (192.168.1.3)" in result.stdout
    assert "4 packets transmitted, 4 packets received, 0% packet loss" in result.stdout
    assert len(oracle.asked) == 4


def test_a_ping_that_is_not_answered_exits_with_1_and_says_why() -> None:
    result = run(Ping("192.168.1.3"), Oracle())
    assert (result.exit_code, result.stderr) == (1, "ping: no way back\n")
    assert "100% packet loss" in result.stdout


def test_a_loss_that_is_not_proved_is_unobserved() -> None:
    with pytest.raises(Unobserved):
        run(Ping("192.168.1.3"), Oracle(is_proved=False))


def test_a_name_that_does_not_resolve_is_a_bad_address() -> None:
    result = run(Ping("nobody"), Oracle())
    assert (result.exit_code, result.stderr) == (1, "ping: bad address 'nobody'\n")


def test_ping6_asks_for_the_ipv6_address() -> None:
    oracle = Oracle(reached="a2")
    run(Ping("a2", family=Family.IPV6), oracle)
    assert [str(question.address) for question in oracle.asked] == ["2001:db8::3"]


def test_an_address_that_nobody_has_is_lost_without_a_question() -> None:
    oracle = Oracle()
    assert run(Ping("192.168.1.99"), oracle).exit_code == 1
    assert oracle.asked == []


def test_the_own_address_answers() -> None:
    assert run(Ping("192.168.1.2"), Oracle()).exit_code == 0


def test_of_two_nodes_with_one_address_either_may_answer() -> None:
    oracle = Oracle(reached="twin")
    result = ping(A1, Ping("192.168.1.3"), directory(A1, A2, TWIN), oracle, resolve)
    assert result.exit_code == 0
