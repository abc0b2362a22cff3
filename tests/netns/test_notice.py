"""What a real program changes on a node's links is noticed when it has ended."""

from __future__ import annotations

from ipvlab import Lab


def test_an_address_that_a_program_adds_in_a_container_is_reached_by_siblings_and_from_the_wire() -> None:
    with Lab(datapath="bpf") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        h2 = lab.host("h2", eth0=lan.port("192.168.1.251/24"))
        h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 n")
        a, b = h1.container("a", network="n"), h1.container("b", network="n")
        added = a.execute(["ip", "address", "add", "192.168.1.77/24", "dev", "eth0"])
        assert (added.exit_code, added.stderr) == (0, "")
        assert b.reaches(a, address="192.168.1.77")
        assert h2.reaches(a, address="192.168.1.77")
        a.execute(["ip", "address", "del", "192.168.1.77/24", "dev", "eth0"])
        a.execute(["ip", "address", "add", "192.168.1.78/24", "dev", "eth0"])
        assert b.reaches(a, address="192.168.1.78")


def test_a_mac_that_a_program_gives_to_a_parent_reaches_the_endpoints() -> None:
    with Lab(datapath="bpf") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        h2 = lab.host("h2", eth0=lan.port("192.168.1.251/24"))
        h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 n")
        a = h1.container("a", network="n")
        h1.execute(["ip", "link", "set", "eth0", "address", "02:00:00:00:77:01"])
        assert h2.reaches(a)
        assert "02:00:00:00:77:01" in a.execute(["ip", "link", "show", "eth0"]).stdout


def test_what_a_program_does_to_a_link_reaches_its_sub_interfaces() -> None:
    with Lab(datapath="bpf") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        lab.host("h2", eth0=lan.port("192.168.1.251/24"))
        h1.docker("network create -d ipvlan --subnet=192.168.20.0/24 -o parent=eth0.20 n")
        a = h1.container("a", network="n")
        h1.execute("ip link set eth0 mtu 1400 address 02:00:00:00:77:01".split())
        for place, name in ((h1, "eth0.20"), (a, "eth0")):
            shown = place.execute(["ip", "link", "show", name]).stdout
            assert "02:00:00:00:77:01" in shown
            assert "mtu 1400" in shown
        h1.execute("ip link set eth0 down".split())
        assert "UP" not in h1.execute("ip -o link show eth0.20".split()).stdout.partition(">")[0]
        h1.execute("ip link set eth0 up".split())
        assert "UP" in h1.execute("ip -o link show eth0.20".split()).stdout.partition(">")[0]
