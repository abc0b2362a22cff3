"""Which networks a container joins, and how: the options of ``docker run`` that say so.

Source of rules and texts: docker/cli ``opts/network.go`` and
``cli/command/container/opts.go``: parseNetworkOpts, applyContainerOptions.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping
from typing import TypeVar

from ipvlab.driver.flags import ClientFault, Options
from ipvlab.driver.requests import EndpointRequest

_Setting = TypeVar("_Setting")
_KEYS = frozenset({"name", "alias", "driver-opt", "ip", "ip6", "link-local-ip", "mac-address", "gw-priority"})


def read_network_flags(options: Options) -> tuple[EndpointRequest, ...]:
    """The networks of ``docker run`` in the order written; without one it is ``bridge``.

    ``--ip``, ``--ip6``, ``--mac-address`` and ``--network-alias`` belong to the
    first. Raises :class:`ClientFault` (exit code 125).
    """
    requests = [_read_network(text) for text in options.all("network")] or [EndpointRequest("bridge")]
    names = [request.network for request in requests]
    for name in names:
        if names.count(name) > 1:
            raise _fault(f'network "{name}" is specified multiple times')
    first = requests[0]
    requests[0] = dataclasses.replace(
        first,
        ipv4=_choose("--ip", options.last("ip"), "IPv4 address", first.ipv4),
        ipv6=_choose("--ip6", options.last("ip6"), "IPv6 address", first.ipv6),
        mac=_choose("--mac-address", options.last("mac-address"), "MAC address", first.mac),
        aliases=_choose(
            "--network-alias", options.all("network-alias") or None, "alias", first.aliases or None
        )
        or (),
    )
    return tuple(requests)


def _choose(option: str, own: _Setting | None, what: str, per_network: _Setting | None) -> _Setting | None:
    if own is not None and per_network is not None:
        raise _fault(f"conflicting options: cannot specify both {option} and per-network {what}")
    return per_network if own is None else own


def _read_network(text: str) -> EndpointRequest:
    """One ``--network``: a name, or ``name=N,alias=A,ip=…`` (client: opts/network.go)."""
    if "=" not in text:
        return EndpointRequest(text)
    fields: dict[str, list[str]] = {}
    for part in next(csv.reader(io.StringIO(text))):
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        if not equals:
            raise _fault(f'invalid argument "{text}" for "--network" flag: invalid field {part}')
        if key not in _KEYS:
            raise _fault(f'invalid argument "{text}" for "--network" flag: invalid field key {key}')
        fields.setdefault(key, []).append(value.strip())
    if "name" not in fields:
        raise _fault(f'invalid argument "{text}" for "--network" flag: network name/id is not specified')
    priority = _last(fields, "gw-priority") or "0"
    if not priority.removeprefix("-").isdecimal():
        raise _fault(f'invalid argument "{text}" for "--network" flag: invalid gw-priority: {priority}')
    return EndpointRequest(
        network=fields["name"][-1],
        ipv4=_last(fields, "ip"),
        ipv6=_last(fields, "ip6"),
        aliases=tuple(fields.get("alias", ())),
        link_local=tuple(fields.get("link-local-ip", ())),
        mac=_last(fields, "mac-address"),
        gw_priority=int(priority),
        options=dict(option.split("=", 1) for option in fields.get("driver-opt", ()) if "=" in option),
    )


def _last(fields: Mapping[str, list[str]], key: str) -> str | None:
    return fields[key][-1] if key in fields else None


def _fault(text: str) -> ClientFault:
    return ClientFault(f"docker: {text}\n\nRun 'docker run --help' for more information", 125)
