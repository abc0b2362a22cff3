"""Stores and the plain form of what is kept in them."""

from __future__ import annotations

import datetime
import json
import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from ipvlab.driver.engine import Engine
from ipvlab.driver.plain import from_plain, to_plain
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.driver.store import MemoryStore, Store
from ipvlab.lab.store import FolderStore
from tests.unit.driver.recording_port import RecordingPort, addresses

MOMENT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def test_requests_come_back_from_their_plain_form_as_they_were() -> None:
    join = EndpointRequest(
        "n", "10.0.0.9", "fd01::9", ("a", "b"), ("fe80::1",), "02:00:00:00:00:01", -3, {"k": "v"}
    )
    request = ContainerRequest(
        (join, EndpointRequest("m")),
        name="c",
        command=("sh", "-c", "x"),
        has_tty=True,
        env={"A": "1"},
        extra_hosts=(("x", "10.0.0.1"),),
    )
    assert from_plain(ContainerRequest, json.loads(json.dumps(to_plain(request)))) == request
    network = NetworkRequest(
        "n", "ipvlan", {"parent": "eth0"},
        (PoolRequest("10.0.0.0/24", "10.0.0.1", None, (("x", "10.0.0.9"),)), PoolRequest("fd01::/64")),
        enable_ipv4=False, enable_ipv6=True, is_internal=True, labels={"a": ""},
    )  # fmt: skip
    assert from_plain(NetworkRequest, json.loads(json.dumps(to_plain(network)))) == network
    assert to_plain(EndpointRequest("n")) == {"network": "n"}


@pytest.mark.parametrize(
    "plain",
    [[], {"networks": "n"}, {"networks": [1]}, {"networks": [], "env": []}, {"networks": [], "name": 1}],
)
def test_a_plain_form_that_is_none_is_refused(plain: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        from_plain(ContainerRequest, plain)


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else FolderStore(tmp_path / "deep" / "state")


def test_a_store_gives_back_what_it_was_given(store: Store) -> None:
    assert (store.read("x"), list(store.names())) == (None, [])
    store.write("x", b"1")
    store.write("x", b"2")
    store.write("y", b"3")
    assert (store.read("x"), sorted(store.names())) == (b"2", ["x", "y"])
    store.remove("x")
    store.remove("x")
    assert (store.read("x"), list(store.names())) == (None, ["y"])


def test_a_folder_store_leaves_the_old_record_where_the_new_one_does_not_fit(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write("x", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.write("x", b"n" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert store.read("x") == b"old"
    assert os.listdir(tmp_path) == ["x.json"]
    (tmp_path / ".y").write_text("half of a record")
    assert list(store.names()) == ["x"]


def test_a_folder_of_state_is_its_owners_alone(tmp_path: Path) -> None:
    FolderStore(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_an_engine_that_begins_with_a_folder_has_everything_of_the_one_before(tmp_path: Path) -> None:
    port = RecordingPort()
    engine = Engine("h1", port, clock=lambda: MOMENT, store=FolderStore(tmp_path))
    engine.create_network(NetworkRequest("n", "ipvlan", {"parent": "eth0.20"}, (PoolRequest("10.0.0.0/24"),)))
    engine.run_container(ContainerRequest((EndpointRequest("n"),), name="c"))
    again = Engine("h1", port, store=FolderStore(tmp_path))
    assert list(again.networks) == ["n"]
    assert again.containers["c"].is_running
    assert addresses(again.containers["c"]) == addresses(engine.containers["c"])
