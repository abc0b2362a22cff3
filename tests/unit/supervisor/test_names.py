"""Names of labs, what listens by them, and what a lab's containers are called."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator

import pytest

from ipvlab.errors import LabNotFound, ValueInvalid
from ipvlab.run.directory import Naming
from ipvlab.supervisor import names
from ipvlab.supervisor.names import (
    FoundLab,
    abstract_address,
    check_name,
    choose_lab,
    connect,
    find_holder,
    find_labs,
)
from ipvlab.supervisor.standing_names import StandingNames

_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    return f"unit-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def listener(name: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(abstract_address(os.geteuid(), name))
        yield sock


def found(name: str) -> list[FoundLab]:
    return [lab for lab in find_labs() if lab.name == name]


def test_a_lab_is_found_when_its_socket_listens_and_not_before_or_after(
    name: str, listener: socket.socket
) -> None:
    assert found(name) == []
    listener.listen()
    [lab] = found(name)
    assert find_holder(lab.inode) == os.getpid()
    listener.close()
    assert found(name) == []


def test_a_connection_tells_who_listens(name: str, listener: socket.socket) -> None:
    listener.listen()
    contact = connect(name)
    assert (contact.lab, contact.pid) == (name, os.getpid())
    contact.channel.close()


def test_what_is_no_lab_is_not_found(name: str, listener: socket.socket) -> None:
    with pytest.raises(LabNotFound, match=f"no lab {name} is up"):
        connect(name)
    assert find_holder(1) is None


@pytest.mark.parametrize("bad", ["", "A", "a_b", "a/b", "-a", "a" * 64, "ä", "a\n"])
def test_a_name_is_short_and_plain(bad: str) -> None:
    with pytest.raises(ValueInvalid):
        check_name(bad)


def test_the_only_lab_is_meant_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    labs = [FoundLab("one", 1)]
    monkeypatch.setattr(names, "find_labs", lambda: labs)
    assert choose_lab(None) == "one"
    assert choose_lab("two") == "two"
    labs.append(FoundLab("two", 2))
    with pytest.raises(LabNotFound, match="2 labs are up") as refused:
        choose_lab(None)
    assert refused.value.hint == "name one: one, two"
    labs.clear()
    with pytest.raises(LabNotFound, match="no lab is up"):
        choose_lab(None)


class Ground:
    def __init__(self) -> None:
        self.nodes: dict[str, object] = {}


def test_containers_that_nobody_foresaw_get_names_that_nobody_has() -> None:
    given = StandingNames(Naming(["h1", "h2"], [("h1", "a")]))
    ground = Ground()
    given.ground = ground  # type: ignore[assignment]  # only its nodes are looked at
    ground.nodes = {"h1": None, "h2": None}
    assert given.display("h1", "a") == "a"
    ground.nodes["a"] = None
    assert given.display("h2", "a") == "h2/a"
    assert given.display("h1", "a") == "a"
    # A container may be called as a host is.
    assert given.display("h1", "h2") == "h1/h2"


def test_a_name_is_free_again_once_its_container_is_gone() -> None:
    given = StandingNames(Naming())
    ground = Ground()
    given.ground = ground  # type: ignore[assignment]  # only its nodes are looked at
    assert given.display("h1", "a") == "a"
    ground.nodes["a"] = None
    del ground.nodes["a"]
    assert given.display("h2", "a") == "a"
    ground.nodes["a"] = None
    assert given.display("h1", "a") == "h1/a"
