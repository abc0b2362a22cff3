"""What ``docker ps`` prints."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ipvlab.driver.ages import tell_age
from ipvlab.driver.container_json import container_summary
from ipvlab.driver.docker_commands import ContainerList
from ipvlab.driver.filters import filter_containers
from ipvlab.driver.json_text import JsonObject
from ipvlab.driver.network_views import by_name
from ipvlab.driver.state import SHORT_ID
from ipvlab.driver.tables import join_labels, list_rows, shorten
from ipvlab.driver.template_values import Method, Struct, Time, Value, quote
from ipvlab.driver.templates import Template, TemplateFault

if TYPE_CHECKING:
    from ipvlab.driver.docker_host import DockerHost

_TABLE = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
_RAW = (
    "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n"
    "state: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\n"
    "labels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n"
)
_HEADERS = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}
_COMMAND_WIDTH = 20
#: What the client says on standard error where ``-q`` and ``--format`` meet.
FORMAT_IGNORED = "WARNING: Ignoring custom format, because both --format and --quiet are set.\n"


def list_containers(host: DockerHost, command: ContainerList) -> str:
    """The text of ``docker ps``: the newest first; stopped ones only when all are asked for.

    Raises :class:`DriverRefusal` for a filter and :class:`TemplateFault` for a format that is none.
    """
    engine = host.engine
    template = command.format
    if template not in ("", "table", "raw", "json"):
        _try_out(template)
    found = filter_containers(engine, command.filters, shows_all=command.shows_all, last=command.last)
    if command.is_quiet:
        template = "container_id: {{.ID}}" if template == "raw" else "{{.ID}}"
    now = engine.clock()
    rows = (_row(container_summary(container, host), now, is_whole=command.is_whole) for container in found)
    table, raw = _TABLE, _RAW
    if command.has_size:
        table, raw = f"{table}\t{{{{.Size}}}}", f"{raw}size: {{{{.Size}}}}\n"
    return list_rows(rows, template, _HEADERS, table, raw)


def _try_out(template: str) -> None:
    """The client carries a format out once on an empty container, to see whether it asks for sizes."""
    try:
        parsed = Template(template)
    except TemplateFault as fault:
        raise TemplateFault(f"failed to parse template: {fault}") from None
    try:
        parsed.run(_row(_EMPTY, datetime.datetime.now(datetime.UTC), is_whole=False))
    except TemplateFault as fault:
        raise TemplateFault(f"failed to execute template: {fault}") from None


_EMPTY: JsonObject = {
    "Id": "",
    "Names": [],
    "Image": "",
    "ImageID": "",
    "Command": "",
    "Created": 0,
    "Labels": {},
    "State": "",
    "Status": "",
    "NetworkSettings": {"Networks": {}},
}


def _row(view: JsonObject, now: datetime.datetime, *, is_whole: bool) -> Struct:
    labels: Mapping[str, str] = view["Labels"] if isinstance(view["Labels"], dict) else {}
    names = [str(name).removeprefix("/") for name in _list(view["Names"])]
    created = datetime.datetime.fromtimestamp(int(str(view["Created"])), datetime.UTC)
    settings = view["NetworkSettings"]
    networks = settings["Networks"] if isinstance(settings, dict) else {}
    command, image, id_ = str(view["Command"]), str(view["Image"]), str(view["Id"])
    texts: dict[str, Value] = {
        "ID": id_ if is_whole else id_[:SHORT_ID],
        "Names": ",".join(names),
        "Image": (image if is_whole else _familiar(image)) or "<no image>",
        "Command": quote(command if is_whole else shorten(command, _COMMAND_WIDTH)),
        "CreatedAt": str(Time(created)),
        "RunningFor": f"{tell_age(now - created)} ago",
        "Ports": "",
        "State": view["State"],
        "Status": view["Status"],
        "Size": "0B",
        "Labels": join_labels(labels),
        "Mounts": "",
        "LocalVolumes": "0",
        "Networks": ",".join(networks),
        "Platform": None,
    }
    methods: dict[str, Method] = {name: (0, lambda text=text: text) for name, text in texts.items()}
    methods["Label"] = (1, lambda name: labels.get(str(name), ""))
    return Struct("*formatter.ContainerContext", {}, methods, encoded=by_name(texts), escapes_html=True)


def _familiar(image: str) -> str:
    """An image without what every name has anyway, and without its digest (reference: FamiliarString)."""
    name, at, _ = image.partition("@")
    for prefix in ("docker.io/library/", "docker.io/"):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name if at else image


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
