"""A scenario as a Mermaid graph: wires, hosts with their links and networks, containers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ipvlab.driver.engine import Engine
from ipvlab.run.dry_run import DryRun
from ipvlab.run.prepare import Prepared
from ipvlab.run.record import RecordedLink, RecordedNode


def format_graph(prepared: Prepared) -> str:
    """The lab as it stands before the first step, as a ``flowchart``; found by a dry run."""
    dry_run = DryRun(prepared.loaded)
    dry_run.build()
    dry_run.go_through(prepared.beginning)
    return "\n".join(_lines(prepared, dry_run)) + "\n"


def _lines(prepared: Prepared, dry_run: DryRun) -> Iterator[str]:
    if prepared.scenario.title:
        yield "---"
        yield f"title: {_quoted(prepared.scenario.title)}"
        yield "---"
    yield "flowchart TB"
    for wire in prepared.scenario.wires:
        yield f"  {_id('wire', wire)}{{{{{_quoted(f'wire {wire}')}}}}}"
    machines = [node for node in dry_run.lab.nodes.values() if node.kind != "container"]
    for node in machines:
        yield from _machine(prepared, dry_run, node)
    for node in machines:
        for link in node.links.values():
            if link.wire is not None:
                port = _port_of(prepared, node.name, link.name)
                yield f"  {_id('link', node.name, link.name)} ---{port} {_id('wire', link.wire)}"


def _machine(prepared: Prepared, dry_run: DryRun, node: RecordedNode) -> Iterator[str]:
    """A host or router as a box: its links, and on a host the networks and containers above them."""
    yield f"  subgraph {_id(node.kind, node.name)}[{_quoted(f'{node.kind} {node.name}')}]"
    for link in node.links.values():
        yield f"    {_id('link', node.name, link.name)}[{_quoted(_link(link))}]"
    for link in node.links.values():
        if link.below is not None:
            yield f"    {_id('link', node.name, link.name)} --- {_id('link', node.name, link.below)}"
    engine = dry_run.engines.get(node.name)
    if engine is not None:
        yield from _docker(prepared, dry_run, engine)
    yield "  end"


def _docker(prepared: Prepared, dry_run: DryRun, engine: Engine) -> Iterator[str]:
    host = engine.host
    for network in engine.networks.values():
        lines = [f"{network.name}: {network.options.mode} {network.options.flag}"]
        lines += [str(pool.subnet) for pool in network.pools]
        if network.request.is_internal:
            lines.append("internal")
        here = _id("network", host, network.name)
        yield f"    {here}([{_quoted(*lines)}])"
        yield f"    {here} --- {_id('link', host, network.parent.link)}"
    for container in engine.containers.values():
        name = prepared.naming.display(host, container.name)
        node = dry_run.lab.nodes.get(dry_run.ground.container_name(host, container.name))
        here = _id("container", host, container.name)
        if node is None:
            yield f"    {here}({_quoted(name, 'stopped')})"
            continue
        lines = [_link(link) for link in node.links.values()]
        yield f"    {here}({_quoted(name, *lines)})"
        for link in node.links.values():
            if link.network is not None:
                yield f"    {here} --- {_id('network', host, link.network)}"


def _port_of(prepared: Prepared, node: str, link: str) -> str:
    """How the wire's port treats tags, as the label of an edge."""
    scenario = prepared.scenario
    spec = scenario.hosts.get(node) or scenario.routers[node]
    port = spec.interfaces[link].port if link in spec.interfaces else None
    if port is None:
        return ""
    words = [
        f"{key} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
        for key, value in (("access", port.access), ("trunk", port.trunk), ("native", port.native))
        if value is not None
    ]
    words += ["hairpin"] if port.hairpin else []
    return f"|{_quoted(', '.join(words))}|" if words else ""


def _link(link: RecordedLink) -> str:
    words = [link.name]
    if link.kind == "vlan":
        words.append(f"VLAN {link.vlan}")
    elif link.kind == "isolated":
        words.append("leads nowhere")
    words += [str(address) for address in link.addresses]
    return " ".join(words) + ("" if link.is_up else " (down)")


def _id(*words: str) -> str:
    """An identifier that no other thing of the graph has; names hold dots, slashes and dashes."""
    return "_".join(re.sub(r"[^a-zA-Z0-9]", lambda found: f"x{ord(found[0]):x}", word) for word in words)


def _quoted(*lines: str) -> str:
    """A label; Mermaid writes what has a meaning of its own as entities."""
    text = "<br/>".join(re.sub(r'["#<>&]', lambda found: f"#{ord(found[0])};", line) for line in lines)
    return f'"{text}"'
