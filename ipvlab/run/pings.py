"""``ping`` as a question to the prober: the same words on the terminal, and no waiting."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Protocol

from ipvlab.driver.ip_grammar import Ping
from ipvlab.driver.port import CommandResult
from ipvlab.errors import Unobserved
from ipvlab.probe.questions import Observation, Question, ReachObservation, ReachQuestion
from ipvlab.run.directory import Directory, NodeView
from ipvlab.spec.values import Address, Family

#: Bytes of a ping's payload unless told otherwise.
PAYLOAD = 56

Resolve = Callable[[str, Sequence[str]], list[Address]]


class Answerer(Protocol):
    """Whoever puts questions to the live lab."""

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        """Ask all of them together; one observation for each question, in order."""


def ping(
    source: NodeView, command: Ping, directory: Directory, lab: Answerer, resolve: Resolve
) -> CommandResult:
    """Carry out one ``ping`` line: exit code 0 where every echo came back, else 1.

    An address that no node of the lab has answers nobody, so nothing is sent.
    Raises :class:`Unobserved` where neither an answer nor its absence is proved.
    """
    if command.ttl is not None:
        return CommandResult(2, stderr="ping: option -t is not built yet\n")
    address = _find_address(command, resolve)
    if address is None:
        return CommandResult(1, stderr=f"ping: bad address '{command.target}'\n")
    count = command.count or 1
    received, reason = _echo(source, address, count, directory, lab)
    lines = [f"PING {command.target} ({address}): {PAYLOAD} data bytes"]
    lines += [f"{PAYLOAD + 8} bytes from {address}: seq={number}" for number in range(received)]
    lost = round(100 * (count - received) / count)
    lines += [
        "",
        f"--- {command.target} ping statistics ---",
        f"{count} packets transmitted, {received} packets received, {lost}% packet loss",
    ]
    stderr = f"ping: {reason}\n" if received < count and reason else ""
    return CommandResult(0 if received == count else 1, "\n".join(lines) + "\n", stderr)


def _find_address(command: Ping, resolve: Resolve) -> Address | None:
    try:
        literal = ipaddress.ip_address(command.target)
    except ValueError:
        rrtypes = {None: ("A", "AAAA"), Family.IPV4: ("A",), Family.IPV6: ("AAAA",)}[command.family]
        return next(iter(resolve(command.target, rrtypes)), None)
    if command.family is not None and Family.of(literal) is not command.family:
        return None
    return literal


def _echo(
    source: NodeView, address: Address, count: int, directory: Directory, lab: Answerer
) -> tuple[int, str]:
    """How many echoes come back, and why not all."""
    holders = directory.holders(address)
    if address.is_loopback or any(holder.name == source.name for holder in holders):
        return count, ""
    if not holders:
        return 0, f"{address}: no node of the lab has this address"
    questions = [ReachQuestion(source.name, holder.name, address) for holder in holders for _ in range(count)]
    seen = [each for each in lab.answer(questions) if isinstance(each, ReachObservation)]
    received = min(count, sum(each.reply for each in seen))
    if received == count:
        return count, ""
    reason = next(each.reason for each in seen if not each.reply)
    if not all(each.is_proved for each in seen if not each.reply):
        raise Unobserved(f"ping from {source.name} to {address} proved nothing: {reason}")
    return received, reason
