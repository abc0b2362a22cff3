"""``--filter`` of lists and prunes, on what the engine says of networks and containers.

Both the text commands and the HTTP API filter by these: for each name its
values. Source: moby ``daemon/network/filter.go``, ``daemon/list.go`` and
``api/types/filters``: several values of one name are alternatives (of ``label``
they must all hold), several names must all hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from ipvlab.driver.engine import Engine
from ipvlab.driver.options import parse_bool
from ipvlab.driver.state import Container, ContainerState
from ipvlab.errors import DriverRefusal

Filters = Mapping[str, Collection[str]]
_STATUSES = ("created", "dead", "exited", "paused", "removing", "restarting", "running")
_NETWORK_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_CONTAINER_FILTERS = frozenset(
    {
        "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name",
        "network", "publish", "since", "status", "volume",
    }
)  # fmt: skip


def filter_networks(
    engine: Engine, views: list[dict[str, object]], filters: Filters
) -> list[dict[str, object]]:
    """The networks of ``GET /networks`` that every filter takes, in their order.

    Raises :class:`DriverRefusal` (400) for a filter or a value that Docker does not know.
    """
    _check_names(filters, _NETWORK_FILTERS)
    kinds = filters.get("type", ())
    for kind in kinds:
        if kind not in ("builtin", "custom"):
            raise DriverRefusal(f"invalid filter: 'type'='{kind}'", status=400)
    dangling = _read_switch(filters, "dangling")

    def takes(view: dict[str, object]) -> bool:
        name, id_ = str(view["Name"]), str(view["Id"])
        is_builtin = name in engine.predefined
        labels = view["Labels"] if isinstance(view["Labels"], dict) else {}
        network = engine.networks.get(name)
        is_used = network is not None and bool(network.endpoints)
        return (
            _any(filters, "driver", lambda wanted: view["Driver"] == wanted)
            and _any(filters, "scope", lambda wanted: view["Scope"] == wanted)
            and _any(filters, "name", lambda wanted: re_or_part(wanted, name))
            and _any(filters, "id", lambda wanted: re_or_part(wanted, id_))
            and _labels(filters, labels)
            and (not kinds or ("builtin" if is_builtin else "custom") in kinds)
            and (dangling is None or dangling is not (is_builtin or is_used))
        )

    return [view for view in views if takes(view)]


def filter_containers(
    engine: Engine, filters: Filters, *, shows_all: bool = False, last: int | None = None
) -> list[Container]:
    """The containers of ``GET /containers/json``, the newest first.

    Without ``shows_all`` only running ones, unless a filter asks for a status or
    ``last`` for the newest so many. Raises :class:`DriverRefusal` (400, 404) for a
    filter or a value that Docker does not know.
    """
    _check_names(filters, _CONTAINER_FILTERS)
    for status in filters.get("status", ()):
        if status not in _STATUSES:
            raise DriverRefusal(
                f"invalid filter: 'status={status}': invalid value for state (\"{status}\"): must be one of "
                + ", ".join(f'"{known}"' for known in _STATUSES),
                status=400,
            )
    for code in filters.get("exited", ()):
        if not code.lstrip("-").isdecimal():
            raise DriverRefusal(f'strconv.Atoi: parsing "{code}": invalid syntax', status=400)
    newest_first = list(engine.containers.values())[::-1]
    bounds = {
        name: [engine.find_container(value) for value in filters.get(name, ())]
        for name in ("before", "since")
    }
    shows_all = shows_all or last is not None or bool({"status", "exited"} & filters.keys())
    places = {container.id: at for at, container in enumerate(newest_first)}

    def takes(container: Container) -> bool:
        if not (shows_all or container.is_running):
            return False
        place = places[container.id]
        return (
            _any(filters, "name", lambda wanted: re_or_part(wanted, container.name, f"/{container.name}"))
            and _any(filters, "id", lambda wanted: re_or_part(wanted, container.id))
            and _any(filters, "status", lambda wanted: str(container.state) == wanted)
            and _any(filters, "exited", lambda wanted: _has_ended(container, int(wanted)))
            and _any(filters, "network", lambda wanted: _is_on(container, engine, wanted))
            and _any(filters, "ancestor", lambda wanted: _same_image(container.request.image, wanted))
            and _labels(filters, container.request.labels)
            and all(place > places[other.id] for other in bounds["before"])
            and all(place < places[other.id] for other in bounds["since"])
            # What a lab's containers do not have is found nowhere.
            and _any(filters, "health", lambda wanted: wanted == "none")
            and _any(filters, "is-task", lambda wanted: parse_bool(wanted) is False)
            and not any(filters.get(name) for name in ("volume", "publish", "expose"))
        )

    found = [container for container in newest_first if takes(container)]
    return found if last is None else found[:last]


def re_or_part(wanted: str, *names: str) -> bool:
    """Whether a pattern is found in a name, or is a part of it (filters: Match)."""
    try:
        return any(re.search(wanted, name) is not None for name in names)
    except re.error:
        return any(wanted in name for name in names)


def _check_names(filters: Filters, known: Collection[str]) -> None:
    for name in filters:
        if name not in known:
            raise DriverRefusal(f"invalid filter '{name}'", status=400)


def _read_switch(filters: Filters, name: str) -> bool | None:
    values = list(filters.get(name, ()))
    if not values:
        return None
    value = parse_bool(values[0])
    if len(values) != 1 or value is None:
        shown = " ".join(values)
        raise DriverRefusal(f"invalid filter '{name}=[{shown}]'", status=400)
    return value


def _any(filters: Filters, name: str, takes: Callable[[str], bool]) -> bool:
    values = filters.get(name, ())
    return not values or any(takes(value) for value in values)


def _labels(filters: Filters, labels: Mapping[str, str]) -> bool:
    for wanted in filters.get("label", ()):
        key, equals, value = wanted.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _has_ended(container: Container, code: int) -> bool:
    return container.state is ContainerState.EXITED and container.exit_code == code


def _is_on(container: Container, engine: Engine, wanted: str) -> bool:
    names = {join.network for join in container.joins or container.request.networks}
    names |= {endpoint.network.name for endpoint in container.endpoints}
    ids = {engine.networks[name].id for name in names if name in engine.networks}
    return wanted in names or any(id_.startswith(wanted) for id_ in ids if wanted)


def _same_image(image: str, wanted: str) -> bool:
    return image == wanted or image.removesuffix(":latest") == wanted.removesuffix(":latest")
