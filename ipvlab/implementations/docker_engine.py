"""Docker Engine as an implementation under test: one daemon for each host of a lab, inside that host."""

from __future__ import annotations

import contextlib
import functools
import platform
import re
from collections.abc import Callable, Mapping

from ipvlab.driver.options import IFNAME
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest
from ipvlab.errors import DriverRefusal, EnvironmentUnfit, LabError
from ipvlab.implementations.docker_hosts import DockerHost, DockerHosts
from ipvlab.implementations.engine_programs import Programs, settle_all
from ipvlab.implementations.foreign import (
    IMAGE,
    MAIN_PROGRAM,
    ForeignGround,
    name_of,
    namespace_of,
)
from ipvlab.implementations.port import About, Feature

HINT = "apt-get install docker.io, or name a folder with Debian's programs in IPVLAB_ENGINES"
#: The first release with networks that have no IPv4 (``--ipv4=false``).
IPV6_ONLY_SINCE = 28


@functools.cache
def _hosts(programs: Programs) -> DockerHosts:
    return DockerHosts(programs)


class DockerPort:
    """One lab, a real Docker daemon on each of its hosts."""

    def __init__(self, hosts: DockerHosts, name: str, container_name: Callable[[str, str], str]) -> None:
        self._pool = hosts
        self._hosts: dict[str, DockerHost] = {}
        self._ground = ForeignGround(name, container_name, self._lend)

    def _lend(self, host: str) -> int:
        self._hosts[host] = self._pool.take()
        return self._hosts[host].lend()

    @property
    def ground(self) -> ForeignGround:
        """The lab."""
        return self._ground

    def start(self, host: str) -> None:
        """Wait for the daemon of a host; it was started with the host, or before."""
        self._hosts[host].await_ready()

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Create a network, as ``docker network create`` does."""
        self._hosts[host].api.ask("POST", "/networks/create", network_body(request))
        self._ground.note_host(host)

    def remove_network(self, host: str, network: str) -> None:
        """Remove a network."""
        self._hosts[host].api.ask("DELETE", f"/networks/{network}")
        self._ground.note_host(host)

    def attach(self, host: str, request: ContainerRequest) -> None:
        """Create and start a container, as ``docker run -itd`` does."""
        api, name = self._hosts[host].api, name_of(request)
        made = api.ask("POST", "/containers/create", container_body(request), {"name": name})
        container = _text(made, "Id")
        try:
            api.ask("POST", f"/containers/{container}/start")
            shown = api.ask("GET", f"/containers/{container}/json")
            state = shown.get("State") if isinstance(shown, dict) else None
            pid = state.get("Pid") if isinstance(state, dict) else None
            fd = namespace_of(int(pid or 0))
        except DriverRefusal:
            if request.is_auto_remove:
                # The daemon removes it by itself as well, and one of the two comes first.
                with contextlib.suppress(DriverRefusal):
                    api.ask("DELETE", f"/containers/{container}", query={"force": "1"})
            raise
        self._ground.adopt(host, name, request.hostname or name, fd)

    def detach(self, host: str, container: str) -> None:
        """Remove a container, as ``docker rm -f`` does."""
        self._hosts[host].api.ask("DELETE", f"/containers/{container}", query={"force": "1"})
        self._ground.drop(host, container)

    def inspect(self, host: str, network: str) -> Mapping[str, object]:
        """The network as the daemon shows it."""
        shown = self._hosts[host].api.ask("GET", f"/networks/{network}")
        if not isinstance(shown, dict):
            raise LabError(f"the daemon shows no network {network!r}")
        return shown

    def close(self) -> None:
        """Remove containers and networks, end the lab, and give the hosts back."""
        hosts, self._hosts = list(self._hosts.values()), {}
        settle_all(
            [
                *(host.await_ready for host in hosts),
                *(host.remove_everything for host in hosts),
                self._ground.close,
                *(functools.partial(self._pool.give_back, host) for host in hosts),
            ]
        )


class DockerEngine:
    """Docker Engine, of this machine or of the folder that IPVLAB_ENGINES names."""

    name = "docker"

    def __init__(self) -> None:
        self._programs = Programs.of_environment()

    @functools.cached_property
    def _version(self) -> str:
        """The daemon's version; raises :class:`EnvironmentUnfit`."""
        told = self._programs.run([self._programs.find("dockerd", HINT), "--version"]).stdout
        found = re.search(r"version ([^\s,]+)", told)
        if found is None:
            raise EnvironmentUnfit(f"dockerd --version says {told.strip()!r}", hint=HINT)
        return found.group(1)

    @functools.cached_property
    def features(self) -> frozenset[Feature]:
        """Everything, but for what came with a later release."""
        release = int(self._version.partition(".")[0])
        missing = set() if release >= IPV6_ONLY_SINCE else {Feature.IPV6_ONLY}
        return frozenset(set(Feature) - missing)

    def about(self) -> About:
        """The version of the daemon, on this kernel; raises :class:`EnvironmentUnfit`."""
        return About(
            self.name,
            self._version,
            platform.release(),
            organization="Docker, Inc. (moby), as Debian packages it",
            url="https://github.com/moby/moby",
            notes=("one dockerd in each host's network namespace, one containerd for all",),
        )

    def open(self, name: str, container_name: Callable[[str, str], str]) -> DockerPort:
        """An empty lab; raises :class:`EnvironmentUnfit` where Docker Engine or ipvlan is missing."""
        for program in ("dockerd", "containerd", "runc"):
            self._programs.find(program, HINT)
        return DockerPort(_hosts(self._programs), name, container_name)


def network_body(request: NetworkRequest) -> dict[str, object]:
    """The body of ``POST /networks/create``."""
    pools = []
    for pool in request.pools:
        config: dict[str, object] = {"Subnet": pool.subnet}
        if pool.gateway is not None:
            config["Gateway"] = pool.gateway
        if pool.ip_range is not None:
            config["IPRange"] = pool.ip_range
        if pool.aux_addresses:
            config["AuxiliaryAddresses"] = dict(pool.aux_addresses)
        pools.append(config)
    body: dict[str, object] = {
        "Name": request.name,
        "Driver": request.driver,
        "IPAM": {"Driver": request.ipam_driver, "Options": dict(request.ipam_options), "Config": pools},
        "Internal": request.is_internal,
        "Attachable": request.is_attachable,
        "Options": dict(request.options),
        "Labels": dict(request.labels),
    }
    if request.enable_ipv4 is not None:
        body["EnableIPv4"] = request.enable_ipv4
    if request.enable_ipv6 is not None:
        body["EnableIPv6"] = request.enable_ipv6
    return body


def container_body(request: ContainerRequest) -> dict[str, object]:
    """The body of ``POST /containers/create``."""
    networks = [endpoint.network for endpoint in request.networks]
    return {
        "Image": IMAGE,
        "Cmd": [MAIN_PROGRAM],
        "Tty": True,
        "OpenStdin": True,
        "Hostname": request.hostname or "",
        "HostConfig": {
            "NetworkMode": networks[0] if networks else "none",
            "AutoRemove": request.is_auto_remove,
            "Sysctls": dict(request.sysctls),
        },
        "NetworkingConfig": {
            "EndpointsConfig": {endpoint.network: _endpoint_body(endpoint) for endpoint in request.networks}
        },
    }


def _endpoint_body(endpoint: EndpointRequest) -> dict[str, object]:
    addresses: dict[str, object] = {}
    if endpoint.ipv4 is not None:
        addresses["IPv4Address"] = endpoint.ipv4
    if endpoint.ipv6 is not None:
        addresses["IPv6Address"] = endpoint.ipv6
    if endpoint.link_local:
        addresses["LinkLocalIPs"] = list(endpoint.link_local)
    options = dict(endpoint.options)
    if endpoint.interface is not None:
        options[IFNAME] = endpoint.interface
    return {
        "IPAMConfig": addresses,
        "Aliases": list(endpoint.aliases),
        "MacAddress": endpoint.mac or "",
        "DriverOpts": options,
    }


def _text(answer: object, key: str) -> str:
    value = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(value, str):
        raise LabError(f"the daemon's answer has no {key}: {answer!r}")
    return value
