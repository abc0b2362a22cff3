"""``ip`` in a lab that is up: links that the kernel may have no driver for, and everything else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.standing import UpLab, lab_up


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[UpLab]:
    """A lab that the test may change."""
    with lab_up(tmp_path) as up:
        yield up


def names(lab: UpLab, node: str) -> set[str]:
    """The links of a node, the host ends of its endpoints left out."""
    shown = lab.exec(node, "ip", "-br", "link").stdout.splitlines()
    return {line.split()[0].partition("@")[0] for line in shown if not line.startswith("ipv")}


def test_a_vlan_made_by_hand_carries_frames_to_the_other_host(lab: UpLab) -> None:
    for host, address in (("h1", "10.41.0.1/24"), ("h2", "10.41.0.2/24")):
        script = f"""
        ip link add link eth0 name foo type vlan id 41
        ip link set foo up
        ip addr add {address} dev foo
        """
        done = lab.exec(host, "sh", "-ec", script)
        assert (done.returncode, done.stderr) == (0, "")
    assert lab.exec("h1", "ping", "-c1", "-W5", "10.41.0.2").returncode == 0
    assert lab.exec("h1", "ip", "link", "del", "foo").returncode == 0
    assert "foo" not in names(lab, "h1")


def test_a_dummy_made_by_hand_is_a_parent_for_docker(lab: UpLab) -> None:
    assert lab.exec("h1", "sh", "-c", "ip link add dm0 type dummy && ip link set dm0 up").returncode == 0
    made = lab.docker(
        "h1", "network", "create", "-d", "ipvlan", "--subnet=10.9.0.0/24", "-o", "parent=dm0", "nine"
    )
    assert made.returncode == 0, made.stderr
    assert lab.docker("h1", "network", "rm", "nine").returncode == 0
    assert "dm0" in names(lab, "h1")


def test_an_ipvlan_made_by_hand_in_a_container_is_one_more_endpoint_of_its_parent(lab: UpLab) -> None:
    line = ("ip", "link", "add", "foo", "link", "eth0", "type", "ipvlan", "mode", "l2")
    # A program that is `ip` itself finds the lab's own; a script needs it on its PATH, as in a shell.
    assert lab.exec("a1", *line).returncode == 0
    script = "PATH=/run/ipvlab/bin:$PATH; ip link set foo up; ip addr add 192.168.20.77/24 dev foo"
    assert lab.exec("a1", "sh", "-ec", script).returncode == 0
    assert names(lab, "a1") == {"lo", "eth0", "foo"}
    assert lab.exec("b1", "ping", "-c1", "-W5", "192.168.20.77").returncode == 0
    assert lab.exec("a1", "ip", "link", "del", "foo").returncode == 0
    assert names(lab, "a1") == {"lo", "eth0"}


def test_an_ipvlan_made_by_hand_on_a_host_is_there_and_goes(lab: UpLab) -> None:
    line = ("ip", "link", "add", "link", "eth0", "name", "iv0", "type", "ipvlan", "mode", "l2", "private")
    assert lab.exec("h1", *line).returncode == 0
    assert "iv0" in names(lab, "h1")
    again = lab.exec("h1", *line)
    assert (again.returncode, again.stderr) == (2, "RTNETLINK answers: File exists\n")
    assert lab.exec("h1", "ip", "link", "del", "iv0").returncode == 0
    assert "iv0" not in names(lab, "h1")


def test_the_mode_of_a_containers_ipvlan_is_changed_for_its_parent(lab: UpLab) -> None:
    done = lab.exec("a1", "ip", "link", "set", "eth0", "type", "ipvlan", "mode", "l2", "private")
    assert (done.returncode, done.stderr) == (0, "")
    # Siblings of a private parent do not hear each other.
    assert lab.exec("a1", "ping", "-c1", "-W1", "192.168.20.12").returncode != 0


def test_what_the_lab_cannot_make_is_said_and_nothing_is_made(lab: UpLab) -> None:
    before = names(lab, "h1")
    done = lab.exec(
        "h1", "ip", "link", "add", "x", "link", "eth0", "type", "vlan", "id", "41", "protocol", "802.1ad"
    )
    assert done.returncode == 1
    assert "`protocol` is not known here" in done.stderr
    missing = lab.exec("h1", "ip", "link", "add", "x", "link", "nosuch", "type", "vlan", "id", "41")
    assert (missing.returncode, missing.stderr) == (1, 'Cannot find device "nosuch"\n')
    assert names(lab, "h1") == before


def test_everything_else_is_the_machines_own_ip(lab: UpLab) -> None:
    script = (
        "ip link add br0 type bridge; ip link add v0 type veth peer name v1; ip -br link; "
        "ip link del br0; ip link del v0; ip route add 10.77.0.0/16 via 10.0.0.2; ip route"
    )
    shown = lab.exec("h1", "sh", "-c", f"PATH=/run/ipvlab/bin:$PATH; {script}").stdout
    assert "br0" in shown
    assert "v0@v1" in shown
    assert "10.77.0.0/16 via 10.0.0.2 dev eth0" in shown
    assert names(lab, "h1") & {"br0", "v0", "v1"} == set()
    unknown = lab.exec("h1", "ip", "nonsense")
    assert (unknown.returncode, "nonsense" in unknown.stderr) == (1, True)


def test_an_address_that_is_added_in_a_shell_is_reached_at_once(lab: UpLab) -> None:
    script = """
    ip addr add 192.168.20.77/24 dev eth0
    ping -c1 -W5 -I 192.168.20.77 192.168.20.21 >/dev/null; echo $?
    """
    lab.exec("a1", "ip", "link", "set", "lo", "up")
    done = lab.exec("a1", "sh", "-c", f"PATH=/run/ipvlab/bin:$PATH; {script}")
    assert done.stdout == "0\n", done.stderr


def test_a_container_that_starts_again_gets_the_labs_ip_again(lab: UpLab) -> None:
    for _ in range(3):
        assert lab.exec("a1", "ip", "link", "set", "eth0", "mtu", "1400").returncode == 0
        assert lab.docker("h1", "restart", "-t", "0", "a1").returncode == 0
    assert lab.exec("a1", "ip", "-br", "link").returncode == 0
