"""Whole scenarios about parents: what is handed up, what goes with them, what is defended."""

from __future__ import annotations

import textwrap
from pathlib import Path

from ipvlab import run


def passes(tmp_path: Path, body: str) -> None:
    path = tmp_path / "case.ipvlab.yaml"
    path.write_text("name: case\nwires: {lan: {}}\n" + textwrap.dedent(body))
    result = run(path, datapath="bpf")
    assert result.ok, [(verdict.id, verdict.reason) for verdict in result.verdicts if not verdict]


def test_a_packet_handed_up_to_the_parent_does_not_count_as_crossing_its_bare_wire(tmp_path: Path) -> None:
    """A tap on the parent sees it as ingress; both ends of the pair are tried."""
    passes(
        tmp_path,
        """
        hosts:
          h1:
            interfaces: {eth0: {wire: lan, addresses: [192.168.1.1/24]}}
            networks:
              n: {driver_opts: {parent: eth0, ipvlan_mode: l3}, ipam: {config: [{subnet: 10.1.0.0/24}]}}
            containers: {a: {networks: [n]}}
          h2:
            interfaces: {eth0: {wire: lan, addresses: [192.168.1.2/24]}}
            networks:
              n: {driver_opts: {parent: eth0, ipvlan_mode: l3}, ipam: {config: [{subnet: 10.2.0.0/24}]}}
            containers: {b: {networks: [n]}}
        expect:
          - on_wire: {wire: lan, from: a, to: h1, source_mac: null}
          - on_wire: {wire: lan, from: b, to: h2, source_mac: null}
          - on_wire: {wire: lan, from: a, to: h2, source_mac: h1.eth0}
          - on_wire: {wire: lan, from: b, to: h1, source_mac: h2.eth0}
        """,
    )


def test_endpoints_go_with_a_parent_that_is_deleted_by_hand(tmp_path: Path) -> None:
    """K-OBJ-025; what Docker does afterwards still works."""
    passes(
        tmp_path,
        r"""
        hosts:
          h1:
            interfaces: {eth0: {wire: lan}}
            commands: |
              ip link add link eth0 name foo type vlan id 7
              ip link set foo up
              docker network create -d ipvlan --subnet=10.0.0.0/24 -o parent=foo n
              docker run --net=n --name=a -itd alpine /bin/sh
              docker run --net=n --name=b -itd alpine /bin/sh
          h2:
            interfaces: {eth0: {wire: lan}}
        expect:
          - reach: {from: a, to: b}
        steps:
          - do: {h1: [ip link del foo]}
            expect:
              - links: {in: a, absent: [eth0]}
              - links: {in: h1, absent: [foo]}
          - do: {h1: [docker rm -f a b, docker network rm n]}
            expect:
              - links: {in: h1, absent: [foo]}
        """,
    )


def test_an_address_added_by_hand_is_kept_by_who_had_it_first(tmp_path: Path) -> None:
    """Duplicate address detection works between hosts (K-L2-012)."""
    passes(
        tmp_path,
        """
        hosts:
          h1:
            interfaces: {eth0: {wire: lan, addresses: [192.168.1.1/24]}}
            commands: |
              docker network create -d ipvlan --subnet=2001:db8::/64 -o parent=eth0 n
              docker run --net=n --name=a -it alpine /bin/sh
              ip addr add 2001:db8::77/64 dev eth0
          h2:
            interfaces: {eth0: {wire: lan, addresses: ["2001:db8::99/64"]}}
            commands: |
              ip addr add 2001:db8::77/64 dev eth0
        expect:
          - reach: {from: a/2001:db8::77, to: h2/2001:db8::99}
          - reach: {from: h2, to: a/2001:db8::77}
        """,
    )
