"""The CNI plugin ``ipvlan`` as an implementation under test, called by the exec protocol of the CNI SPEC.

The runtime is this module: it makes a container's namespace, writes the network
configuration that says what the lab asks for, and calls ADD and DEL. Requested
addresses go to the IPAM plugin ``static``, others come from ``host-local``.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Mapping

from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.errors import DriverRefusal, EnvironmentUnfit, FeatureMissing
from ipvlab.implementations.engine_programs import Programs, settle_all
from ipvlab.implementations.foreign import ForeignGround, check_options, name_of, single_endpoint
from ipvlab.implementations.port import About, Feature
from ipvlab.lab.adopting import make_namespace, open_namespace
from ipvlab.linux.namespaces import Namespace

HINT = "apt-get install containernetworking-plugins, or name a folder with Debian's in IPVLAB_ENGINES"
FOLDERS = ("/usr/lib/cni", "/opt/cni/bin")
CNI_VERSION = "1.0.0"
NAME = "cni"
INTERFACE = "eth0"
FEATURES = frozenset(
    {
        Feature.L2,
        Feature.L3,
        Feature.L3S,
        Feature.GIVEN_PARENT,
        Feature.IPV6,
        Feature.IPV6_ONLY,
        Feature.SEVERAL_SUBNETS,
        Feature.LIVE_MODE,
        Feature.TRAFFIC,
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Attached:
    """A container that was ADDed: what DEL needs, and what ADD answered."""

    identifier: str
    configuration: Mapping[str, object]
    result: object
    #: Kept until DEL, which must be able to enter it.
    namespace: Namespace


class CniPort:
    """One lab, with the plugin called on each of its hosts."""

    def __init__(
        self, programs: Programs, folder: str, name: str, container_name: Callable[[str, str], str]
    ) -> None:
        self._programs = programs
        self._folder = folder
        self._state = f"/run/ipvlab-{os.getpid()}-{secrets.token_hex(4)}"
        self._networks: dict[tuple[str, str], NetworkRequest] = {}
        self._attached: dict[tuple[str, str], _Attached] = {}
        self._ground = ForeignGround(name, container_name)

    @property
    def ground(self) -> ForeignGround:
        """The lab."""
        return self._ground

    def start(self, host: str) -> None:
        """Nothing: plugins are programs that end."""

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Keep a network's configuration, which plugins get at each call; a link is made by ADD only."""
        parent, _ = check_options(request, has_flags=False, name=NAME)
        if not parent:
            raise FeatureMissing("without a parent the plugin takes the link of the default route")
        if request.is_internal:
            raise FeatureMissing("a CNI network configuration has no word for internal")
        if (host, request.name) in self._networks:
            raise DriverRefusal(f"there is a network {request.name} already")
        self._networks[host, request.name] = request

    def remove_network(self, host: str, network: str) -> None:
        """Forget a network's configuration."""
        self._find(host, network)
        del self._networks[host, network]

    def _find(self, host: str, network: str) -> NetworkRequest:
        try:
            return self._networks[host, network]
        except KeyError as error:
            raise DriverRefusal(f"there is no network {network}", status=404) from error

    def attach(self, host: str, request: ContainerRequest) -> None:
        """Make a container's namespace and ADD its endpoint."""
        name, endpoint = name_of(request), single_endpoint(request, NAME)
        if endpoint.mac is not None:
            raise FeatureMissing("the plugin takes no MAC address")
        configuration = configure(self._find(host, endpoint.network), endpoint, f"{self._state}/{host}")
        fd = make_namespace()
        kept = open_namespace(name, os.dup(fd))
        attached = _Attached(secrets.token_hex(16), configuration, None, kept)
        try:
            result = self._call("ADD", host, attached)
        except DriverRefusal:
            kept.close()
            os.close(fd)
            raise
        self._attached[host, name] = dataclasses.replace(attached, result=result)
        self._ground.adopt(host, name, request.hostname or name, fd)

    def _call(self, command: str, host: str, attached: _Attached) -> object:
        """Call the plugin on a host (SPEC.md: Section 2); raises :class:`DriverRefusal` with its text."""
        env = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": attached.identifier,
            "CNI_NETNS": f"/proc/{os.getpid()}/fd/{attached.namespace.fd}",
            "CNI_IFNAME": INTERFACE,
            "CNI_PATH": self._folder,
        }
        done = self._programs.run(
            [f"{self._folder}/ipvlan"],
            inside=self._ground.namespace(host),
            env=env,
            stdin=json.dumps(attached.configuration),
        )
        told = _read(done.stdout)
        if done.exit_code != 0:
            text = told.get("msg") if isinstance(told, dict) else None
            raise DriverRefusal(str(text or done.stderr.strip() or f"status {done.exit_code}"))
        return told

    def detach(self, host: str, container: str) -> None:
        """DEL a container's endpoint and let its namespace go."""
        attached = self._attached.pop((host, container), None)
        if attached is None:
            raise DriverRefusal(f"there is no container {container}", status=404)
        try:
            self._call("DEL", host, attached)
        finally:
            attached.namespace.close()
            self._ground.drop(host, container)

    def inspect(self, host: str, network: str) -> Mapping[str, object]:
        """The configurations and results of a network, as plugin and runtime exchanged them."""
        self._find(host, network)
        mine = {name: each for (where, name), each in self._attached.items() if where == host}
        return {
            "name": network,
            "attachments": {
                name: {"configuration": each.configuration, "result": each.result}
                for name, each in mine.items()
                if each.configuration["name"] == network
            },
        }

    def close(self) -> None:
        """End the lab."""
        kept, self._attached = list(self._attached.values()), {}
        settle_all([self._ground.close, *(each.namespace.close for each in kept)])
        shutil.rmtree(self._programs.outside(self._state), ignore_errors=True)


class CniPlugin:
    """The plugins of this machine, or of the folder that IPVLAB_ENGINES names."""

    name = NAME
    features = FEATURES

    def __init__(self) -> None:
        self._programs = Programs.of_environment()

    def _find_folder(self) -> str:
        for folder in FOLDERS:
            if self._programs.outside(f"{folder}/ipvlan").is_file():
                return folder
        raise EnvironmentUnfit(f"no CNI plugin ipvlan in {' or '.join(FOLDERS)}", hint=HINT)

    def about(self) -> About:
        """The plugin's version: Debian's, since its build leaves the plugin without one."""
        self._find_folder()
        return About(
            self.name,
            self._programs.debian_version("containernetworking-plugins") or "unknown",
            platform.release(),
            organization="CNI maintainers, as Debian packages it",
            url="https://github.com/containernetworking/plugins",
            notes=(
                f"exec protocol {CNI_VERSION}, without a container runtime",
                "requested addresses by the IPAM plugin static, others by host-local",
            ),
        )

    def open(self, name: str, container_name: Callable[[str, str], str]) -> CniPort:
        """An empty lab; raises :class:`EnvironmentUnfit` where plugin or ipvlan is missing."""
        return CniPort(self._programs, self._find_folder(), name, container_name)


def configure(network: NetworkRequest, endpoint: EndpointRequest, state: str) -> dict[str, object]:
    """The network configuration for one endpoint; ``state`` is where ``host-local`` keeps its leases."""
    parent, mode = check_options(network, has_flags=False, name=NAME)
    requested = [address for address in (endpoint.ipv4, endpoint.ipv6) if address is not None]
    pools = [_pool_of(network, address) for address in requested] or _first_pools(network)
    if requested:
        ipam: dict[str, object] = {
            "type": "static",
            "addresses": [_address(address, pool) for address, pool in zip(requested, pools, strict=True)],
        }
    else:
        ipam = {"type": "host-local", "dataDir": state, "ranges": [[_range(pool)] for pool in pools]}
    routes = [
        {"dst": "0.0.0.0/0" if ipaddress.ip_network(pool.subnet).version == 4 else "::/0"}
        for pool in pools
        # The plugin gives a default route only when it is told to; by its interface where it has no gateway.
        if pool.gateway is not None or mode != "l2"
    ]
    if routes:
        ipam["routes"] = routes
    return {
        "cniVersion": CNI_VERSION,
        "name": network.name,
        "type": "ipvlan",
        "master": parent,
        "mode": mode,
        "ipam": ipam,
    }


def _address(address: str, pool: PoolRequest) -> dict[str, str]:
    length = ipaddress.ip_network(pool.subnet).prefixlen
    given = {"address": f"{address}/{length}"}
    return given if pool.gateway is None else {**given, "gateway": pool.gateway}


def _range(pool: PoolRequest) -> dict[str, str]:
    given = {"subnet": pool.subnet}
    return given if pool.gateway is None else {**given, "gateway": pool.gateway}


def _pool_of(network: NetworkRequest, address: str) -> PoolRequest:
    wanted = ipaddress.ip_address(address)
    for pool in network.pools:
        if wanted in ipaddress.ip_network(pool.subnet):
            return pool
    raise DriverRefusal(f"{address} is in no subnet of {network.name}")


def _first_pools(network: NetworkRequest) -> list[PoolRequest]:
    """One pool of each family, the first."""
    found: dict[int, PoolRequest] = {}
    for pool in network.pools:
        found.setdefault(ipaddress.ip_network(pool.subnet).version, pool)
    return list(found.values())


def _read(text: str) -> object:
    try:
        return json.loads(text) if text.strip() else None
    except ValueError:
        return None
