"""``/networks``: create, list, inspect, remove, connect, disconnect, prune."""

from __future__ import annotations

from ipvlab.driver.api_json import inspect_network_json, networks_json
from ipvlab.driver.filters import filter_networks
from ipvlab.engine_api.bodies import endpoint_request, network_request
from ipvlab.engine_api.fields import Fields, read_filters, read_object
from ipvlab.engine_api.messages import NO_CONTENT, Answer, Request, answer_json
from ipvlab.engine_api.served import Served
from ipvlab.errors import DriverRefusal


def create_network(served: Served, request: Request, _name: str) -> Answer:
    """``POST /networks/create``."""
    wanted = network_request(_read(request, "CreateRequest"), request.version)
    network = served.host.create_network(wanted)
    return answer_json({"Id": network.id, "Warning": ""}, 201)


def list_networks(served: Served, request: Request, _name: str) -> Answer:
    """``GET /networks``; the client sorts."""
    filters = read_filters(request.text("filters"))
    with served.host.lock:
        engine = served.host.engine
        views = filter_networks(engine, networks_json(engine), filters)
    return answer_json(views)


def inspect_network(served: Served, request: Request, name: str) -> Answer:
    """``GET /networks/X``; ``scope`` narrows to one, and a lab has local ones only."""
    if request.text("scope") not in ("", "local"):
        raise DriverRefusal(f"network {name} not found", status=404)
    with served.host.lock:
        view = inspect_network_json(served.host.engine, name)
    if request.is_set("verbose"):
        view["Services"] = {}
    return answer_json(view)


def remove_network(served: Served, _request: Request, name: str) -> Answer:
    """``DELETE /networks/X``."""
    served.host.remove_network(name)
    return NO_CONTENT


def connect(served: Served, request: Request, name: str) -> Answer:
    """``POST /networks/X/connect``."""
    body = _read(request, "ConnectRequest")
    container = body.text("Container")
    served.host.connect(name, container, endpoint_request(name, body.part("EndpointConfig")))
    return Answer(200)


def disconnect(served: Served, request: Request, name: str) -> Answer:
    """``POST /networks/X/disconnect``."""
    body = _read(request, "DisconnectRequest")
    served.host.disconnect(name, body.text("Container"), force=body.flag("Force"))
    return Answer(200)


def prune_networks(served: Served, request: Request, _name: str) -> Answer:
    """``POST /networks/prune``: what goes, or null."""
    removed = served.host.prune_networks(read_filters(request.text("filters")))
    return answer_json({"NetworksDeleted": removed or None})


def _read(request: Request, place: str) -> Fields:
    return read_object(request.body, request.headers.get("content-type", ""), place)
