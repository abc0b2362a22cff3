"""The Python API, as its contract shows it."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence

import pytest

import ipvlab
from ipvlab import CommandResult, DriverRefusal, Lab, Unobserved, run
from ipvlab.errors import CommandUnknown, LabError, NameTaken, NodeNotFound
from ipvlab.probe.questions import Observation, Question, ReachObservation
from ipvlab.run.handles import LabHost
from ipvlab.run.live import LiveGround
from ipvlab.run.results import Outcome
from tests.netns.traces import links, networks_in_use


def test_run_is_callable_whatever_was_imported_before() -> None:
    assert callable(run)
    assert callable(ipvlab.run)
    # The imports above have bound the room of that name to the package.
    assert importlib.import_module("ipvlab.run.results").Outcome is Outcome


def test_the_example_of_the_contract_holds() -> None:
    with Lab(datapath="bpf", dialect="docs") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        created = h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 db_net")
        assert isinstance(created, CommandResult)
        assert (created.exit_code, created.stderr) == (0, "")
        c1 = h1.container("c1", network="db_net", ip="192.168.1.11")
        c2 = h1.container("c2", network="db_net")
        assert c1.reaches(c2)
        assert not c1.reaches(h1)
        assert c1.broadcast().heard_by == {c2}


def two_hosts(lab: Lab) -> None:
    lan = lab.wire("lan")
    for number in (1, 2):
        host = lab.host(f"h{number}", eth0=lan.port(f"10.0.0.10{number}/24"))
        assert host.docker("network create -d ipvlan --subnet=10.0.0.0/24 -o parent=eth0 n").exit_code == 0


def test_a_lab_leaves_no_link_and_no_namespace() -> None:
    before = links()
    with Lab("bpf") as lab:
        two_hosts(lab)
        h1 = lab.node("h1")
        h1.execute(["true"])
        held = networks_in_use()
    assert links() == before
    assert held - networks_in_use()


def test_what_docker_refuses_is_a_result_and_what_is_declared_is_refused_at_the_build() -> None:
    with Lab("bpf") as lab:
        host = lab.host("h1")
        refused = host.docker("network create -d ipvlan -o parent=lo bad")
        assert refused.exit_code == 1
        assert "loopback interface is not a valid ipvlan parent link" in refused.stderr
        host.container("c1", network="nosuch")
        with pytest.raises(DriverRefusal, match="nosuch not found"):
            lab.up()
        # The refused one is gone, and its name is free.
        host.docker("network create -d ipvlan nosuch")
        assert host.container("c1", network="nosuch").addresses == ["172.18.0.1/16"]


def test_hosts_may_be_added_to_a_lab_that_is_up() -> None:
    with Lab("bpf") as lab:
        two_hosts(lab)
        wan = lab.wire("wan")
        left, right = (
            lab.host("left", eth0=wan.port("10.9.0.1/24")),
            lab.host("right", eth0=wan.port("10.9.0.2/24")),
        )
        assert left.reaches(right)
        assert not left.reaches(lab.node("h1"))


def test_a_router_forwards_and_switch_ports_filter() -> None:
    with Lab("bpf") as lab:
        lan = lab.wire("lan")
        one = lab.host("one", eth0=lan.port("10.1.0.2/24", access=10))
        other = lab.host("other", eth0=lan.port("10.2.0.2/24", access=20))
        gw = lab.router("gw", eth0=lan.port(trunk=[10, 20]))
        assert not one.broadcast().heard_by
        for vlan in (10, 20):
            for command in (
                f"link add link eth0 name eth0.{vlan} type vlan id {vlan}",
                f"link set eth0.{vlan} up",
                f"addr add 10.{vlan // 10}.0.1/24 dev eth0.{vlan}",
            ):
                assert gw.ip(command).exit_code == 0, command
        assert one.ip("route add default via 10.1.0.1").exit_code == 0
        assert other.ip("route add default via 10.2.0.1").exit_code == 0
        assert one.reaches(other, ttl=63)
        assert one.broadcast().heard_by == {gw}


def test_real_commands_see_the_names_of_their_container() -> None:
    with Lab("bpf") as lab:
        two_hosts(lab)
        h1 = lab.node("h1")
        assert isinstance(h1, LabHost)
        c1 = h1.container("c1", network="n", hostname="box")
        c2 = h1.container("c2", network="n")
        result = c1.execute(["sh", "-c", "hostname; getent hosts c2"])
        assert result.stdout.split() == ["box", "10.0.0.3", "c2"]
        assert str(c2.resolves("c1")[0]) == "10.0.0.2"
        assert c2.resolves("nosuch") == []


def test_removing_a_container_frees_its_name_and_its_handle_is_no_more() -> None:
    with Lab("bpf") as lab:
        two_hosts(lab)
        h1 = lab.node("h1")
        assert isinstance(h1, LabHost)
        c1 = h1.container("c1", network="n")
        assert c1.reaches(lab.node("h2"))
        c1.remove()
        with pytest.raises(NodeNotFound):
            c1.reaches(h1)
        again = h1.container("c1", network="n")
        assert again.reaches(lab.node("h2"))


def test_names_are_taken_once_and_containers_of_one_name_on_two_hosts_are_told_apart() -> None:
    with Lab("bpf") as lab:
        two_hosts(lab)
        h1, h2 = lab.node("h1"), lab.node("h2")
        assert isinstance(h1, LabHost)
        assert isinstance(h2, LabHost)
        one, other = (
            h1.container("c", network="n", ip="10.0.0.11"),
            h2.container("c", network="n", ip="10.0.0.12"),
        )
        assert one.reaches(other)
        assert (one.name, other.name) == ("c", "h2/c")
        with pytest.raises(NameTaken):
            h1.container("c", network="n")
        with pytest.raises(NameTaken):
            lab.host("h1")


def test_a_probe_that_proves_nothing_raises_unobserved(monkeypatch: pytest.MonkeyPatch) -> None:
    with Lab("bpf") as lab:
        two_hosts(lab)
        h1, h2 = lab.node("h1"), lab.node("h2")
        assert h1.reaches(h2)
        answer = LiveGround.answer

        def unproved(ground: LiveGround, questions: Sequence[Question]) -> list[Observation]:
            return [
                dataclasses.replace(each, reply=False, is_proved=False)
                for each in answer(ground, questions)
                if isinstance(each, ReachObservation)
            ]

        monkeypatch.setattr(LiveGround, "answer", unproved)
        with pytest.raises(Unobserved):
            h1.reaches(h2)


def test_a_command_that_a_lab_has_not_is_refused_as_a_client_refuses() -> None:
    with Lab("bpf") as lab:
        result = lab.host("h1").docker("swarm init")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "docker swarm: a lab's hosts have networks and containers, and no more\n"


def test_an_open_quote_a_strange_dialect_and_a_closed_lab_are_errors() -> None:
    with Lab("bpf") as lab, pytest.raises(CommandUnknown):
        lab.host("h1").docker("network create 'n")
    with pytest.raises(ValueError, match="nosuch"):
        Lab("bpf", "nosuch")
    with pytest.raises(LabError, match="closed"):
        lab.up()
