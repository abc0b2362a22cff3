"""``ipvlab plan``: what a scenario would build, as text; found by a dry run, so it needs no privileges."""

from __future__ import annotations

from collections.abc import Iterator

from ipvlab.driver.engine import Engine
from ipvlab.driver.port import RoutePlan
from ipvlab.driver.state import Container, Network
from ipvlab.lab.sysctls import EVERYWHERE, SWITCH
from ipvlab.linux.link_settings import LINK_OF_A_HOST
from ipvlab.run.dry_run import DryRun
from ipvlab.run.prepare import Prepared
from ipvlab.run.record import RecordedLink, RecordedNode


def format_plan(prepared: Prepared) -> str:
    """The lab as it stands before the first step: wires, nodes, networks, containers, sysctls, warnings."""
    dry_run = DryRun(prepared.loaded)
    dry_run.build()
    dry_run.go_through(prepared.beginning)
    return "\n".join(_lines(prepared, dry_run)) + "\n"


def _lines(prepared: Prepared, dry_run: DryRun) -> Iterator[str]:
    scenario = prepared.scenario
    yield f"scenario {scenario.name}" + (f": {scenario.title}" if scenario.title else "")
    yield f"dialect {scenario.dialect}"
    yield from _wires(prepared)
    for node in dry_run.lab.nodes.values():
        if node.kind == "container":
            continue
        spec = scenario.hosts.get(node.name) or scenario.routers[node.name]
        yield ""
        yield f"{node.kind} {node.name}" + (" (forwards)" if spec.forwarding else "")
        for hook in type(spec.firewall).model_fields:
            if getattr(spec.firewall, hook) is not None:
                yield f"  firewall {hook}: drops echo and UDP"
        for link in node.links.values():
            yield "  " + _link(link)
        for route in node.routes:
            yield "  route " + _route(route)
        engine = dry_run.engines.get(node.name)
        if engine is not None:
            yield from _docker(prepared, dry_run, engine)
    checks = len(scenario.expect) + sum(len(step.expect) for step in scenario.steps)
    yield ""
    yield f"{checks} expectations, {len(scenario.steps)} steps"
    yield ""
    yield "sysctls of every namespace (net.*), none inherited from the machine:"
    for path, value in EVERYWHERE.items():
        yield f"  {_sysctl(path)} = {_value(value)}"
    yield "  ipv4.ip_forward, ipv6.conf.all.forwarding = 1 where a node forwards, else 0"
    yield "sysctls of each link of a host or router, and of an endpoint with IPv6 (the ipv6 ones):"
    for path, value in LINK_OF_A_HOST.items():
        yield f"  {_sysctl(path)} = {_value(value)}"
    yield "sysctls of a switch, on top:"
    for path, value in SWITCH.items():
        yield f"  {_sysctl(path)} = {_value(value)}"
    for warning in prepared.warnings:
        yield f"warning: {warning}"


def _wires(prepared: Prepared) -> Iterator[str]:
    scenario = prepared.scenario
    nodes = {**scenario.hosts, **scenario.routers}
    for wire in scenario.wires:
        plugs = [
            (f"{node}:{name}", interface.port)
            for node, spec in nodes.items()
            for name, interface in spec.interfaces.items()
            if interface.wire == wire
        ]
        is_switch = len(plugs) > 2 or any(port is not None for _, port in plugs)
        ends = []
        for place, port in plugs:
            options = (
                []
                if port is None
                else [
                    f"{key} {_value(getattr(port, key))}"
                    for key in ("access", "trunk", "native", "hairpin")
                    if getattr(port, key)
                ]
            )
            ends.append(place + (f" [{', '.join(options)}]" if options else ""))
        yield f"wire {wire} ({'switch' if is_switch else 'veth'}): {', '.join(ends) or 'no ends'}"


def _link(link: RecordedLink) -> str:
    words = [f"link {link.name}"]
    if link.wire is not None:
        words.append(f"on wire {link.wire}")
    elif link.kind == "vlan":
        words.append(f"vlan {link.vlan} on {link.below}")
    elif link.kind == "isolated":
        words.append("isolated parent, leads nowhere")
    elif link.below is not None:
        words.append(f"on {link.below}")
    words += [str(address) for address in link.addresses]
    if link.mac is not None:
        words.append(f"mac {link.mac}")
    if link.mtu != 1500:
        words.append(f"mtu {link.mtu}")
    if not link.is_up:
        words.append("down")
    return ", ".join(words)


def _route(route: RoutePlan) -> str:
    words = [str(route.to)]
    if route.to == "default" and route.version == 6:
        words.append("(IPv6)")
    if route.via is not None:
        words.append(f"via {route.via}")
    if route.dev:
        words.append(f"dev {route.dev}")
    return " ".join(words)


def _docker(prepared: Prepared, dry_run: DryRun, engine: Engine) -> Iterator[str]:
    for network in engine.networks.values():
        yield f"  network {network.name}: {_network(network)}"
        for pool in network.pools:
            gateway = f", gateway {pool.gateway}" if pool.gateway is not None else ", no gateway"
            chosen = " (chosen by the driver)" if pool.is_automatic else ""
            ip_range = f", range {pool.ip_range}" if pool.ip_range is not None else ""
            aux = "".join(f", {name} {address}" for name, address in pool.aux_addresses.items())
            yield f"    subnet {pool.subnet}{chosen}{gateway}{ip_range}{aux}"
    for container in engine.containers.values():
        yield from _container(prepared, dry_run, engine, container)


def _network(network: Network) -> str:
    words = [f"{network.options.mode} {network.options.flag}"]
    made = "made by the driver" if network.parent.is_made else "already there"
    words.append(f"parent {network.parent.link} ({made})")
    if network.request.is_internal:
        words.append("internal")
    return ", ".join(words)


def _container(prepared: Prepared, dry_run: DryRun, engine: Engine, container: Container) -> Iterator[str]:
    name = prepared.naming.display(engine.host, container.name)
    node = dry_run.lab.nodes.get(dry_run.ground.container_name(engine.host, container.name))
    yield f"  container {name}" + ("" if node is not None else " (stopped)")
    if node is not None:
        yield from _interior(node)


def _interior(node: RecordedNode) -> Iterator[str]:
    for link in node.links.values():
        addresses = ", ".join(str(address) for address in link.addresses) or "no address"
        yield f"    {link.name} on network {link.network}: {addresses}"
    for route in node.routes:
        yield "    route " + _route(route)


def _sysctl(path: str) -> str:
    return path.replace("/", ".")


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(str(item) for item in value)
    return str(value).replace("\t", " ")
