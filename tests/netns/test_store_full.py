"""A host's engine whose state lies on a tmpfs that is full."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SCRIPT = textwrap.dedent(
    """
    import errno, os, sys
    from pathlib import Path
    from ipvlab.driver.engine import Engine
    from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
    from ipvlab.errors import DriverRefusal
    from ipvlab.lab.store import FolderStore
    from ipvlab.linux.namespaces import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare
    from tests.unit.driver.recording_port import RecordingPort

    folder = Path(sys.argv[1])
    unshare(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("state", str(folder), "tmpfs", options="size=64k")
    port = RecordingPort()
    engine = Engine("h1", port, store=FolderStore(folder))

    def network(number: int) -> None:
        pool = PoolRequest(f"10.0.{number}.0/24")
        engine.create_network(NetworkRequest(f"n{number}", "ipvlan", {"parent": f"eth0.{number}"}, (pool,)))

    network(1)
    engine.run_container(ContainerRequest((EndpointRequest("n1"),), name="c"))
    number = 1
    try:
        while True:
            number += 1
            network(number)
    except DriverRefusal as refusal:
        assert refusal.status == 500, refusal.status
        assert refusal.what == f"failed to save network n{number}: no space left on device", refusal.what
    assert 2 < number < 60, number
    assert f"n{number}" not in engine.networks
    assert sorted(port.vlans) == sorted(f"eth0.{n}" for n in range(1, number)), port.vlans
    records = {entry.name for entry in os.scandir(folder)}
    assert all(name.endswith(".json") and not name.startswith(".") for name in records), records

    # A container that is to be connected stays as it was; one that is stopped is stopped all the same.
    before = port.snapshot()
    try:
        engine.connect("n2", "c", EndpointRequest("n2"))
    except DriverRefusal as refusal:
        assert refusal.what == "failed to save container c: no space left on device", refusal.what
    else:
        raise AssertionError("it was connected")
    assert port.snapshot() == before
    engine.stop_container("c", 3)

    # Removing makes room, and what was owed is written down.
    for n in range(number - 1, 5, -1):
        engine.remove_network(f"n{n}")
    engine.restart()
    assert list(engine.networks) == [f"n{n}" for n in range(1, 6)], list(engine.networks)
    container = engine.containers["c"]
    assert (str(container.state), container.exit_code) == ("exited", 3), container
    network(6)
    engine.start_container("c")
    print("done")
    """
)


def test_a_full_tmpfs_undoes_what_does_not_fit_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert list(tmp_path.iterdir()) == []
