"""Command lines on a lab's hosts, where the host has a bad day."""

from __future__ import annotations

import errno
import os

from ipvlab.driver.ip_grammar import RestartDocker
from ipvlab.driver.port import CommandResult
from ipvlab.driver.session import parse_command
from ipvlab.driver.store import MemoryStore
from ipvlab.run.console import Console
from ipvlab.run.sim import SimGround
from ipvlab.spec.model import HostSpec, Wire
from ipvlab.spec.values import Dialect


class Tmpfs(MemoryStore):
    """A store that may be full."""

    is_full = False

    def write(self, name: str, content: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(name, content)


def test_a_restart_of_docker_with_a_full_store_is_a_command_that_failed_and_loses_nothing() -> None:
    ground = SimGround("lab", lambda _, container: container)
    spec = HostSpec.model_validate({"interfaces": {"eth0": {"wire": "lan"}}})
    ground.add_topology({"lan": Wire()}, {"h1": spec}, {})
    store = Tmpfs()
    console = Console(ground, Dialect.DOCS, store_of=lambda _: store)
    console.start_host("h1")

    def docker(line: str) -> CommandResult:
        return console.run("h1", parse_command(f"docker {line}"))

    assert docker("network create -d ipvlan --subnet=10.0.0.0/24 -o parent=eth0 n").exit_code == 0
    assert docker("run -itd --net n --name c alpine").exit_code == 0
    engine = console.engines["h1"]
    store.is_full = True
    failed = console.run("h1", RestartDocker())
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr == "restart docker: failed to save container c: no space left on device\n"
    assert list(engine.networks) == ["n"]
    assert list(engine.containers) == ["c"]
    store.is_full = False
    assert console.run("h1", RestartDocker()) == CommandResult(0)
    assert docker("ps -aq").stdout.split() == [engine.containers["c"].id[:12]]
    assert docker("start c").exit_code == 0
