"""What a lab looks like: its nodes, links and wires as plain values, for drawings and reports."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from ipvlab.run.dry_run import DryRun
from ipvlab.run.prepare import Prepared
from ipvlab.run.record import RecordedLink, RecordedNode
from ipvlab.spec.model import Port
from ipvlab.spec.values import NodeKind


class _Drawn(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DrawnLink(_Drawn):
    """An interface of a node; its kind is ``wire``, ``vlan``, ``isolated`` or ``endpoint``."""

    name: str
    kind: str
    #: The wire that it plugs into, or the link of the host that carries it.
    wire: str | None = None
    below: str | None = None
    vlan: int | None = None
    addresses: tuple[str, ...] = ()
    #: For an endpoint, its network; ``l2 private`` is the network's mode and flag.
    network: str | None = None
    mode: str | None = None
    #: How its port of the wire is set (``trunk 20 30``); empty for a plain one.
    port: str = ""


class DrawnNode(_Drawn):
    """A host, router or container."""

    name: str
    kind: NodeKind
    host: str | None = None
    links: tuple[DrawnLink, ...] = ()


class Topology(_Drawn):
    """One lab."""

    name: str
    title: str = ""
    #: Wires in the order of the file; a switch has more than two ends or a port with settings.
    wires: tuple[str, ...] = ()
    nodes: tuple[DrawnNode, ...] = ()


def topology_of(prepared: Prepared) -> Topology:
    """The lab of a scenario as it stands before the first step; found by a dry run."""
    dry_run = DryRun(prepared.loaded)
    dry_run.build()
    dry_run.go_through(prepared.beginning)
    scenario = prepared.scenario
    return Topology(
        name=scenario.name,
        title=scenario.title,
        wires=tuple(scenario.wires),
        nodes=tuple(_node(prepared, dry_run, node) for node in dry_run.lab.nodes.values()),
    )


def _node(prepared: Prepared, dry_run: DryRun, node: RecordedNode) -> DrawnNode:
    if node.host is not None:
        parents = {name: network.parent.link for name, network in dry_run.engines[node.host].networks.items()}
        bare = node.name.partition("/")[2]
        return DrawnNode(
            name=prepared.naming.display(node.host, bare),
            kind=node.kind,
            host=node.host,
            links=tuple(_link(link, below=parents.get(str(link.network))) for link in node.links.values()),
        )
    spec = {**prepared.scenario.hosts, **prepared.scenario.routers}[node.name]
    ports = {name: _port_text(link.port) for name, link in spec.interfaces.items()}
    links = tuple(_link(link, port=ports.get(link.name, "")) for link in node.links.values())
    return DrawnNode(name=node.name, kind=node.kind, links=links)


def _port_text(port: Port | None) -> str:
    if port is None:
        return ""
    words = []
    for key, value in port.model_dump(exclude_defaults=True).items():
        shown = " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        words.append(key if value is True else f"{key} {shown}")
    return ", ".join(words)


def _link(link: RecordedLink, *, port: str = "", below: str | None = None) -> DrawnLink:
    return DrawnLink(
        name=link.name,
        kind=link.kind,
        wire=link.wire,
        below=below or link.below,
        vlan=link.vlan,
        addresses=tuple(str(address) for address in link.addresses),
        network=link.network,
        mode=None if link.mode is None else f"{link.mode} {link.flag}",
        port=port,
    )
