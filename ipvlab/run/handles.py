"""The nodes of a :class:`ipvlab.Lab` as a test holds them: type commands, probe, listen."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.errors import LabError, Unobserved
from ipvlab.probe.questions import BroadcastObservation
from ipvlab.run.answers import judge_probe
from ipvlab.run.directory import bare_name
from ipvlab.run.expand import Check, ask_broadcast, expand
from ipvlab.run.results import Outcome, Verdict
from ipvlab.spec.model import Broadcast, Delivers, Expectation, Reach
from ipvlab.spec.values import Address, BroadcastKind, Family

if TYPE_CHECKING:
    from ipvlab.run.lab import Lab


@dataclasses.dataclass(frozen=True)
class Hearing:
    """Who heard a broadcast; everyone else was proved silent. True when anybody did."""

    heard_by: set[LabNode]
    #: How many copies reached each of them; one is right.
    copies: Mapping[LabNode, int]
    reason: str

    def __bool__(self) -> bool:
        return bool(self.heard_by)


class LabNode:
    """A host, router or container of a lab."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab = lab
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def reaches(
        self,
        target: LabNode,
        *,
        family: str | None = None,
        proto: str = "icmp",
        address: str | None = None,
        ttl: int | None = None,
    ) -> Verdict:
        """Whether a round trip succeeds, in each family that both have unless one is named.

        True or false only when proved: raises :class:`Unobserved` where nothing
        was, and :class:`FamilyMissing` where there is no family to try.
        """
        return self._probe(
            Expectation(
                reach=Reach.model_validate(
                    {**self._pair(target, family, address), "proto": proto, "ttl": ttl}
                )
            )
        )

    def delivers(
        self,
        target: LabNode,
        *,
        family: str | None = None,
        address: str | None = None,
        ttl: int | None = None,
    ) -> Verdict:
        """Whether a UDP datagram arrives, whatever becomes of an answer; else as :meth:`reaches`."""
        return self._probe(
            Expectation(delivers=Delivers.model_validate({**self._pair(target, family, address), "ttl": ttl}))
        )

    def _pair(self, target: LabNode, family: str | None, address: str | None) -> dict[str, object]:
        return {
            "from": (self.name,),
            "to": (target.name,),
            "family": None if family is None else Family(family),
            "address": None if address is None else ipaddress.ip_address(address),
        }

    def _probe(self, expectation: Expectation) -> Verdict:
        ground = self._lab.ground()
        checks = expand(expectation, "probe", ground.directory, None)
        asked = [check for check in checks if check.question is not None]
        answers = ground.answer([check.question for check in asked if check.question is not None])
        seen = {check.id: answer for check, answer in zip(asked, answers, strict=True)}
        return _combine(
            checks, [judge_probe(check, seen.get(check.id), ground.directory) for check in checks]
        )

    def broadcast(
        self,
        kind: str = "limited",
        *,
        destination: str | None = None,
        interface: str | None = None,
    ) -> Hearing:
        """Send a broadcast and say who heard it; kinds and defaults are those of scenario files.

        Raises :class:`Unobserved` when somebody could be proved neither hearing nor silent.
        """
        ground = self._lab.ground()
        claim = Broadcast.model_validate(
            {
                "from": (self.name,),
                "heard_by": (),
                "kind": BroadcastKind(kind),
                "destination": None if destination is None else ipaddress.ip_address(destination),
                "interface": interface,
            }
        )
        directory = ground.directory
        [seen] = ground.answer([ask_broadcast(directory, directory.find(self.name), claim)])
        assert isinstance(seen, BroadcastObservation)
        everyone = {node.name for node in directory} - {self.name}
        unsure = sorted(everyone - seen.heard_by - seen.silent)
        if unsure:
            raise Unobserved(f"{', '.join(unsure)} could not be observed: {seen.reason}")
        handles = {name: self._lab.handle_of(name) for name in seen.heard_by}
        copies = {handle: seen.copies.get(name, 1) for name, handle in handles.items()}
        return Hearing(set(handles.values()), copies, seen.reason)

    def ip(self, arguments: str) -> CommandResult:
        """Carry out an ``ip`` command of the closed grammar: ``gw.ip("route add default via 10.0.0.1")``."""
        return self._lab.type(self.name, f"ip {arguments}")

    def ping(self, arguments: str) -> CommandResult:
        """Carry out a ``ping`` line, interpreted: ``c2.ping("-c 4 c1")``; nothing is waited for."""
        return self._lab.type(self.name, f"ping {arguments}")

    def execute(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: bytes | None = None
    ) -> CommandResult:
        """Run a real command of this machine inside the node, with the node's own names, and wait for it.

        Raises :class:`LabError` where the command cannot be started.
        """
        return self._lab.run_program(self.name, argv, env, stdin)

    run = execute

    @property
    def addresses(self) -> list[str]:
        """The node's addresses in order, IPv6 link-local ones left out."""
        return [str(address) for address in self._lab.live(self.name).addresses()]


class LabRouter(LabNode):
    """A node that forwards and runs no Docker."""


class LabHost(LabNode):
    """A host that runs Docker."""

    def docker(self, arguments: str) -> CommandResult:
        """Carry out a Docker command: ``h1.docker("network create -d ipvlan …")``.

        In a live lab a container may run any program of the machine:
        ``h1.docker("run -d --net n --name web alpine httpd -f")``, and then
        ``h1.docker("exec web ip route")``, ``h1.docker("logs web")``. A simulated lab
        interprets ``ip`` and ``ping`` and refuses other programs. What Docker refuses is
        a result with its exit code and text; raises :class:`CommandUnknown` for words
        that cannot be read, such as an open quote.
        """
        return self._lab.type(self.name, f"docker {arguments}")

    def container(
        self,
        name: str,
        *,
        network: str | Sequence[str],
        ip: str | None = None,
        ip6: str | None = None,
        hostname: str | None = None,
        aliases: Sequence[str] = (),
    ) -> LabContainer:
        """Declare a container on one network, or on several in order (addresses then go to the first).

        It starts at the next command or probe, where the driver may refuse it
        (:class:`DriverRefusal`).
        """
        first, *others = (network,) if isinstance(network, str) else tuple(network)
        joins = (
            EndpointRequest(first, ipv4=ip, ipv6=ip6, aliases=tuple(aliases)),
            *(EndpointRequest(other) for other in others),
        )
        return self._lab.declare_container(self, ContainerRequest(joins, name=name, hostname=hostname))


class LabContainer(LabNode):
    """A container of a host."""

    def __init__(self, lab: Lab, name: str, host: LabHost) -> None:
        super().__init__(lab, name)
        self.host = host

    def resolves(self, name: str) -> list[Address]:
        """What a name resolves to in this container, asked of its own resolver; empty for no such name."""
        self._lab.live(self.name)
        return self._lab.ground().resolve(self.name, name)

    def remove(self) -> None:
        """Remove the container, as ``docker rm -f`` does."""
        result = self.host.docker(f"rm -f {bare_name(self._lab.live(self.name))}")
        if result.exit_code != 0:
            raise LabError(result.stderr.strip())


def _combine(checks: Sequence[Check], verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for all families: false if one is proved false, unobserved if one proves nothing."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.FAIL not in outcomes and outcomes != {Outcome.PASS}:
        unproved = next(verdict for verdict in verdicts if verdict.outcome is not Outcome.PASS)
        raise Unobserved(f"{unproved.id}: {unproved.reason}")
    if len(verdicts) == 1:
        return verdicts[0]
    families = [str(check.family) for check in checks]
    return dataclasses.replace(
        verdicts[0],
        id=verdicts[0].id.rpartition("/")[0],
        family=None,
        outcome=Outcome.FAIL if Outcome.FAIL in outcomes else Outcome.PASS,
        expected={family: each.expected for family, each in zip(families, verdicts, strict=True)},
        observed={family: each.observed for family, each in zip(families, verdicts, strict=True)},
        reason="; ".join(each.reason for each in verdicts if each.reason),
        proof={family: each.proof for family, each in zip(families, verdicts, strict=True)},
    )
