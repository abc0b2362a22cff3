"""Flags where the wire sends back what it got, and their change at run time."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.layouts.layout import Draft, Layout
from ipvlab.implementations.port import Feature


def layouts() -> Iterator[Layout]:
    """Private and vepa behind a reflecting port; then flags that change while endpoints are there."""
    yield _reflected("private", Feature.PRIVATE)
    yield _reflected("vepa", Feature.VEPA)
    yield _one_port()


def _lab(name: str, title: str, flag: str, *features: Feature, reflects: bool) -> Draft:
    draft = Draft(name, title, Feature.L2, *features)
    draft.wires = {"lan": {}}
    port = {"port": {"hairpin": True}} if reflects else {}
    draft.host("h1", {"eth0": {"wire": "lan", "addresses": ["10.1.0.251/24"], **port}})
    draft.station("st", {"eth0": {"wire": "lan", "addresses": ["10.1.0.9/24"]}})
    draft.network("h1", "net", "eth0", "l2", flag, "10.1.0.0/24")
    for number in (1, 2, 3):
        draft.container("h1", f"a{number}", "net", f"10.1.0.1{number}")
    return draft


def _reflected(flag: str, feature: Feature) -> Layout:
    draft = _lab(
        f"l2-{flag}-reflected",
        f"L2 {flag} behind a port that sends frames back",
        flag,
        feature,
        reflects=True,
    )
    everyone = ["a1", "a2", "a3"]
    pair = {"sender": everyone, "to": everyone}
    if flag == "private":
        draft.expect("IPV-FLAG-PRIV-004", blocked=pair)
        heard = "IPV-FLAG-PRIV-002"
    else:
        draft.expect("IPV-FLAG-VEPA-002", reach=pair)
        draft.expect(
            "IPV-FLAG-VEPA-004",
            on_wire={"wire": "lan", "sender": "a1", "to": "a2", "vlan": None, "source_mac": "h1.eth0"},
        )
        heard = "IPV-FLAG-VEPA-003"
    # The host hears what the wire sends back, and the siblings hear the first copy only.
    draft.expect(heard, broadcast={"sender": "a1", "heard_by": ["a2", "a3", "h1", "st"]})
    draft.expect("IPV-L2-HOST-005", reach={"sender": "a1", "to": "h1"})
    return draft.layout()


def _one_port() -> Layout:
    draft = _lab(
        "flag-of-a-parent",
        "The flag is the parent's: changed through one endpoint, it holds for all",
        "bridge",
        Feature.PRIVATE,
        Feature.LIVE_MODE,
        reflects=False,
    )
    everyone = ["a1", "a2", "a3"]
    pair = {"sender": everyone, "to": everyone}
    draft.expect("IPV-LIFE-FLAG-001", reach=pair)
    draft.step(a1="ip link set eth0 type ipvlan mode l2 private")
    draft.expect(["IPV-FLAG-PORT-001", "IPV-LIFE-FLAG-001"], blocked=pair)
    draft.expect("IPV-LIFE-FLAG-001", reach={"sender": "a2", "to": "st"})
    draft.step(a2="ip link set eth0 type ipvlan mode l2 bridge")
    draft.expect(["IPV-FLAG-PORT-001", "IPV-LIFE-FLAG-001"], reach=pair)
    return draft.layout()
