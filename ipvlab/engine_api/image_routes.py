"""``/images``: list, inspect, pull, remove; see :mod:`ipvlab.engine_api.images`."""

from __future__ import annotations

from collections import Counter

from ipvlab.driver.api_json import version_json
from ipvlab.engine_api.bodies import check_image
from ipvlab.engine_api.feed import Feed
from ipvlab.engine_api.images import familiar, image_json, image_summary, pull_lines
from ipvlab.engine_api.messages import JSON, Answer, Request, Streamed, answer_json
from ipvlab.engine_api.served import Served


def list_images(served: Served, _request: Request, _name: str) -> Answer:
    """``GET /images/json``."""
    counts = Counter(familiar(name) for name in _used(served))
    return answer_json([image_summary(name, counts[name]) for name in served.images.names(counts)])


def inspect(served: Served, _request: Request, name: str) -> Answer:
    """``GET /images/X/json``."""
    found = served.images.find(name, _used(served))
    with served.host.lock:
        return answer_json(image_json(found, version_json(served.host.engine)))


def pull(served: Served, request: Request, _name: str) -> Streamed:
    """``POST /images/create``: nothing is fetched, and the client hears so."""
    name = request.text("fromImage")
    tag = request.text("tag")
    if tag:
        name += f"@{tag}" if ":" in tag else f":{tag}"
    shown = served.images.pull(check_image(name))

    def produce(feed: Feed) -> None:
        for line in pull_lines(shown):
            feed.send_json(line)

    return Streamed(JSON, produce)


def remove(served: Served, _request: Request, name: str) -> Answer:
    """``DELETE /images/X``."""
    return answer_json([{"Untagged": served.images.remove(name, _used(served))}])


def _used(served: Served) -> list[str]:
    with served.host.lock:
        return [container.request.image for container in served.host.engine.containers.values()]
