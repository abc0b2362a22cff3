"""Docker's commands as frozen values: what was asked for, nothing of how it is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.ip_grammar import IpCommand
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest

#: For each name of a ``--filter`` its values.
Filters = Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkCreate:
    """``docker network create``."""

    request: NetworkRequest


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkRemove:
    """``docker network rm``; with ``-f`` a missing network is no fault."""

    names: tuple[str, ...]
    is_forced: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkInspect:
    """``docker network inspect``."""

    names: tuple[str, ...]
    format: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkList:
    """``docker network ls``."""

    is_quiet: bool = False
    filters: Filters = dataclasses.field(default_factory=dict)
    format: str = ""
    is_whole: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkConnect:
    """``docker network connect``."""

    network: str
    container: str
    request: EndpointRequest


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkDisconnect:
    """``docker network disconnect``."""

    network: str
    container: str
    is_forced: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkPrune:
    """``docker network prune``; without ``-f`` the client asks first, and a script's answer is no."""

    is_forced: bool = False
    filters: Filters = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRun:
    """``docker run``; ``inner`` is a command of the closed grammar, or None for anything else.

    Anything else is a shell that stays, or (where programs are allowed) a program
    as ``request`` has it.
    """

    request: ContainerRequest
    inner: IpCommand | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerCreate:
    """``docker create``."""

    request: ContainerRequest


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerExec:
    """``docker exec``; ``inner`` is a command of the closed grammar, or None for anything else."""

    container: str
    argv: tuple[str, ...]
    inner: IpCommand | None
    is_interactive: bool = False
    has_tty: bool = False
    is_detached: bool = False
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    workdir: str = ""
    user: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerStart:
    """``docker start``; with ``-a`` its output is shown until it ends."""

    names: tuple[str, ...]
    is_attached: bool = False
    is_interactive: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerStop:
    """``docker stop``; without ``-t`` the patience is ten seconds."""

    names: tuple[str, ...]
    timeout: int | None = None
    signal: str = ""
    #: What the client says before it begins, of an option that has another name now.
    notice: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRestart:
    """``docker restart``."""

    names: tuple[str, ...]
    timeout: int | None = None
    signal: str = ""
    notice: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerKill:
    """``docker kill``."""

    names: tuple[str, ...]
    signal: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRemove:
    """``docker rm``."""

    names: tuple[str, ...]
    is_forced: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRename:
    """``docker rename``."""

    container: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerWait:
    """``docker wait``."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerLogs:
    """``docker logs``; ``tail`` is None for all lines."""

    container: str
    is_followed: bool = False
    tail: int | None = None
    has_times: bool = False
    since: str = ""
    until: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerAttach:
    """``docker attach``."""

    container: str
    has_stdin: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerList:
    """``docker ps``; without ``-a`` only those that run."""

    shows_all: bool = False
    is_quiet: bool = False
    filters: Filters = dataclasses.field(default_factory=dict)
    format: str = ""
    is_whole: bool = False
    #: The newest so many, stopped ones too (``-n``, ``-l``).
    last: int | None = None
    has_size: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerPrune:
    """``docker container prune``; without ``-f`` the client asks first, and a script's answer is no."""

    is_forced: bool = False
    filters: Filters = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Inspect:
    """``docker inspect`` (any kind), or ``docker container inspect``."""

    names: tuple[str, ...]
    kind: Literal["", "container", "network"] = ""
    format: str = ""
    #: ``docker container inspect`` rather than ``docker inspect --type container``.
    is_of_container: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """``docker version``; ``is_short`` for ``docker --version``."""

    format: str = ""
    is_short: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Info:
    """``docker info``."""

    format: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Help:
    """What the client answers by itself, successfully."""

    text: str


DockerCommand = (
    NetworkCreate
    | NetworkRemove
    | NetworkInspect
    | NetworkList
    | NetworkConnect
    | NetworkDisconnect
    | NetworkPrune
    | ContainerRun
    | ContainerCreate
    | ContainerExec
    | ContainerStart
    | ContainerStop
    | ContainerRestart
    | ContainerKill
    | ContainerRemove
    | ContainerRename
    | ContainerWait
    | ContainerLogs
    | ContainerAttach
    | ContainerList
    | ContainerPrune
    | Inspect
    | Version
    | Info
    | Help
    | ClientRefusal
)
