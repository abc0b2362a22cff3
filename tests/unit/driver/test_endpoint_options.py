"""What may be wished of an interface inside a container: its name and its sysctls (D-OPT-022, 023)."""

from __future__ import annotations

import pytest

from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import D26, D28, D29, DOCS, START, every_dialect
from tests.unit.driver.test_docker_joining import interfaces, three

SINCE_27 = pytest.mark.parametrize("dialect", [DOCS, D28, D29])


@pytest.mark.docker("D-OPT-022")
@SINCE_27
def test_the_option_ifname_names_the_interface(dialect: Dialect) -> None:
    host = three(dialect)
    option = "driver-opt=com.docker.network.endpoint.ifname=foobar"
    assert interfaces(host.run(f"--net=name=b,{option} --net=a")) == [("b", "foobar"), ("a", "eth0")]


@pytest.mark.docker("D-OPT-022")
def test_26_ignores_the_option_ifname() -> None:
    host = three(D26)
    join = EndpointRequest("b", options={"com.docker.network.endpoint.ifname": "foobar"})
    assert interfaces(host.engine.run_container(ContainerRequest((join,)))) == [("b", "eth0")]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lo", "file exists"),
        ("eth0", "file exists"),
        ("a-name-of-16-byt", "numerical result out of range"),
        ("a/b", "invalid argument"),
        ("a b", "invalid argument"),
        ("..", "invalid argument"),
    ],
)
@SINCE_27
def test_an_interface_name_that_no_link_can_have_is_refused(dialect: Dialect, name: str, why: str) -> None:
    host = three(dialect)
    host.run("--net=b --name=c")
    request = EndpointRequest("a", options={"com.docker.network.endpoint.ifname": name})
    with pytest.raises(DriverRefusal) as caught:
        host.engine.connect("a", "c", request)
    assert caught.value.what == f"error renaming interface to {name}: {why}"
    assert list(host.port.containers["c"]) == ["eth0"]


SYSCTLS = "com.docker.network.endpoint.sysctls"


@pytest.mark.docker("D-OPT-023")
@SINCE_27
def test_an_endpoints_sysctls_are_set_on_its_own_interface(dialect: Dialect) -> None:
    host = three(dialect)
    host.run("--net=b --name=c")
    host.ok(f"network connect --driver-opt {SYSCTLS}=net.ipv6.conf.IFNAME.disable_ipv6=0 a c")
    assert host.port.containers["c"]["eth1"].sysctls == (("ipv6/conf/eth1/disable_ipv6", "0"),)
    assert host.port.containers["c"]["eth0"].sysctls == ()
    two = "net.ipv4.conf.ifname.log_martians=1,net.ipv4.neigh.IFNAME.retrans_time_ms=50"
    join = EndpointRequest("b", options={SYSCTLS: two, "com.docker.network.endpoint.ifname": "eth0.7"})
    container = host.engine.run_container(ContainerRequest((join,), name="d"))
    assert container.endpoints[0].plan.sysctls == (
        ("ipv4/conf/eth0.7/log_martians", "1"),
        ("ipv4/neigh/eth0.7/retrans_time_ms", "50"),
    )


@pytest.mark.docker("D-OPT-023")
@pytest.mark.parametrize(
    "sysctl",
    ["net.ipv6.conf.eth0.disable_ipv6=0", "ipv6.conf.IFNAME.disable_ipv6=0", "net.core.x.IFNAME.y=1", ""],
)
@SINCE_27
def test_a_sysctl_that_names_no_interface_is_refused(dialect: Dialect, sysctl: str) -> None:
    host = three(dialect)
    text = (
        f"invalid endpoint settings:\nunrecognised network interface sysctl '{sysctl}'; represent "
        "'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
    )
    join = EndpointRequest("b", options={SYSCTLS: sysctl})
    with pytest.raises(DriverRefusal) as at_create:
        host.engine.create_container(ContainerRequest((join,), name="c"))
    assert (at_create.value.what, at_create.value.status) == (f"invalid config for network b: {text}", 400)
    host.run("--net=a --name=d")
    with pytest.raises(DriverRefusal) as at_connect:
        host.engine.connect("b", "d", join)
    assert (at_connect.value.what, at_connect.value.status) == (text, 400)


@pytest.mark.docker("D-OPT-023")
def test_26_ignores_sysctls_of_endpoints() -> None:
    host = three(D26)
    join = EndpointRequest("b", options={SYSCTLS: "nonsense"})
    container = host.engine.run_container(ContainerRequest((join,)))
    assert container.endpoints[0].plan.sysctls == ()


def test_a_sysctl_without_a_value_is_refused_at_start() -> None:
    host = three(DOCS)
    for text, form in (
        ("net.ipv4.conf.IFNAME.log_martians", "name=value"),
        ("net.ipv4.conf.IFNAME.a.b=1", "net.X.Y.IFNAME.Z"),
    ):
        join = EndpointRequest("b", options={SYSCTLS: text})
        with pytest.raises(DriverRefusal) as caught:
            host.engine.run_container(ContainerRequest((join,)))
        assert caught.value.what == f"{START[DOCS]}expected sysctl '{text}' to have format {form}"


@every_dialect
def test_a_containers_own_sysctls_are_its_namespaces(dialect: Dialect) -> None:
    host = three(dialect)
    sysctls = {"net.ipv4.ip_forward": "1"}
    host.engine.run_container(ContainerRequest((EndpointRequest("b"),), name="c", sysctls=sysctls))
    assert host.port.sysctls["c"] == {"ipv4/ip_forward": "1"}
    with pytest.raises(DriverRefusal, match="does not begin with net"):
        host.engine.create_container(
            ContainerRequest((EndpointRequest("b"),), sysctls={"kernel.shmmax": "1"})
        )
    of_an_interface = ContainerRequest(
        (EndpointRequest("b"),), name="d", sysctls={"net.ipv4.conf.eth0.log_martians": "1"}
    )
    if dialect is D26:
        host.engine.run_container(of_an_interface)
        assert host.port.sysctls["d"] == {"ipv4/conf/eth0/log_martians": "1"}
    else:
        with pytest.raises(DriverRefusal, match="must be supplied using driver option"):
            host.engine.create_container(of_an_interface)
