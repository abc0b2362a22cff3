"""What ``docker version`` and ``docker info`` print."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from ipvlab.driver.api_json import info_json, version_json
from ipvlab.driver.docker_commands import Info, Version
from ipvlab.driver.json_text import JsonObject, compact
from ipvlab.driver.port import CommandResult
from ipvlab.driver.template_values import Struct, Value
from ipvlab.driver.templates import Template, TemplateFault

if TYPE_CHECKING:
    from ipvlab.driver.docker_host import DockerHost
    from ipvlab.driver.engine import Engine

_UNREAD = 64


def show_version(engine: Engine, command: Version) -> CommandResult:
    """The result of ``docker version``; the client is as old as the engine, and is the lab's own."""
    server = version_json(engine)
    if command.is_short:
        return CommandResult(0, f"Docker version {server['Version']}, build {server['GitCommit']}\n")
    built = _tell_built(str(server["BuildTime"]))
    client: JsonObject = {
        "Version": server["Version"],
        "ApiVersion": server["ApiVersion"],
        "DefaultAPIVersion": server["ApiVersion"],
        "GitCommit": server["GitCommit"],
        "GoVersion": server["GoVersion"],
        "Os": server["Os"],
        "Arch": server["Arch"],
        "BuildTime": built,
        "Context": "default",
    }
    whole: JsonObject = {"Client": client, "Server": _with_built(server, built)}
    if command.format:
        seen = Struct(
            "system.versionInfo",
            {
                "Client": Struct("system.clientVersion", dict(client), encoded=client),
                "Server": Struct(
                    "*types.Version", {k: _plain(v) for k, v in server.items()}, encoded=whole["Server"]
                ),
            },
            encoded=whole,
        )
        return _fill(command.format, seen, "version", _UNREAD)
    rows = [
        "Client:",
        f" Version:           {client['Version']}",
        f" API version:       {client['ApiVersion']}",
        f" Go version:        {client['GoVersion']}",
        f" Git commit:        {client['GitCommit']}",
        f" Built:             {built}",
        f" OS/Arch:           {client['Os']}/{client['Arch']}",
        " Context:           default",
        "",
        f"Server: {_plain(server['Platform'])['Name']}",
        " Engine:",
        f"  Version:          {server['Version']}",
        f"  API version:      {server['ApiVersion']} (minimum version {server['MinAPIVersion']})",
        f"  Go version:       {server['GoVersion']}",
        f"  Git commit:       {server['GitCommit']}",
        f"  Built:            {built}",
        f"  OS/Arch:          {server['Os']}/{server['Arch']}",
        "  Experimental:     false",
    ]
    return CommandResult(0, "\n".join(rows) + "\n")


def show_info(host: DockerHost, command: Info) -> CommandResult:
    """The result of ``docker info``, in short: what a lab can tell."""
    info = info_json(host)
    if command.format:
        seen = Struct("system.dockerInfo", dict(info), encoded=info)
        return _fill(command.format, seen, "", _UNREAD)
    plugins = _plain(info["Plugins"])
    rows = [
        "Client:",
        f" Version:    {info['ServerVersion']}",
        " Context:    default",
        " Debug Mode: false",
        "",
        "Server:",
        f" Containers: {info['Containers']}",
        f"  Running: {info['ContainersRunning']}",
        "  Paused: 0",
        f"  Stopped: {info['ContainersStopped']}",
        f" Images: {info['Images']}",
        f" Server Version: {info['ServerVersion']}",
        " Plugins:",
        f"  Network: {' '.join(plugins['Network'])}",
        " Swarm: inactive",
        f" Kernel Version: {info['KernelVersion']}",
        f" Operating System: {info['OperatingSystem']}",
        " OSType: linux",
        f" Architecture: {info['Architecture']}",
        f" CPUs: {info['NCPU']}",
        f" Name: {info['Name']}",
        " Live Restore Enabled: false",
    ]
    return CommandResult(0, "\n".join(rows) + "\n")


def _fill(template: str, seen: Struct, name: str, unread: int) -> CommandResult:
    if template == "json":
        return CommandResult(0, compact(seen.encoded) + "\n")
    try:
        parsed = Template(template, name)
    except TemplateFault as fault:
        return CommandResult(unread, stderr=f"template parsing error: {fault}\n")
    try:
        return CommandResult(0, parsed.run(seen) + "\n")
    except TemplateFault as fault:
        return CommandResult(1, "\n", f"{fault}\n")


def _with_built(server: JsonObject, built: str) -> JsonObject:
    """The client tells the components' build times in its own words, and leaves the engine's own as it is."""
    components = [
        {**component, "Details": {**component["Details"], "BuildTime": built}}
        for component in (server["Components"] if isinstance(server["Components"], list) else [])
    ]
    return {**server, "Components": components}


def _tell_built(text: str) -> str:
    when = datetime.datetime.fromisoformat(text.partition(".")[0] + "+00:00")
    return f"{when:%a %b} {when.day:2} {when:%H:%M:%S %Y}"


def _plain(value: Value) -> dict[str, list[str]]:
    return value  # type: ignore[return-value]  # the builder's own objects, of texts and lists
