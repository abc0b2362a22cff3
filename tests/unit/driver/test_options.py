"""The driver's options: values, defaults, refusals, and what comes first."""

from __future__ import annotations

import itertools

import pytest

from ipvlab.driver.options import check_kernel, read_options
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Flag, Mode
from tests.unit.driver.recording_port import Host

CREATE = "network create -d ipvlan --subnet=10.0.0.0/24"


def test_defaults_are_l2_and_bridge_and_no_parent() -> None:
    options = read_options({})
    assert (options.mode, options.flag, options.parent) == (Mode.L2, Flag.BRIDGE, "")
    assert read_options({"ipvlan_mode": "", "ipvlan_flag": "", "parent": ""}) == options


@pytest.mark.parametrize(("mode", "flag"), list(itertools.product(Mode, Flag)))
def test_every_mode_goes_with_every_flag(host: Host, mode: Mode, flag: Flag) -> None:
    host.ok(f"{CREATE} -o parent=eth0 -o ipvlan_mode={mode} -o ipvlan_flag={flag} n")
    plan = host.run("--net=n").endpoints[0].plan
    assert (plan.mode, plan.flag) == (mode, flag)


@pytest.mark.parametrize("mode", ["foo", "L2", "l2 ", "l4"])
def test_another_mode_is_refused(host: Host, mode: str) -> None:
    assert host.refused(f"{CREATE} -o 'ipvlan_mode={mode}' n") == (
        f"requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default"
    )


@pytest.mark.parametrize("flag", ["foo", "Bridge", "passthru"])
def test_another_flag_is_refused(host: Host, flag: str) -> None:
    assert host.refused(f"{CREATE} -o ipvlan_flag={flag} n") == (
        f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default"
    )


def test_loopback_is_no_parent(host: Host) -> None:
    refusal = host.refused(f"{CREATE} -o parent=lo n")
    assert refusal == "loopback interface is not a valid ipvlan parent link"
    host.ok(f"{CREATE} -o parent=eth0 n")


def test_mode_is_refused_before_flag_before_loopback(host: Host) -> None:
    assert "mode 'x'" in host.refused(f"{CREATE} -o parent=lo -o ipvlan_flag=y -o ipvlan_mode=x n")
    assert "flag 'y'" in host.refused(f"{CREATE} -o parent=lo -o ipvlan_flag=y n")


def test_an_overlap_is_told_before_a_bad_mode(host: Host) -> None:
    host.ok(f"{CREATE} first")
    assert "Pool overlaps" in host.refused(f"{CREATE} -o ipvlan_mode=foo second")


def test_unknown_options_are_kept_and_change_nothing(host: Host) -> None:
    host.ok(f"{CREATE} -o parent=eth0 -o mode=l3 -o foo=bar n")
    network = host.engine.networks["n"]
    assert network.request.options == {"parent": "eth0", "mode": "l3", "foo": "bar"}
    assert network.options.mode is Mode.L2


def test_an_option_without_a_value_is_empty(host: Host) -> None:
    host.ok(f"{CREATE} -o parent n")
    assert host.engine.networks["n"].parent.is_isolated


@pytest.mark.parametrize("text", ["maybe", "yes", "TrUe", ""])
def test_a_switch_of_the_engine_is_a_bool(host: Host, text: str) -> None:
    key = "com.docker.network.enable_ipv6"
    assert host.refused(f"{CREATE} -o {key}={text} n") == f'driver-opt "{key}" is not a valid bool'


def test_the_flag_wins_over_the_switch_of_the_same_meaning(host: Host) -> None:
    host.ok(f"{CREATE} -o com.docker.network.enable_ipv6=true a")
    host.ok("network create -d ipvlan --ipv6=false -o com.docker.network.enable_ipv6=1 b")
    assert (host.engine.networks["a"].has_ipv6, host.engine.networks["b"].has_ipv6) == (True, False)


@pytest.mark.parametrize("release", ["4.2.0", "4.2", "4.19.0-amd64", "5.0-rc1", "6.18.1+deb13"])
def test_a_kernel_from_4_2_on_is_accepted(release: str) -> None:
    check_kernel(release)


@pytest.mark.parametrize(
    ("release", "found"), [("4.1.52-generic", "4.1.52"), ("3.10.0", "3.10.0"), ("4.1", "4.1.0")]
)
def test_an_older_kernel_is_refused(release: str, found: str) -> None:
    with pytest.raises(DriverRefusal) as caught:
        check_kernel(release)
    assert caught.value.what == (
        f"kernel version failed to meet the minimum ipvlan kernel requirement of 4.2, found {found}"
    )


def test_a_release_that_is_no_version_is_refused() -> None:
    with pytest.raises(DriverRefusal, match="could not read a kernel version"):
        check_kernel("unknown")
