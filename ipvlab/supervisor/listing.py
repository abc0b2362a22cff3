"""The labs that are up as ``ps`` shows them, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from ipvlab.supervisor.client import LabReport


def as_json(reports: Sequence[LabReport]) -> str:
    """A list of labs: name, supervisor pid, datapath, nodes; a lab that does not answer has no nodes."""
    return json.dumps([_lab(report) for report in reports], indent=2) + "\n"


def _lab(report: LabReport) -> dict[str, object]:
    about = report.about or {}
    return {
        "name": report.name,
        "pid": report.pid,
        "datapath": about.get("datapath"),
        "state": about.get("state", "not answering"),
        "scenario": about.get("scenario"),
        "log": log_of(report),
        "nodes": [_node(report, node) for node in nodes_of(report)],
    }


def _node(report: LabReport, node: Mapping[str, object]) -> dict[str, object]:
    """One node; what only a real one or only a host has is null for the others."""
    descriptor = node.get("descriptor")
    return {
        "name": node.get("name"),
        "kind": node.get("kind"),
        "host": node.get("host"),
        "addresses": node.get("addresses"),
        "namespace": None if descriptor is None else f"/proc/{report.pid}/fd/{descriptor}",
        "api": socket_of(report, node),
    }


def nodes_of(report: LabReport) -> list[Mapping[str, object]]:
    """What a lab says of its nodes."""
    nodes = (report.about or {}).get("nodes")
    return [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []


def socket_of(report: LabReport, node: Mapping[str, object]) -> str | None:
    """Where a host's Engine API listens, as a path of the machine."""
    path = node.get("api")
    return f"/proc/{report.pid}/root{path}" if isinstance(path, str) else None


def log_of(report: LabReport) -> str:
    """Where the supervisor's log is, as a path of the machine."""
    path = (report.about or {}).get("log")
    return f"/proc/{report.pid}/root{path}" if path else f"/proc/{report.pid}/fd/2"


def as_text(reports: Sequence[LabReport], *, is_verbose: bool = False) -> str:
    """The labs as a person reads them, a line for each node."""
    if not reports:
        return "no lab is up\n"
    return "".join(f"{line}\n" for report in reports for line in describe(report, is_verbose=is_verbose))


def describe(report: LabReport, *, is_verbose: bool = False) -> Iterator[str]:
    """One lab, line by line."""
    if report.about is None:
        yield f"{report.name}: process {report.pid} does not answer (ipvlab down {report.name} ends it)"
        return
    state = "" if report.about.get("state") == "up" else f", {report.about.get('state')}"
    datapath = report.about.get("datapath") or "not chosen yet"
    yield f"{report.name}: process {report.pid}, datapath {datapath}{state}"
    if is_verbose:
        yield f"  scenario {report.about.get('scenario')}"
        yield f"  log {log_of(report)}"
    nodes = nodes_of(report)
    width = max((len(str(node.get("name"))) for node in nodes), default=0)
    for node in nodes:
        kind = f"container of {node.get('host')}" if node.get("host") else str(node.get("kind"))
        addresses = node.get("addresses")
        held = " ".join(str(address) for address in addresses) if isinstance(addresses, list) else ""
        yield f"  {node.get('name')!s:<{width}}  {kind}  {held}".rstrip()
        if is_verbose:
            if node.get("descriptor") is not None:
                yield f"  {'':<{width}}  namespace /proc/{report.pid}/fd/{node.get('descriptor')}"
            if socket_of(report, node) is not None:
                yield f"  {'':<{width}}  DOCKER_HOST=unix://{socket_of(report, node)}"
