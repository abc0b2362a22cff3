"""What ``docker network ls`` and ``docker network inspect`` print."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from ipvlab.driver.api_json import networks_json
from ipvlab.driver.docker_commands import NetworkList
from ipvlab.driver.engine import Engine
from ipvlab.driver.filters import filter_networks
from ipvlab.driver.json_text import JsonObject
from ipvlab.driver.state import SHORT_ID
from ipvlab.driver.tables import join_labels, list_rows, natural_key
from ipvlab.driver.template_values import Method, NilList, NilMap, Struct, Time, Value

_TABLE = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"
_RAW = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"
_HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}


def list_networks(engine: Engine, command: NetworkList) -> str:
    """The text of ``docker network ls``: the predefined networks and the host's own, in natural order.

    Raises :class:`DriverRefusal` for a filter and :class:`TemplateFault` for a format that is none.
    """
    views = filter_networks(engine, networks_json(engine), command.filters)
    views.sort(key=lambda view: natural_key(str(view["Name"])))
    template = command.format
    if command.is_quiet and template in ("", "table"):
        template = "{{.ID}}"
    elif command.is_quiet and template == "raw":
        template = "network_id: {{.ID}}"
    rows = (_row(view, is_whole=command.is_whole) for view in views)
    return list_rows(rows, template, _HEADERS, _TABLE, _RAW)


def _row(view: JsonObject, *, is_whole: bool) -> Struct:
    labels = view["Labels"] if isinstance(view["Labels"], Mapping) else {}
    id_ = str(view["Id"])
    texts = {
        "ID": id_ if is_whole else id_[:SHORT_ID],
        "Name": str(view["Name"]),
        "Driver": str(view["Driver"]),
        "Scope": str(view["Scope"]),
        # Absent before API 1.48, and off to a client that looks for it.
        "IPv4": "true" if view.get("EnableIPv4") else "false",
        "IPv6": "true" if view["EnableIPv6"] else "false",
        "Internal": "true" if view["Internal"] else "false",
        "Labels": join_labels(labels),
        "CreatedAt": str(Time(datetime.datetime.fromisoformat(str(view["Created"])))),
    }
    methods: dict[str, Method] = {name: (0, lambda text=text: text) for name, text in texts.items()}
    methods["Label"] = (1, lambda name: labels.get(str(name), ""))
    return Struct("*network.networkContext", {}, methods, encoded=by_name(texts), escapes_html=True)


def by_name(texts: Mapping[str, Value]) -> dict[str, Value]:
    """A row as ``json`` shows it: by name, in alphabetical order."""
    return {name: texts[name] for name in sorted(texts)}


def network_struct(view: JsonObject) -> Struct:
    """A network as ``docker network inspect --format`` sees it: the client's own struct."""
    ipam = view["IPAM"]
    assert isinstance(ipam, dict)
    pools = [
        Struct(
            "network.IPAMConfig",
            {
                "Subnet": pool.get("Subnet", ""),
                "IPRange": pool.get("IPRange", ""),
                "Gateway": pool.get("Gateway", ""),
                "AuxAddress": pool.get("AuxiliaryAddresses", {}),
            },
            encoded=pool,
        )
        for pool in ipam["Config"] or ()
    ]
    containers = view["Containers"]
    assert isinstance(containers, dict)
    fields: dict[str, Value] = {
        "Name": view["Name"],
        "ID": view["Id"],
        "Created": Time(datetime.datetime.fromisoformat(str(view["Created"]))),
        "Scope": view["Scope"],
        "Driver": view["Driver"],
        "EnableIPv4": view.get("EnableIPv4", False),
        "EnableIPv6": view["EnableIPv6"],
        "IPAM": Struct(
            "network.IPAM",
            {"Driver": ipam["Driver"], "Options": ipam["Options"] or {}, "Config": pools},
            encoded=ipam,
        ),
        "Internal": view["Internal"],
        "Attachable": view["Attachable"],
        "Ingress": view["Ingress"],
        "ConfigFrom": Struct("network.ConfigReference", dict(_mapping(view["ConfigFrom"]))),
        "ConfigOnly": view["ConfigOnly"],
        "Containers": {
            id_: Struct("network.EndpointResource", dict(endpoint)) for id_, endpoint in containers.items()
        },
        "Options": view["Options"],
        "Labels": view["Labels"],
        "Peers": NilList(),
        "Services": NilMap(),
    }
    return Struct("network.Inspect", fields, encoded=view)


def _mapping(value: object) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}
