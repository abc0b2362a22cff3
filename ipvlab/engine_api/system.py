"""``/_ping``, ``/version``, ``/info``, ``/events`` and what else clients ask before they begin."""

from __future__ import annotations

import datetime

from ipvlab.driver.api_json import info_json, version_json
from ipvlab.engine_api.feed import Feed
from ipvlab.engine_api.fields import read_filters
from ipvlab.engine_api.journal import check_filters, event_json, is_wanted
from ipvlab.engine_api.messages import JSON, PLAIN, Answer, Request, Streamed, answer_json
from ipvlab.engine_api.served import Served
from ipvlab.engine_api.timestamps import read_time
from ipvlab.errors import DriverRefusal

_PING_HEADERS = (
    ("Builder-Version", "2"),
    ("Docker-Experimental", "false"),
    ("Swarm", "inactive"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
)


def ping(_served: Served, _request: Request, _name: str) -> Answer:
    """``/_ping``: its headers tell the client which API to speak."""
    return Answer(200, b"OK", PLAIN, _PING_HEADERS)


def version(served: Served, _request: Request, _name: str) -> Answer:
    """``GET /version``."""
    return answer_json(version_json(served.host.engine))


def info(served: Served, _request: Request, _name: str) -> Answer:
    """``GET /info``; the labels name the lab."""
    about = {"lab": served.about.lab, "datapath": served.about.datapath}
    with served.host.lock:
        view = info_json(served.host)
    view["Labels"] = [f"ipvlab.{name}={value}" for name, value in about.items() if value]
    return answer_json(view)


def disk_usage(_served: Served, _request: Request, _name: str) -> Answer:
    """``GET /system/df``: a lab's images and containers are the machine's own files."""
    return answer_json(
        {"LayersSize": 0, "Images": [], "Containers": [], "Volumes": [], "BuildCache": [], "BuilderSize": 0}
    )


def nothing_to_prune(_served: Served, _request: Request, _name: str) -> Answer:
    """``POST /images/prune``, ``/volumes/prune``, ``/build/prune``: nothing is kept that could go."""
    gone = {"ImagesDeleted": None, "VolumesDeleted": None, "CachesDeleted": None}
    return answer_json({**gone, "SpaceReclaimed": 0})


def volumes(_served: Served, _request: Request, _name: str) -> Answer:
    """``GET /volumes``: there are none."""
    return answer_json({"Volumes": [], "Warnings": None})


def no_volume(_served: Served, _request: Request, name: str) -> Answer:
    """``GET /volumes/X``."""
    raise DriverRefusal(f"get {name}: no such volume", status=404)


def plugins(_served: Served, _request: Request, _name: str) -> Answer:
    """``GET /plugins``: there are none."""
    return answer_json([])


def no_plugin(_served: Served, _request: Request, name: str) -> Answer:
    """``GET /plugins/X/json``."""
    raise DriverRefusal(f'plugin "{name}" not found', status=404)


def events(served: Served, request: Request, _name: str) -> Streamed:
    """``GET /events``: what happened since ``since``, and what happens until ``until``."""
    since, until = (read_time(request.text(name), name) for name in ("since", "until"))
    filters = read_filters(request.text("filters"))
    check_filters(filters)
    past, box = served.journal.open(since)

    def produce(feed: Feed) -> None:
        for event in past:
            if until is not None and event.time > until:
                return
            if is_wanted(event, filters):
                feed.send_json(event_json(event))
        while until is None or (left := (until - datetime.datetime.now(datetime.UTC)).total_seconds()) > 0:
            for event in feed.next(box, None if until is None else left):
                if is_wanted(event, filters) and (until is None or event.time <= until):
                    feed.send_json(event_json(event))

    return Streamed(JSON, produce, lambda: served.journal.leave(box))
