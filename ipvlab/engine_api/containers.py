"""``/containers``: create, list, inspect, top, prune; what acts on one is in :mod:`.lifecycle`."""

from __future__ import annotations

from collections.abc import Mapping

from ipvlab.driver.api_json import container_json, container_summary
from ipvlab.driver.filters import filter_containers
from ipvlab.engine_api.bodies import console_size, container_request
from ipvlab.engine_api.fields import read_filters, read_object
from ipvlab.engine_api.messages import Answer, Request, answer_json
from ipvlab.engine_api.processes import TITLES, list_processes
from ipvlab.engine_api.served import Served
from ipvlab.engine_api.timestamps import read_time
from ipvlab.errors import DriverRefusal


def create_container(served: Served, request: Request, _name: str) -> Answer:
    """``POST /containers/create``: never 404, every image is there, and a network may come later."""
    body = read_object(request.body, request.headers.get("content-type", ""), "CreateRequest")
    wanted, warnings = container_request(request.text("name"), body, request.version)
    container = served.host.create(wanted)
    size = console_size(body.part("HostConfig"))
    if wanted.has_tty and size is not None:
        served.attached.note_size(container, size)
    return answer_json({"Id": container.id, "Warnings": warnings}, 201)


def list_containers(served: Served, request: Request, _name: str) -> Answer:
    """``GET /containers/json``: the newest first; stopped ones only with ``all``, or a filter on them."""
    filters = read_filters(request.text("filters"))
    limit = request.number("limit") or 0
    with served.host.lock:
        found = filter_containers(
            served.host.engine, filters, shows_all=request.is_set("all"), last=limit if limit > 0 else None
        )
        views = [container_summary(container, served.host) for container in found]
    return answer_json(views)


def inspect_container(served: Served, request: Request, name: str) -> Answer:
    """``GET /containers/X/json``."""
    with served.host.lock:
        container = served.host.engine.find_container(name)
        program = served.programs.program(container)
        view = container_json(container, served.host, pid=program.pid if program is not None else 0)
    view["ExecIDs"] = served.execs.ids_of(container) or None
    if request.is_set("size"):
        view |= {"SizeRw": 0, "SizeRootFs": 0}
    return answer_json(view)


def top(served: Served, _request: Request, name: str) -> Answer:
    """``GET /containers/X/top``: the processes of a running container, as ``ps -ef`` shows them."""
    container = served.container(name)
    if not container.is_running:
        raise DriverRefusal(f"container {container.id} is not running", status=409)
    program = served.programs.program(container)
    rows = list_processes(program.pid if program is not None else None)
    return answer_json({"Titles": TITLES, "Processes": rows})


def prune_containers(served: Served, request: Request, _name: str) -> Answer:
    """``POST /containers/prune``: those that do not run go, by ``label``, ``label!`` and ``until``."""
    filters = read_filters(request.text("filters"))
    until = [read_time(text, "until") for text in filters.get("until", ())]
    for name in filters:
        if name not in ("label", "label!", "until"):
            raise DriverRefusal(f"invalid filter '{name}'", status=400)
    removed = []
    with served.host.lock:
        for container in list(served.host.engine.containers.values()):
            labels = container.request.labels
            if (
                not container.is_running
                and all(_has_label(labels, text) for text in filters.get("label", ()))
                and not any(_has_label(labels, text) for text in filters.get("label!", ()))
                and all(moment is None or container.created < moment for moment in until)
            ):
                served.host.remove(container.id)
                removed.append(container.id)
    return answer_json({"ContainersDeleted": removed or None, "SpaceReclaimed": 0})


def _has_label(labels: Mapping[str, str], text: str) -> bool:
    key, equals, value = text.partition("=")
    return key in labels and (not equals or labels[key] == value)
