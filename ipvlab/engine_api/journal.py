"""What happened on one host, as ``/events`` tells it: the last of the past, and the present."""

from __future__ import annotations

import datetime
import threading
from collections import deque
from collections.abc import Mapping

from ipvlab.driver.docker_host import ContainerEvent, DockerHost
from ipvlab.driver.json_text import JsonObject, by_key
from ipvlab.engine_api.mailbox import Mailbox
from ipvlab.errors import DriverRefusal

#: As many as the engine keeps (moby ``daemon/events/events.go``: eventsLimit).
_KEPT = 256
#: Filters that name what no lab has; nothing matches them.
_OTHER_FILTERS = frozenset({"config", "daemon", "node", "plugin", "secret", "service", "volume"})
_OWN_FILTERS = frozenset({"container", "event", "image", "label", "network", "scope", "type"})

Filters = Mapping[str, tuple[str, ...]]


class Journal:
    """Listens to a host from its beginning on."""

    def __init__(self, host: DockerHost) -> None:
        self._lock = threading.Lock()
        self._past: deque[ContainerEvent] = deque(maxlen=_KEPT)
        self._boxes: set[Mailbox[ContainerEvent]] = set()
        self._stop = host.listen(self._hear)

    def close(self) -> None:
        """Hear nothing more."""
        self._stop()

    def open(self, since: datetime.datetime | None) -> tuple[list[ContainerEvent], Mailbox[ContainerEvent]]:
        """What happened from ``since`` on, as far as it is kept, and a mailbox for what follows it."""
        box: Mailbox[ContainerEvent] = Mailbox()
        with self._lock:
            past = [] if since is None else [event for event in self._past if event.time >= since]
            self._boxes.add(box)
        return past, box

    def leave(self, box: Mailbox[ContainerEvent]) -> None:
        """Post no more to a mailbox of :meth:`open`, and close it."""
        with self._lock:
            self._boxes.discard(box)
        box.close()

    def _hear(self, event: ContainerEvent) -> None:
        with self._lock:
            self._past.append(event)
            for box in self._boxes:
                box.post(event)


def check_filters(filters: Filters) -> None:
    """Raise :class:`DriverRefusal` (400) for a filter that the engine does not know."""
    for name in filters:
        if name not in _OWN_FILTERS | _OTHER_FILTERS:
            raise DriverRefusal(f"invalid filter '{name}'", status=400)


def is_wanted(event: ContainerEvent, filters: Filters) -> bool:
    """Whether an event passes: of each filter one value must fit (moby ``daemon/events/filter.go``)."""
    return all(_fits(event, name, wanted) for name, wanted in filters.items() if wanted)


def _fits(event: ContainerEvent, name: str, wanted: tuple[str, ...]) -> bool:
    match name:
        case "type":
            return event.kind in wanted
        case "event":
            return event.action in wanted
        case "scope":
            return "local" in wanted
        case "label":
            return all(_has_label(event, text) for text in wanted)
        case "image":
            return event.attributes.get("image") in wanted
        case "container" | "network":
            return any(_names(event, name, text) for text in wanted)
    return False


def _names(event: ContainerEvent, kind: str, text: str) -> bool:
    if event.kind == kind:
        return event.attributes.get("name") == text or event.id.startswith(text)
    # A network's connect and disconnect name the container too.
    return kind == "container" and event.attributes.get("container", "").startswith(text)


def _has_label(event: ContainerEvent, text: str) -> bool:
    key, equals, value = text.partition("=")
    return key in event.attributes and (not equals or event.attributes[key] == value)


def event_json(event: ContainerEvent) -> JsonObject:
    """One line of ``GET /events``; ``status``, ``id`` and ``from`` are of before API 1.22, and still sent."""
    before: JsonObject = {}
    if event.kind == "container":
        before = {"status": event.action, "id": event.id, "from": event.attributes.get("image", "")}
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    nanoseconds = (event.time - epoch) // datetime.timedelta(microseconds=1) * 1000
    return before | {
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": by_key(event.attributes)},
        "scope": "local",
        "time": nanoseconds // 10**9,
        "timeNano": nanoseconds,
    }
