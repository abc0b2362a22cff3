"""Changes while packets are under way."""

from __future__ import annotations

import socket
import threading

import pytest

from conformance.layouts.layout import Draft
from ipvlab.implementations.port import Feature
from ipvlab.lab.nodes import Node
from ipvlab.probe.ears import enlarge
from ipvlab.pytest_plugin import Bench

PORT, LAST = 5000, b"last"
#: Sent before the removal, and at least as many while it goes on.
AHEAD = 200


def open_socket(node: Node) -> socket.socket:
    """A UDP socket inside a node."""
    return node.namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


@pytest.mark.requirement("IPV-LIFE-TRAFFIC-001")
def test_removing_an_endpoint_loses_nothing_of_what_others_send(bench: Bench) -> None:
    draft = Draft("traffic", "Three endpoints, one of which goes", Feature.L2, Feature.TRAFFIC)
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}})
    draft.station("st", {"eth0": {"wire": "lan", "addresses": ["10.1.0.9/24"]}})
    draft.network("h1", "net", "eth0", "l2", "bridge", {"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"})
    for number in (1, 2, 3):
        draft.container("h1", f"a{number}", "net", f"10.1.0.1{number}")
    layout = draft.layout()
    with bench.standing(layout.name, layout.text(), layout.features) as port:
        nodes = port.ground.nodes
        sender, sibling, station = nodes["a1"], nodes["a3"], nodes["st"]
        assert isinstance(sender, Node)
        assert isinstance(sibling, Node)
        assert isinstance(station, Node)
        received = {"10.1.0.13": open_socket(sibling), "10.1.0.9": open_socket(station)}
        for address, listener in received.items():
            enlarge(listener)
            listener.bind((address, PORT))
        speaker = open_socket(sender)
        ahead, gone = threading.Event(), threading.Event()
        sent = 0

        def speak() -> None:
            nonlocal sent
            while sent < 2 * AHEAD or not gone.is_set():
                for address in received:
                    speaker.sendto(sent.to_bytes(4, "big"), (address, PORT))
                sent += 1
                if sent == AHEAD:
                    ahead.set()
            for address in received:
                speaker.sendto(LAST, (address, PORT))

        speaking = threading.Thread(target=speak)
        speaking.start()
        ahead.wait()
        port.detach("h1", "a2")
        gone.set()
        speaking.join()
        for listener in received.values():
            heard = []
            while (datagram := listener.recv(16)) != LAST:
                heard.append(int.from_bytes(datagram, "big"))
            assert heard == list(range(sent))
            listener.close()
        speaker.close()
