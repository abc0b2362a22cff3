"""Compose's keys and Docker's options are two spellings of the same requests."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

from ipvlab.driver.grammar import ContainerRun, NetworkCreate
from ipvlab.driver.requests import ContainerRequest, container_request, network_request
from ipvlab.driver.session import parse_command
from ipvlab.spec.model import ContainerSpec, NetworkSpec
from tests.unit.driver.recording_port import Host


def test_a_compose_network_is_the_request_of_its_command_line() -> None:
    spec = NetworkSpec.model_validate(
        {
            "driver": "ipvlan",
            "driver_opts": {"parent": "eth0.20", "ipvlan_mode": "l3"},
            "internal": True,
            "attachable": True,
            "enable_ipv6": False,
            "enable_ipv4": True,
            "labels": {"a": "b"},
            "ipam": {
                "config": [
                    {
                        "subnet": "10.0.0.0/24",
                        "gateway": "10.0.0.254",
                        "ip_range": "10.0.0.64/26",
                        "aux_addresses": {"nas": "10.0.0.70"},
                    },
                    {"subnet": "fd01::/64"},
                ]
            },
        }
    )
    command = parse_command(
        "docker network create -d ipvlan -o parent=eth0.20 -o ipvlan_mode=l3 --internal --attachable "
        "--ipv6=false --ipv4 --label a=b --subnet 10.0.0.0/24 --gateway 10.0.0.254 "
        "--ip-range 10.0.0.64/26 --aux-address nas=10.0.0.70 --subnet fd01::/64 n"
    )
    assert isinstance(command, NetworkCreate)
    assert network_request("n", spec) == command.request


def test_an_empty_compose_network_leaves_everything_open() -> None:
    request = network_request("n", NetworkSpec())
    command = parse_command("docker network create -d ipvlan n")
    assert isinstance(command, NetworkCreate)
    assert request == command.request


def test_a_compose_container_is_the_request_of_its_command_line() -> None:
    spec = ContainerSpec.model_validate(
        {
            "hostname": "box",
            "networks": {
                "n": {
                    "ipv4_address": "10.0.0.9",
                    "ipv6_address": "fd01::9",
                    "aliases": ["db", "sql"],
                    "link_local_ips": ["169.254.1.1"],
                    "mac_address": "02:00:00:00:00:01",
                    "gw_priority": 7,
                    "interface_name": "wan",
                    "driver_opts": {"k": "v"},
                },
                "m": None,
            },
        }
    )
    command = parse_command(
        "docker run -id --name c --hostname box --network name=n,ip=10.0.0.9,ip6=fd01::9,alias=db,alias=sql,"
        "link-local-ip=169.254.1.1,mac-address=02:00:00:00:00:01,gw-priority=7,driver-opt=k=v,"
        "driver-opt=com.docker.network.endpoint.ifname=wan --network m alpine"
    )
    assert isinstance(command, ContainerRun)
    # Its shell waits, though nobody has asked for a keyboard.
    assert container_request("c", spec) == dataclasses.replace(command.request, is_interactive=False)


def test_networks_are_joined_in_the_order_of_the_file(host: Host) -> None:
    for name in "zab":
        host.engine.create_network(network_request(name, NetworkSpec()))
    spec = ContainerSpec.model_validate({"networks": ["z", "a", "b"]})
    container = host.engine.run_container(container_request("c", spec))
    assert [(e.network.name, e.interface) for e in container.endpoints] == [
        ("z", "eth0"),
        ("a", "eth1"),
        ("b", "eth2"),
    ]


def test_a_container_of_a_scenario_file_runs_in_the_background() -> None:
    request = container_request("c", ContainerSpec())
    assert request == ContainerRequest((), "c")
    assert (request.is_detached, request.is_interactive, request.is_auto_remove) == (True, False, False)


def test_the_driver_loads_no_heavy_library() -> None:
    probe = (
        "import sys, ipvlab.driver.session, ipvlab.driver.commands, ipvlab.driver.names; "
        "print([m for m in ('pydantic', 'scapy', 'pyroute2', 'socket', 'subprocess') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
