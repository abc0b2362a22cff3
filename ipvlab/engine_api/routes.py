"""Which handler answers which method and path; what goes wrong becomes the engine's kind of error."""

from __future__ import annotations

import logging
import re

from ipvlab.engine_api import containers, exec_routes, image_routes, lifecycle, logs, networks, system
from ipvlab.engine_api.messages import Answer, Outcome, Received, Request, answer_error, split_target
from ipvlab.engine_api.served import Handler, Served
from ipvlab.engine_api.versions import check_version, split_version
from ipvlab.errors import DriverRefusal, IpvlabError

_log = logging.getLogger(__name__)

#: Method, path, handler. ``{}`` is a name or an id; the first that fits wins.
_TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/_ping", system.ping),
    ("HEAD", "/_ping", system.ping),
    ("GET", "/version", system.version),
    ("GET", "/info", system.info),
    ("GET", "/events", system.events),
    ("GET", "/system/df", system.disk_usage),
    ("GET", "/networks", networks.list_networks),
    ("POST", "/networks/create", networks.create_network),
    ("POST", "/networks/prune", networks.prune_networks),
    ("POST", "/networks/{}/connect", networks.connect),
    ("POST", "/networks/{}/disconnect", networks.disconnect),
    ("GET", "/networks/{}", networks.inspect_network),
    ("DELETE", "/networks/{}", networks.remove_network),
    ("GET", "/containers/json", containers.list_containers),
    ("POST", "/containers/create", containers.create_container),
    ("POST", "/containers/prune", containers.prune_containers),
    ("GET", "/containers/{}/json", containers.inspect_container),
    ("GET", "/containers/{}/logs", logs.logs),
    ("GET", "/containers/{}/top", containers.top),
    ("POST", "/containers/{}/attach", lifecycle.attach),
    ("POST", "/containers/{}/wait", lifecycle.wait),
    ("POST", "/containers/{}/start", lifecycle.start),
    ("POST", "/containers/{}/stop", lifecycle.stop),
    ("POST", "/containers/{}/restart", lifecycle.restart),
    ("POST", "/containers/{}/kill", lifecycle.kill),
    ("POST", "/containers/{}/resize", lifecycle.resize),
    ("POST", "/containers/{}/rename", lifecycle.rename),
    ("POST", "/containers/{}/exec", exec_routes.create),
    ("DELETE", "/containers/{}", lifecycle.remove),
    ("POST", "/exec/{}/start", exec_routes.start),
    ("POST", "/exec/{}/resize", exec_routes.resize),
    ("GET", "/exec/{}/json", exec_routes.inspect),
    ("GET", "/images/json", image_routes.list_images),
    ("POST", "/images/create", image_routes.pull),
    ("GET", "/images/{}/json", image_routes.inspect),
    ("DELETE", "/images/{}", image_routes.remove),
    ("POST", "/images/prune", system.nothing_to_prune),
    ("POST", "/volumes/prune", system.nothing_to_prune),
    ("POST", "/build/prune", system.nothing_to_prune),
    ("GET", "/volumes", system.volumes),
    ("GET", "/volumes/{}", system.no_volume),
    ("GET", "/plugins", system.plugins),
    ("GET", "/plugins/{}/json", system.no_plugin),
)
#: What Docker's API has and a lab has not, by the beginning of the path.
_UNSERVED = (
    "archive auth build changes commit configs copy distribution export get grpc load nodes "
    "pause plugins search secrets services session stats swarm tasks unpause update volumes ws"
).split()


def _compile(pattern: str) -> re.Pattern[str]:
    # Names of images have slashes.
    return re.compile(re.escape(pattern).replace(r"\{\}", "(.+)"), re.DOTALL)


_ROUTES = tuple((method, _compile(pattern), handler) for method, pattern, handler in _TABLE)


def respond(served: Served, received: Received) -> Outcome:
    """Answer a request; whatever goes wrong becomes an answer too."""
    try:
        return _respond(served, received)
    except DriverRefusal as refusal:
        return answer_error(refusal.status, refusal.what)
    except IpvlabError as error:
        return answer_error(500, error.what)
    except Exception as error:  # noqa: BLE001 - logged; one broken request must not end the connection
        _log.exception("%s %s", received.method, received.target)
        return answer_error(500, f"ipvlab: internal error: {type(error).__name__}: {error}")


def _respond(served: Served, received: Received) -> Outcome:
    try:
        path, query = split_target(received.target)
    except ValueError:
        return answer_error(400, f"malformed request target {received.target!r}")
    text, path = split_version(path)
    version = check_version(text, served.release)
    request = Request(received.method, path, query, received.headers, received.body, version)
    for method, pattern, handler in _ROUTES:
        if method == received.method and (match := pattern.fullmatch(path)):
            return handler(served, request, match[1] if pattern.groups else "")
    return _answer_unserved(path)


def _answer_unserved(path: str) -> Answer:
    parts = [part for part in path.split("/") if part]
    # The second part is a name, but for images, which may be searched, saved and loaded.
    telling = parts if parts[:1] == ["images"] else (*parts[:1], *parts[2:])
    if any(part in _UNSERVED for part in telling):
        return answer_error(
            501, f"a lab's engine has no {path}: it serves networks, containers, exec and events"
        )
    return answer_error(404, "page not found")
