"""What an implementation says of a network when it is asked."""

from __future__ import annotations

import json

import pytest

from conformance.layouts.layout import Draft
from ipvlab.implementations.port import Feature
from ipvlab.pytest_plugin import Bench

OPTIONS = {"parent": "eth0", "ipvlan_mode": "l3"}


@pytest.mark.requirement("IPV-CTRL-SHOW-001")
def test_inspection_shows_options_as_given_subnets_and_endpoints(bench: Bench) -> None:
    draft = Draft("inspection", "One network", Feature.L3, Feature.DOCKER)
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}})
    draft.network("h1", "net", "eth0", "l3", "bridge", "10.1.0.0/24")
    draft.container("h1", "a1", "net", "10.1.0.11")
    layout = draft.layout()
    with bench.standing(layout.name, layout.text(), layout.features) as port:
        shown = json.loads(json.dumps(port.inspect("h1", "net")))
    assert shown["Driver"] == "ipvlan"
    assert shown["Options"] == OPTIONS
    assert [config["Subnet"] for config in shown["IPAM"]["Config"]] == ["10.1.0.0/24"]
    [endpoint] = shown["Containers"].values()
    assert (endpoint["Name"], endpoint["IPv4Address"]) == ("a1", "10.1.0.11/24")
