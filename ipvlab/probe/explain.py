"""Why a probe failed, as far as the kernels of the nodes tell: routes and neighbours, hop by hop."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Mapping

from ipvlab.lab.nodes import Node
from ipvlab.probe.asked import AskedReach
from ipvlab.probe.neighbours import Neighbour, explain_errno
from ipvlab.probe.posts import Posts
from ipvlab.probe.questions import ReachQuestion
from ipvlab.spec.values import Address, Family

_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH)


class Explainer:
    """Reads the tables of the nodes once each, for the failed probes of one batch."""

    def __init__(self, nodes: Mapping[str, Node], posts: Posts) -> None:
        self._nodes = nodes
        self._posts = posts
        self._tables: dict[tuple[str, Family], dict[Address, Neighbour]] = {}
        self._owners: dict[Address, list[str]] | None = None

    def explain(self, asked: AskedReach, has_request: bool) -> str:
        """Which leg of a probe died and where, in plain words."""
        question = asked.question
        if asked.refusal is not None:
            return self._refused(asked.refusal, question)
        if not has_request:
            reason = self._lost(question.source, question.target, question.address)
            if asked.strays:
                reason += f"; it reached {', '.join(sorted(asked.strays))} instead"
            return reason
        if asked.answer_refusal is not None:
            reason = f"{question.target}: {explain_errno(asked.answer_refusal.errno or 0)}"
        elif asked.sender is not None:
            back = ipaddress.ip_address(asked.sender)
            reason = self._lost(question.target, question.source, back, says_node=True)
        else:
            reason = ""
        arrived = "the request arrived, the answer was lost (no way back)"
        return f"{arrived}: {reason}" if reason else arrived

    def _refused(self, refusal: OSError, question: ReachQuestion) -> str:
        address, source = question.address, question.source_address
        links = self._nodes[question.source].links.values()
        if source is not None and not any(held.ip == source for link in links for held in link.addresses):
            return f"{question.source} does not hold {source}"
        if refusal.errno in _NO_ROUTE:
            return f"no route to {address}"
        if refusal.errno in (errno.EADDRNOTAVAIL, errno.EINVAL):
            return f"no source address to reach {address} from ({explain_errno(refusal.errno)})"
        if refusal.errno in (errno.EPERM, errno.EACCES):
            return f"the sender's own kernel refused a packet to {address} ({explain_errno(refusal.errno)})"
        return f"sending to {address}: {explain_errno(refusal.errno or 0)}"

    def _lost(self, start: str, end: str, address: Address, says_node: bool = False) -> str:
        """Follow routes and neighbours from node to node as far as they lead."""
        name, visited = start, {start}
        while True:
            place = f"{name}: " if says_node or name != start else ""
            entry = self._table(name, address).get(address)
            if entry is not None and entry.is_unanswered:
                return place + self._unanswered(name, entry)
            # Not on the link, or its neighbour is known: ask for the next hop.
            hop = self._posts[name].neighbours.next_hop(address)
            if hop.errno:
                return f"{place}no route to {address}"
            entry = self._table(name, address).get(hop.address)
            if entry is not None and entry.index == hop.index and entry.is_unanswered:
                return place + self._unanswered(name, entry)
            interface = self._interface(name, hop.index)
            owners = [owner for owner in self._owners_of(hop.address) if owner not in visited]
            to = "" if hop.address == address else f" to {hop.address}"
            if len(owners) != 1 or owners[0] == end:
                return f"{place}sent by {interface}{to}, it did not arrive"
            name = owners[0]
            visited.add(name)

    def _unanswered(self, name: str, entry: Neighbour) -> str:
        asked = "ARP" if entry.address.version == 4 else "neighbour solicitation"
        interface = self._interface(name, entry.index)
        return f"no neighbour: nobody answered {asked} for {entry.address} on {interface}"

    def _table(self, name: str, address: Address) -> dict[Address, Neighbour]:
        family = Family.of(address)
        table = self._tables.get((name, family))
        if table is None:
            entries = self._posts[name].neighbours.known(family)
            table = self._tables[name, family] = {entry.address: entry for entry in entries}
        return table

    def _owners_of(self, address: Address) -> list[str]:
        if self._owners is None:
            self._owners = {}
            for name, node in self._nodes.items():
                for held in node.addresses():
                    self._owners.setdefault(held.ip, []).append(name)
        return self._owners.get(address, [])

    def _interface(self, name: str, index: int) -> str:
        links = self._nodes[name].links.values()
        return next((link.name for link in links if link.index == index), f"interface {index}")
