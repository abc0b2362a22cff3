"""Networks asked for in any way: created whole or refused without a trace, and gone without one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ipvlab.driver.requests import NetworkRequest, PoolRequest
from ipvlab.driver.state import Network
from ipvlab.errors import DriverRefusal, KernelRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import Host

ADDRESSES = st.sampled_from(
    ["", "10.0.0.0", "10.0.0.1", "10.0.0.9", "10.0.0.255", "0.0.0.5", "fd01::", "fd01::9", "fd01::9%eth0",
     "::ffff:10.0.0.9", "foo", "10.0.0.1/24", "010.0.0.1"]
)  # fmt: skip
SUBNETS = st.sampled_from(
    ["10.0.0.0/24", "10.0.0.0/28", "10.0.0.8/30", "10.0.0.9/24", "10.0.0.0/31", "10.0.0.9/32", "0.0.0.0/0",
     "0.0.0.0/24", "0.0.0.0/31", "172.16.0.0/12", "fd01::/64", "fd01::/127", "fd01::9/128", "::/0", "::/60",
     "", "foo", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/024", "10.0.0.0/255.255.255.0", "fd01::/129"]
)  # fmt: skip
PARENTS = st.sampled_from(
    ["", "eth0", "eth1", "lo", "lo.5", "eth0.20", "eth0.020", "eth0.4095", "eth0.x", ".", ".20", "eth0.",
     "foo", "eth0.20.30", "a.b.c", "ü.20", "eth0.٣", "a-name-that-is-too-long.20"]
)  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "parent": PARENTS,
        "ipvlan_mode": st.sampled_from(["", "l2", "l3", "l3s", "L2", "l4"]),
        "ipvlan_flag": st.sampled_from(["", "bridge", "private", "vepa", "x"]),
        "com.docker.network.enable_ipv4": st.sampled_from(["true", "0", "maybe"]),
        "com.docker.network.enable_ipv6": st.sampled_from(["true", "0", "maybe"]),
        "com.docker.network.advertise_addr_ms": st.sampled_from(["100", "1", "x"]),
    },
)
WILD = st.builds(
    NetworkRequest,
    name=st.sampled_from(["a", "b", "c", "d", "", " ", "bridge", "default"]),
    driver=st.sampled_from(["ipvlan", "ipvlan", "ipvlan", "bridge", "weave"]),
    options=OPTIONS,
    pools=st.lists(
        st.builds(
            PoolRequest,
            subnet=SUBNETS,
            gateway=st.none() | ADDRESSES,
            ip_range=st.none() | SUBNETS,
            aux_addresses=st.lists(st.tuples(st.sampled_from("xy"), ADDRESSES), max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    enable_ipv4=st.none() | st.booleans(),
    enable_ipv6=st.none() | st.booleans(),
    is_internal=st.booleans(),
    ipam_driver=st.sampled_from(["default", "default", "default", "null", "dhcp"]),
    scope=st.sampled_from(["", "", "", "local", "global", "swarm"]),
    is_ingress=st.sampled_from([False, False, False, True]),
    is_config_only=st.sampled_from([False, False, False, True]),
    config_from=st.sampled_from(["", "", "", "a", "b"]),
)


SOUND_POOLS = st.sampled_from(
    [(), (PoolRequest("10.0.0.0/24"),), (PoolRequest("10.0.1.0/24", "10.0.1.9"), PoolRequest("10.0.2.0/31")),
     (PoolRequest("10.0.3.0/24", ip_range="10.0.3.64/26", aux_addresses=(("x", "10.0.3.64"),)),),
     (PoolRequest("10.0.3.0/24", ip_range="10.0.3.128/26"),), (PoolRequest("fd01::/64", "fd01::22"),),
     (PoolRequest("0.0.0.0/20"),)]
)  # fmt: skip
SOUND = st.builds(
    NetworkRequest,
    name=st.sampled_from("abcdefgh"),
    driver=st.just("ipvlan"),
    options=st.fixed_dictionaries(
        {"parent": st.sampled_from(["", "", "eth0", "eth1", "eth0.20", "eth0.30", "eth1.20"])},
        optional={"ipvlan_mode": st.sampled_from(["l2", "l3", "l3s"])},
    ),
    pools=SOUND_POOLS,
    enable_ipv4=st.none() | st.booleans(),
    enable_ipv6=st.none() | st.booleans(),
    is_internal=st.booleans(),
)
#: Settings, and networks that take theirs from them.
CONFIGURED = st.one_of(
    st.builds(NetworkRequest, name=st.sampled_from("ab"), pools=SOUND_POOLS, is_config_only=st.just(True)),
    st.builds(
        NetworkRequest,
        name=st.sampled_from("cd"),
        driver=st.just("ipvlan"),
        config_from=st.sampled_from("ab"),
    ),
)
REQUESTS = st.one_of(SOUND, SOUND, CONFIGURED, WILD)


def attempt(host: Host, request: NetworkRequest) -> tuple[Network | None, int]:
    """The network, or None and the status of its refusal (0 where the machine refused)."""
    try:
        return host.engine.create_network(request), 0
    except DriverRefusal as refusal:
        return None, refusal.status
    except KernelRefusal:
        return None, 0


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(Dialect),
    st.lists(
        st.tuples(REQUESTS, st.sampled_from([set(), set(), set(), {"add_vlan"}, {"add_isolated"}])),
        max_size=8,
    ),
)
def test_a_network_is_created_whole_or_refused_without_a_trace(
    dialect: Dialect, steps: list[tuple[NetworkRequest, set[str]]]
) -> None:
    host = Host("eth1", dialect=dialect)
    engine = host.engine
    beginning = (host.port.snapshot(), host.state())
    for request, refusing in steps:
        before = (host.port.snapshot(), host.state())
        host.port.refusing = refusing
        network, status = attempt(host, request)
        if network is None:
            assert (host.port.snapshot(), host.state()) == before
            assert status in (0, 400, 403, 404, 409, 500)
            continue
        assert engine.networks[request.name] is network
        assert request.is_config_only or host.port.has_link(network.parent.link)
        for pool in network.pools:
            assert pool.gateway is None or pool.gateway in pool.addresses
            assert 0 <= pool.available_count <= pool.dynamic_range.num_addresses
        if network.is_external:
            others = [other.parent.link for other in engine.networks.values() if other is not network]
            assert network.parent.link not in others
    # Those that others take their settings from go last.
    for network in sorted(engine.networks.values(), key=lambda each: each.request.is_config_only):
        engine.remove_network(network.id)
    assert (host.port.snapshot(), host.state()) == beginning
