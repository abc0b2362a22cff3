"""What the ``inspect`` commands print: JSON as the engine sends it, or a template's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ipvlab.driver.api_json import container_json, inspect_network_json
from ipvlab.driver.docker_commands import Inspect, NetworkInspect
from ipvlab.driver.json_text import JsonObject, compact, indented
from ipvlab.driver.network_views import network_struct
from ipvlab.driver.port import CommandResult
from ipvlab.driver.template_values import NilList, NilMap, PointerMap, Struct, Value
from ipvlab.driver.templates import Template, TemplateFault
from ipvlab.errors import DriverRefusal

if TYPE_CHECKING:
    from ipvlab.driver.docker_host import DockerHost
    from ipvlab.driver.state import Container

#: The exit code of a template that cannot be read (cli/command/inspect: Inspect).
TEMPLATE_UNREAD = 64
#: The types of ``GET /containers/X/json`` that are structs to the client; other objects are maps.
_MAPS = frozenset(
    {"Labels", "Networks", "Ports", "PortBindings", "Sysctls", "Options", "DriverOpts", "Data", "Volumes"}
)
#: What may be null there, and is a list of Go's all the same.
_LISTS = frozenset(
    {
        "Aliases", "Args", "Binds", "CapAdd", "CapDrop", "DNSNames", "DeviceCgroupRules", "DeviceRequests",
        "Entrypoint", "ExecIDs", "ExtraHosts", "GroupAdd", "Links", "OnBuild", "SecondaryIPAddresses",
        "SecondaryIPv6Addresses", "SecurityOpt", "VolumesFrom",
    }
)  # fmt: skip
#: What a fetch gives: the object as the engine sends it, and as the client's templates see it.
Fetched = tuple[JsonObject, Value]


def inspect_networks(host: DockerHost, command: NetworkInspect) -> CommandResult:
    """The result of ``docker network inspect``; a miss does not keep the others from being shown."""

    def fetch(name: str) -> Fetched:
        view = inspect_network_json(host.engine, name)
        return view, network_struct(view)

    return _inspect(command.names, command.format, fetch, lambda _, text: _daemon(text))


def inspect_things(host: DockerHost, command: Inspect) -> CommandResult:
    """The result of ``docker inspect`` and ``docker container inspect``: containers first, then networks."""

    def fetch(name: str) -> Fetched:
        if command.kind != "network":
            try:
                container = host.engine.find_container(name)
                view = container_json(container, host, pid=find_pid(host, container))
                return view, container_struct(view)
            except DriverRefusal as refusal:
                if command.kind == "container" or refusal.status != 404:
                    raise
        view = inspect_network_json(host.engine, name)
        return view, network_struct(view)

    def tell(name: str, text: str) -> str:
        return _daemon(text) if command.kind else f"Error: No such object: {name}"

    return _inspect(command.names, command.format, fetch, tell)


@runtime_checkable
class RunsPrograms(Protocol):
    """Workloads whose main programs are processes of the machine."""

    def program(self, container: Container) -> HasPid | None:
        """A container's main program, while it runs."""


class HasPid(Protocol):
    """A process."""

    @property
    def pid(self) -> int:
        """Its number."""


def find_pid(host: DockerHost, container: Container) -> int:
    """The process of a container's main program, or 0 where it has none."""
    workloads = host.workloads
    program = workloads.program(container) if isinstance(workloads, RunsPrograms) else None
    return program.pid if program is not None else 0


def container_struct(view: Value, name: str = "container.InspectResponse") -> Value:
    """A container as ``docker inspect --format`` sees it: structs, and maps where the engine has maps."""
    if isinstance(view, list):
        return [container_struct(item, name) for item in view]
    if not isinstance(view, dict):
        return view
    fields: dict[str, Value] = {}
    for key, value in view.items():
        if value is None and key in _LISTS:
            fields[key] = NilList()
        elif value is None and key in _MAPS:
            fields[key] = NilMap()
        elif isinstance(value, dict) and key in _MAPS:
            inner = {each: container_struct(item, key) for each, item in value.items()}
            fields[key] = PointerMap(inner) if key == "Networks" else inner
        else:
            fields["ID" if key == "Id" else key] = container_struct(value, f"*container.{key}")
    return Struct(name, fields, encoded=view)


def _inspect(
    names: Sequence[str],
    template: str,
    fetch: Callable[[str], Fetched],
    tell: Callable[[str, str], str],
) -> CommandResult:
    parsed = None
    if template not in ("", "json"):
        try:
            parsed = Template(template)
        except TemplateFault as fault:
            return CommandResult(TEMPLATE_UNREAD, stderr=f"template parsing error: {fault}\n")
    found: list[JsonObject] = []
    text = ""
    errors: list[str] = []
    for name in names:
        try:
            raw, seen = fetch(name)
            if parsed is not None:
                text += f"{_fill(parsed, raw, seen)}\n"
            found.append(raw)
        except DriverRefusal as refusal:
            errors.append(tell(name, refusal.what))
        except TemplateFault as fault:
            errors.append(f"template parsing error: {fault}")
    if parsed is None:
        text = (compact(found) if template else indented(found)) + "\n"
    return CommandResult(1 if errors else 0, text or "\n", "".join(f"{error}\n" for error in errors))


def _fill(parsed: Template, raw: JsonObject, seen: Value) -> str:
    """The client tries its own struct first, and then whatever the engine sent."""
    try:
        return parsed.run(seen)
    except TemplateFault:
        return parsed.run(raw, wants_keys=True)


def _daemon(text: str) -> str:
    return f"Error response from daemon: {text}"
