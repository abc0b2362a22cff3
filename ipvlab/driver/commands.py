"""Docker's commands carried out on one host, with the output and exit codes of Docker's client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipvlab.driver.about_views import show_info, show_version
from ipvlab.driver.container_runs import attach, execute_inside, run, show_logs, start
from ipvlab.driver.container_views import FORMAT_IGNORED, list_containers
from ipvlab.driver.docker_commands import (
    ContainerAttach,
    ContainerCreate,
    ContainerExec,
    ContainerKill,
    ContainerList,
    ContainerLogs,
    ContainerPrune,
    ContainerRemove,
    ContainerRename,
    ContainerRestart,
    ContainerRun,
    ContainerStart,
    ContainerStop,
    ContainerWait,
    DockerCommand,
    Filters,
    Help,
    Info,
    Inspect,
    NetworkConnect,
    NetworkCreate,
    NetworkDisconnect,
    NetworkInspect,
    NetworkList,
    NetworkPrune,
    NetworkRemove,
    Version,
)
from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.filters import filter_containers
from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.inspect_views import inspect_networks, inspect_things
from ipvlab.driver.network_views import list_networks
from ipvlab.driver.port import CommandResult
from ipvlab.driver.replies import daemon_line, is_missing, refuse_run
from ipvlab.driver.signals import read_signal
from ipvlab.driver.templates import TemplateFault
from ipvlab.errors import DriverRefusal, KernelRefusal

_PATIENCE = 10.0
#: Seconds that nobody waits to the end of (``-t -1``).
_FOR_EVER = 1e7
_NETWORK_WARNING = "WARNING! This will remove all custom networks not used by at least one container.\n"
_CONTAINER_WARNING = "WARNING! This will remove all stopped containers.\n"
_QUESTION = "Are you sure you want to continue? [y/N] "


def execute(host: DockerHost, command: DockerCommand) -> CommandResult:
    """Carry out one Docker command to its end.

    A refusal of the driver or of the kernel becomes standard error and an exit
    code, as in Docker's client (125 to 127 for ``run``, else 1). Other errors of the
    lab pass through.
    """
    try:
        return _execute(host, command)
    except TemplateFault as fault:
        return CommandResult(1, stderr=f"{_prefixed(fault)}\n")
    except (DriverRefusal, KernelRefusal) as refusal:
        return CommandResult(1, stderr=daemon_line(refusal))


def _execute(host: DockerHost, command: DockerCommand) -> CommandResult:
    match command:
        case ClientRefusal():
            return CommandResult(command.exit_code, command.stdout, f"{command.text}\n")
        case Help():
            return CommandResult(0, command.text)
        case Version():
            return show_version(host.engine, command)
        case Info():
            with host.lock:
                return show_info(host, command)
        case Inspect():
            with host.lock:
                return inspect_things(host, command)
    if isinstance(
        command,
        NetworkCreate | NetworkRemove | NetworkInspect | NetworkList | NetworkConnect | NetworkDisconnect
        | NetworkPrune,
    ):  # fmt: skip
        return _execute_on_networks(host, command)
    return _execute_on_containers(host, command)


def _execute_on_networks(host: DockerHost, command: DockerCommand) -> CommandResult:
    match command:
        case NetworkCreate():
            return CommandResult(0, f"{host.create_network(command.request).id}\n")
        case NetworkRemove():
            result = _each(command.names, host.remove_network, hides_missing=command.is_forced)
            # The client ends a loop that had errors with the text of its own exit.
            return result if result.exit_code == 0 else _add_stderr(result, "exit status 1\n")
        case NetworkInspect():
            with host.lock:
                return inspect_networks(host, command)
        case NetworkList():
            with host.lock:
                return CommandResult(0, list_networks(host.engine, command))
        case NetworkConnect():
            host.connect(command.network, command.container, command.request)
        case NetworkDisconnect():
            host.disconnect(command.network, command.container, force=command.is_forced)
        case NetworkPrune():
            if not command.is_forced:
                return CommandResult(0, _NETWORK_WARNING + _QUESTION)
            pruned = host.prune_networks(_merged(command.filters))
            listed = "".join(f"{name}\n" for name in pruned)
            return CommandResult(0, f"Deleted Networks:\n{listed}\n" if pruned else "")
    return CommandResult(0)


def _execute_on_containers(host: DockerHost, command: DockerCommand) -> CommandResult:
    match command:
        case ContainerRun():
            return run(host, command)
        case ContainerCreate():
            try:
                return CommandResult(0, f"{host.create(command.request).id}\n")
            except (DriverRefusal, KernelRefusal) as refusal:
                return refuse_run(refusal, "docker create")
        case ContainerExec():
            return execute_inside(host, command)
        case ContainerStart():
            return start(host, command)
        case ContainerStop():
            patience, signal = _ending(command.timeout, command.signal)
            result = _each(command.names, lambda name: host.stop(name, patience, signal))
            return _add_notice(result, command.notice)
        case ContainerRestart():
            patience, signal = _ending(command.timeout, command.signal)
            result = _each(command.names, lambda name: host.restart(name, patience, signal))
            return _add_notice(result, command.notice)
        case ContainerKill():
            signal = read_signal(command.signal or "KILL")
            return _each(command.names, lambda name: host.kill(name, signal))
        case ContainerRemove():
            return _each(
                command.names,
                lambda name: host.remove(name, force=command.is_forced),
                forgives_missing=command.is_forced,
            )
        case ContainerRename():
            try:
                host.rename(command.container, command.name)
            except (DriverRefusal, KernelRefusal) as refusal:
                text = f"Error: failed to rename container named {command.container}\n"
                return CommandResult(1, stderr=daemon_line(refusal) + text)
        case ContainerWait():
            return _each(command.names, host.wait, tells=str)
        case ContainerLogs():
            return show_logs(host, command)
        case ContainerAttach():
            return attach(host, command)
        case ContainerList():
            with host.lock:
                warning = FORMAT_IGNORED if command.is_quiet and command.format else ""
                return CommandResult(0, list_containers(host, command), warning)
        case ContainerPrune():
            return _prune_containers(host, command)
    return CommandResult(0)


def _prune_containers(host: DockerHost, command: ContainerPrune) -> CommandResult:
    if not command.is_forced:
        return CommandResult(0, _CONTAINER_WARNING + _QUESTION)
    with host.lock:
        stopped = filter_containers(host.engine, _only_labels(command.filters), shows_all=True)
        ids = [container.id for container in reversed(stopped) if not container.is_running]
        for id_ in ids:
            host.remove(id_)
    listed = "".join(f"{id_}\n" for id_ in ids)
    return CommandResult(
        0, (f"Deleted Containers:\n{listed}\n" if ids else "") + "Total reclaimed space: 0B\n"
    )


def _only_labels(filters: Filters) -> Filters:
    for name in filters:
        if name != "label":
            raise DriverRefusal(f"invalid filter '{name}'", status=400)
    return filters


def _merged(filters: Filters) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in filters.items()}


def _ending(timeout: int | None, signal: str) -> tuple[float, int]:
    """How long an end is waited for, and by which signal; a negative time is for ever."""
    patience = _PATIENCE if timeout is None else _FOR_EVER if timeout < 0 else float(timeout)
    return patience, read_signal(signal or "TERM")


def _each(
    names: Sequence[str],
    act: Callable[[str], object],
    *,
    hides_missing: bool = False,
    forgives_missing: bool = False,
    tells: Callable[[object], str] | None = None,
) -> CommandResult:
    """Act on each name and print it; an error does not keep the others from their turn.

    A missing thing may be told without being an error (``rm -f``), or not even
    be told (``network rm -f``). ``tells`` prints what came of the act instead.
    """
    output = errors = ""
    exit_code = 0
    for name in names:
        try:
            came = act(name)
        except (DriverRefusal, KernelRefusal) as refusal:
            if is_missing(refusal) and hides_missing:
                continue
            errors += daemon_line(refusal)
            if not (is_missing(refusal) and forgives_missing):
                exit_code = 1
        else:
            output += f"{name if tells is None else tells(came)}\n"
    return CommandResult(exit_code, output, errors)


def _add_notice(result: CommandResult, notice: str) -> CommandResult:
    return CommandResult(result.exit_code, notice + result.stdout, result.stderr)


def _add_stderr(result: CommandResult, text: str) -> CommandResult:
    return CommandResult(result.exit_code, result.stdout, result.stderr + text)


def _prefixed(fault: TemplateFault) -> str:
    """``ps`` says itself what failed; the others call everything a parsing error."""
    text = str(fault)
    return text if text.startswith("failed to ") else f"template parsing error: {text}"
