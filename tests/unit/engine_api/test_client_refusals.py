"""What the genuine client refuses by itself: the engine hears of a ping, and of nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ipvlab.engine_api import routes, server
from ipvlab.engine_api.messages import Outcome, Received
from ipvlab.engine_api.served import Served
from tests.unit.engine_api.served_host import ServedHost

CLIENT = shutil.which("docker")
pytestmark = pytest.mark.skipif(CLIENT is None, reason="no genuine docker client is installed here")


@pytest.mark.docker("D-API-015")
@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("--gateway=192.168.1.1", "every ip-range or gateway must have a corresponding subnet"),
        ("--ip-range=192.168.1.0/25", "every ip-range or gateway must have a corresponding subnet"),
        (
            "--subnet=192.168.1.0/24 --subnet=192.168.1.0/25",
            "multiple overlapping subnet configuration is not supported",
        ),
        (
            "--subnet=192.168.1.0/24 --gateway=192.168.2.1",
            "no matching subnet for gateway 192.168.2.1",
        ),
        (
            "--subnet=192.168.1.0/24 --ip-range=192.168.2.0/25",
            "no matching subnet for range 192.168.2.0/25",
        ),
        (
            "--subnet=192.168.1.0/24 --aux-address=a=192.168.3.1",
            "no matching subnet for aux-address 192.168.3.1",
        ),
    ],
)
def test_the_client_refuses_after_a_ping(
    host: ServedHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, text: str
) -> None:
    asked = []

    def respond(served: Served, received: Received) -> Outcome:
        asked.append((received.method, received.target))
        return routes.respond(served, received)

    monkeypatch.setattr(server, "respond", respond)
    assert CLIENT is not None
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": f"unix://{host.path}"}
    result = subprocess.run(
        [CLIENT, "network", "create", "-d", "ipvlan", *flags.split(), "n"],
        capture_output=True, text=True, env=env, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"{text}\n")
    assert asked in ([], [("HEAD", "/_ping")])
