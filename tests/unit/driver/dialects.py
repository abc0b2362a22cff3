"""Hosts of each dialect, and what their engines are expected to say differently.

Written out here a second time, so that a test does not ask the table that it tests.
"""

from __future__ import annotations

import json

import pytest

from ipvlab.driver.requests import NetworkRequest
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import Host, addresses

DOCS, D26, D28, D29 = Dialect.DOCS, Dialect.DOCKER_26, Dialect.DOCKER_28, Dialect.DOCKER_29
EVERY = (DOCS, D26, D28, D29)
ENGINES = (D26, D28, D29)

#: What precedes the refusal of a start.
START = {
    DOCS: "failed to set up container networking: ",
    D26: "",
    D28: "failed to set up container networking: ",
    D29: "failed to set up container networking: ",
}

every_dialect = pytest.mark.parametrize("dialect", EVERY)
every_engine = pytest.mark.parametrize("dialect", ENGINES)

CREATE = "network create -d ipvlan"
TEN = f"{CREATE} --subnet=10.0.0.0/24"
IN_USE = "Address already in use"


def host_of(dialect: Dialect, *links: str) -> Host:
    """A host with ``lo``, ``eth0``, ``eth1`` and the given links."""
    return Host("eth1", *links, dialect=dialect)


def inspect(host: Host, network: str) -> dict[str, object]:
    """One network as ``docker network inspect`` shows it."""
    [view] = json.loads(host.ok(f"network inspect {network}"))
    assert isinstance(view, dict)
    return view


def overlap(dialect: Dialect) -> str:
    """How an overlapping pool is refused."""
    text = "Pool overlaps with other one on this address space"
    return text if dialect is D26 else f"invalid pool request: {text}"


def exhausted(dialect: Dialect, family: str = "IPv4") -> tuple[str, int]:
    """How a request is refused when no automatic pool is left, and with which status."""
    if dialect is D26:
        text = f"could not find an available, non-overlapping {family} address pool among the defaults"
        return f"{text} to assign to the network", 404
    return "all predefined address pools have been fully subnetted", 400


def refuse(host: Host, request: NetworkRequest) -> tuple[str, int]:
    """The refusal of a network, and its status."""
    with pytest.raises(DriverRefusal) as caught:
        host.engine.create_network(request)
    return caught.value.what, caught.value.status


def refuse_run(host: Host, dialect: Dialect, options: str) -> str:
    """The refusal of ``run -d OPTIONS alpine``, without what precedes it at start."""
    result = host.docker(f"run -d --rm {options} alpine")
    assert result.exit_code == 125, result
    prefix = "docker: Error response from daemon: "
    assert result.stderr.startswith(prefix)
    text = result.stderr.removeprefix(prefix).partition("\n\nRun 'docker run")[0]
    return text.removeprefix(START[dialect])


def first_address(host: Host, network: str = "n") -> str:
    """The address of one more container, without its prefix length."""
    return addresses(host.run(f"--net={network}"))[0].partition("/")[0]


def pool_of(host: Host, network: str, version: int = 4) -> str:
    """The first pool of a network."""
    return str(host.engine.networks[network].pools_of(version)[0].subnet)
