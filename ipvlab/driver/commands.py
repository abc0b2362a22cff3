"""Docker's commands carried out on one engine, with the output and exit codes of Docker's client."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipvlab.driver.engine import Engine
from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.grammar import (
    ContainerExec,
    ContainerList,
    ContainerRemove,
    ContainerRun,
    ContainerStop,
    DockerCommand,
    NetworkCreate,
    NetworkInspect,
    NetworkList,
    NetworkRemove,
)
from ipvlab.driver.ip_grammar import Ping
from ipvlab.driver.port import CommandResult
from ipvlab.driver.state import Container, Network
from ipvlab.driver.views import container_table, network_json, network_table
from ipvlab.errors import DriverRefusal, KernelRefusal

_NOT_FOUND = 404
_RUN_TAIL = "\n\nRun 'docker run --help' for more information\n"


def execute(engine: Engine, command: DockerCommand) -> CommandResult:
    """Carry out one Docker command.

    A refusal of the driver or of the kernel becomes standard error and an exit
    code, as in Docker's client (125 for ``run``, else 1). Other errors of the
    lab pass through.
    """
    match command:
        case ClientRefusal():
            return CommandResult(command.exit_code, stderr=f"{command.text}\n")
        case NetworkCreate():
            return _once(lambda: f"{engine.create_network(command.request).id}\n")
        case NetworkRemove():
            result = _each(command.names, engine.remove_network, hides_missing=command.is_forced)
            # The client ends a loop that had errors with the text of its own exit.
            return result if result.exit_code == 0 else _add_stderr(result, "exit status 1\n")
        case NetworkInspect():
            return _inspect(engine, command.names)
        case NetworkList():
            return CommandResult(0, network_table(engine, is_quiet=command.is_quiet))
        case ContainerRun():
            return _run(engine, command)
        case ContainerExec():
            return _exec(engine, command)
        case ContainerStop():
            return _each(command.names, engine.stop_container)
        case ContainerRemove():
            return _each(
                command.names,
                lambda name: engine.remove_container(name, force=command.is_forced),
                forgives_missing=command.is_forced,
            )
        case ContainerList():
            return CommandResult(
                0, container_table(engine, shows_all=command.shows_all, is_quiet=command.is_quiet)
            )


def _run(engine: Engine, command: ContainerRun) -> CommandResult:
    """Start a container; one that runs a command to its end is gone, or stopped, afterwards.

    ``-it`` needs no terminal and leaves a shell running, as ``-itd`` does.
    """
    try:
        container = engine.run_container(command.request)
    except (DriverRefusal, KernelRefusal) as refusal:
        return CommandResult(125, stderr=f"docker: {_daemon(refusal)}{_RUN_TAIL}")
    started = CommandResult(0, f"{container.id}\n")
    is_endless = isinstance(command.inner, Ping) and command.inner.count is None
    if command.inner is None or (command.request.is_detached and is_endless):
        return started
    try:
        result = engine.port.execute(container.name, command.request.command)
    finally:
        engine.stop_container(container.name)
    return started if command.request.is_detached else result


def _exec(engine: Engine, command: ContainerExec) -> CommandResult:
    try:
        container = _running(engine, command.container)
    except DriverRefusal as refusal:
        return CommandResult(1, stderr=f"{_daemon(refusal)}\n")
    if command.inner is None:
        return CommandResult(0)
    return engine.port.execute(container.name, command.argv)


def _running(engine: Engine, reference: str) -> Container:
    container = engine.find_container(reference)
    if not container.is_running:
        raise DriverRefusal(f"container {container.id} is not running", status=409)
    return container


def _inspect(engine: Engine, names: Sequence[str]) -> CommandResult:
    found: list[Network] = []
    errors = ""
    for name in names:
        try:
            found.append(engine.inspect_network(name))
        except DriverRefusal as refusal:
            errors += f"{_daemon(refusal)}\n"
    text = network_json(found, engine) if found else "[]\n"
    return CommandResult(1 if errors else 0, text, errors)


def _once(act: Callable[[], str]) -> CommandResult:
    try:
        return CommandResult(0, act())
    except (DriverRefusal, KernelRefusal) as refusal:
        return CommandResult(1, stderr=f"{_daemon(refusal)}\n")


def _each(
    names: Sequence[str],
    act: Callable[[str], object],
    *,
    hides_missing: bool = False,
    forgives_missing: bool = False,
) -> CommandResult:
    """Act on each name and print it; an error does not keep the others from their turn.

    A missing thing may be told without being an error (``rm -f``), or not even
    be told (``network rm -f``).
    """
    output = errors = ""
    exit_code = 0
    for name in names:
        try:
            act(name)
        except (DriverRefusal, KernelRefusal) as refusal:
            is_missing = isinstance(refusal, DriverRefusal) and refusal.status == _NOT_FOUND
            if is_missing and hides_missing:
                continue
            errors += f"{_daemon(refusal)}\n"
            if not (is_missing and forgives_missing):
                exit_code = 1
        else:
            output += f"{name}\n"
    return CommandResult(exit_code, output, errors)


def _add_stderr(result: CommandResult, text: str) -> CommandResult:
    return CommandResult(result.exit_code, result.stdout, result.stderr + text)


def _daemon(refusal: DriverRefusal | KernelRefusal) -> str:
    return f"Error response from daemon: {refusal.what}"
