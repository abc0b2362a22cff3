"""Names: who finds whom by what, and where a name means nothing."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.layouts.layout import Draft, Layout
from ipvlab.implementations.port import Feature


def layouts() -> Iterator[Layout]:
    """Two hosts on one segment, and two networks on one of them."""
    yield _names()


def _names() -> Layout:
    draft = Draft(
        "names",
        "Names of containers on their network, beside it, and on another host",
        Feature.L2,
        Feature.IPV6,
        Feature.NAMES,
    )
    draft.wires = {"lan": {}, "lan2": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}, "eth1": {"wire": "lan2"}})
    draft.host("h2", {"eth0": {"wire": "lan"}})
    draft.station("st", {"eth1": {"wire": "lan2"}})
    for host in ("h1", "h2"):
        draft.network(host, "net", "eth0", "l2", "bridge", "10.1.0.0/24", "fd01::/64")
    draft.network("h1", "other", "eth1", "l2", "bridge", "10.2.0.0/24")
    draft.container("h1", "a1", "net", "10.1.0.11", "fd01::11")
    draft.container("h1", "a2", "net", "10.1.0.12", "fd01::12", aliases=["db", "store"])
    draft.container("h1", "x1", "other", "10.2.0.11")
    draft.container("h2", "b1", "net", "10.1.0.21", "fd01::21")
    both = ["10.1.0.12", "fd01::12"]
    draft.expect(
        ["IPV-NAME-LOOKUP-001", "IPV-NAME-DUAL-001"], resolves={"node": "a1", "name": "a2", "to": both}
    )
    draft.expect(
        "IPV-NAME-LOOKUP-001", resolves={"node": "a2", "name": "a1", "to": ["10.1.0.11", "fd01::11"]}
    )
    draft.expect("IPV-NAME-LOOKUP-002", resolves={"node": "a1", "name": "A2", "to": both})
    for alias in ("db", "store"):
        draft.expect("IPV-NAME-LOOKUP-003", resolves={"node": "a1", "name": alias, "to": both})
    draft.expect("IPV-NAME-SCOPE-001", resolves={"node": "b1", "name": "a2", "to": []})
    draft.expect("IPV-NAME-SCOPE-001", resolves={"node": "a1", "name": "b1", "to": []})
    draft.expect("IPV-NAME-SCOPE-002", resolves={"node": "x1", "name": "a2", "to": []})
    draft.expect("IPV-NAME-SCOPE-002", resolves={"node": "a1", "name": "x1", "to": []})
    draft.step(h1="docker rm -f a2")
    for name in ("a2", "db"):
        draft.expect("IPV-NAME-GONE-001", resolves={"node": "a1", "name": name, "to": []})
    draft.expect(
        "IPV-NAME-LOOKUP-001", resolves={"node": "a1", "name": "a1", "to": ["10.1.0.11", "fd01::11"]}
    )
    return draft.layout()
