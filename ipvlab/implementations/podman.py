"""Podman with netavark as an implementation under test: a storage of its own for each host of a lab.

A Podman network puts an address of *every* subnet on each container. So what the
suite calls a network with several subnets of one family is here one Podman
network for each of them, on the same parent, which Podman allows; an endpoint
joins the one that its address belongs to.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import platform
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.errors import DriverRefusal, EnvironmentUnfit, FeatureMissing
from ipvlab.implementations import busybox
from ipvlab.implementations.engine_programs import Programs
from ipvlab.implementations.foreign import (
    MAIN_PROGRAM,
    ForeignGround,
    check_options,
    name_of,
    namespace_of,
    single_endpoint,
)
from ipvlab.implementations.port import About, Feature

HINT = "apt-get install podman netavark, or name a folder with Debian's programs in IPVLAB_ENGINES"
NAME = "podman"
FEATURES = frozenset(
    {
        Feature.L2,
        Feature.L3,
        Feature.L3S,
        Feature.GIVEN_PARENT,
        Feature.INTERNAL,
        Feature.IPV6,
        Feature.IPV6_ONLY,
        Feature.SEVERAL_SUBNETS,
        Feature.LIVE_MODE,
        Feature.TRAFFIC,
    }
)
#: Locks are files: the usual ones, in shared memory, would be those of all hosts.
_SETTINGS = """[engine]
lock_type = "file"
events_logger = "none"
cgroup_manager = "cgroupfs"
runtime = "{runtime}"
[containers]
log_driver = "none"
seccomp_profile = "unconfined"
netns = "private"
[network]
network_backend = "netavark"
"""
_STORAGE = """[storage]
driver = "vfs"
runroot = "{state}/runroot"
graphroot = "{state}/root"
"""


class PodmanHost:
    """Podman on one host: its own storage and networks, all commands inside the host's namespace."""

    def __init__(
        self, programs: Programs, ground: ForeignGround, host: str, state: str, runtime: str
    ) -> None:
        self._programs, self._ground, self._host = programs, ground, host
        self._state = state
        self.rootfs = f"{state}/rootfs"
        folder = programs.make_folder(state)
        (folder / "containers.conf").write_text(_SETTINGS.format(runtime=runtime))
        (folder / "storage.conf").write_text(_STORAGE.format(state=state))
        busybox.unpack(programs, self.rootfs)
        #: The pools of a network, by the Podman network that has them.
        self.networks: dict[str, dict[str, tuple[PoolRequest, ...]]] = {}

    def run(self, *words: str) -> CommandResult:
        """Run a Podman command; raises :class:`DriverRefusal` with its text when it is refused."""
        folders = (f"--network-config-dir={self._state}/networks", f"--tmpdir={self._state}/alive")
        done = self._programs.run(
            ["podman", *folders, *words],
            inside=self._ground.namespace(self._host),
            env={
                "CONTAINERS_CONF": f"{self._state}/containers.conf",
                "CONTAINERS_STORAGE_CONF": f"{self._state}/storage.conf",
            },
        )
        if done.exit_code != 0:
            raise DriverRefusal(refusal_of(done.stderr) or f"podman ended with {done.exit_code}")
        return done

    def start(self, name: str, network: str, endpoint: EndpointRequest, request: ContainerRequest) -> int:
        """Start a container on one network and return the process id of its first program."""
        joined = [f"ip={endpoint.ipv4}"] if endpoint.ipv4 else []
        joined += [f"ip6={endpoint.ipv6}"] if endpoint.ipv6 else []
        joined += [f"interface_name={endpoint.interface}"] if endpoint.interface else []
        joined += [f"mac={endpoint.mac}"] if endpoint.mac else []
        pidfile = f"{self._state}/{name}.pid"
        words = ["run", "--interactive", "--detach", f"--name={name}", f"--pidfile={pidfile}"]
        words += [f"--hostname={request.hostname or name}"]
        words += [f"--network={network}" + (f":{','.join(joined)}" if joined else "")]
        words += [f"--network-alias={alias}" for alias in endpoint.aliases]
        words += ["--rm"] if request.is_auto_remove else []
        self.run(*words, "--rootfs", self.rootfs, MAIN_PROGRAM)
        return int(self._programs.outside(pidfile).read_text())

    def end(self) -> None:
        """Remove everything of the host."""
        self.run("rm", "--all", "--force", "--time=0")
        shutil.rmtree(self._programs.outside(self._state), ignore_errors=True)


class PodmanPort:
    """One lab, a Podman on each of its hosts."""

    def __init__(
        self, programs: Programs, runtime: str, name: str, container_name: Callable[[str, str], str]
    ) -> None:
        self._programs, self._runtime = programs, runtime
        self._state = f"/var/lib/ipvlab-{os.getpid()}-{secrets.token_hex(4)}"
        self._hosts: dict[str, PodmanHost] = {}
        self._ground = ForeignGround(name, container_name)

    @property
    def ground(self) -> ForeignGround:
        """The lab."""
        return self._ground

    def start(self, host: str) -> None:
        """Give a host its storage; there is no daemon."""
        state = f"{self._state}/{host}"
        self._hosts[host] = PodmanHost(self._programs, self._ground, host, state, self._runtime)

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Create a network, as ``podman network create -d ipvlan`` does, or one for each subnet."""
        parent, mode = check_options(request, has_flags=False, name=NAME)
        if not parent:
            raise FeatureMissing("without a parent Podman takes the link of the default route")
        made: dict[str, tuple[PoolRequest, ...]] = {}
        for number, pools in enumerate(group_pools(request.pools), start=1):
            network = request.name if number == 1 else f"{request.name}-{number}"
            self._hosts[host].run(*create_words(network, parent, mode, pools, request))
            made[network] = pools
        self._hosts[host].networks[request.name] = made
        self._ground.note_host(host)

    def remove_network(self, host: str, network: str) -> None:
        """Remove a network, and those that stand for its further subnets."""
        mine = self._hosts[host].networks
        self._hosts[host].run("network", "rm", *mine.get(network, (network,)))
        mine.pop(network, None)
        self._ground.note_host(host)

    def attach(self, host: str, request: ContainerRequest) -> None:
        """Start a container, as ``podman run -id`` does."""
        name, endpoint = name_of(request), single_endpoint(request, NAME)
        network = self._joined(host, endpoint)
        pid = self._hosts[host].start(name, network, endpoint, request)
        self._ground.adopt(host, name, request.hostname or name, namespace_of(pid))

    def _joined(self, host: str, endpoint: EndpointRequest) -> str:
        """The Podman network for an endpoint's addresses; the first one where it has none that fits."""
        networks = self._hosts[host].networks.get(endpoint.network, {})
        wanted = [ipaddress.ip_address(one) for one in (endpoint.ipv4, endpoint.ipv6) if one is not None]
        for network, pools in networks.items():
            subnets = [ipaddress.ip_network(pool.subnet) for pool in pools]
            if all(any(address in subnet for subnet in subnets) for address in wanted):
                return network
        return next(iter(networks), endpoint.network)

    def detach(self, host: str, container: str) -> None:
        """Remove a container, as ``podman rm -f`` does, without the wait for its program."""
        self._hosts[host].run("rm", "--force", "--time=0", container)
        self._ground.drop(host, container)

    def inspect(self, host: str, network: str) -> Mapping[str, object]:
        """The network as ``podman network inspect`` shows it."""
        shown = json.loads(self._hosts[host].run("network", "inspect", network).stdout)
        found: Mapping[str, object] = shown[0]
        return found

    def close(self) -> None:
        """Remove everything, and end the lab."""
        hosts, self._hosts = list(self._hosts.values()), {}
        try:
            for host in hosts:
                host.end()
        finally:
            self._ground.close()
            shutil.rmtree(self._programs.outside(self._state), ignore_errors=True)


class Podman:
    """Podman, of this machine or of the folder that IPVLAB_ENGINES names."""

    name = NAME
    features = FEATURES

    def __init__(self) -> None:
        self._programs = Programs.of_environment()

    @functools.cached_property
    def _version(self) -> str:
        told = self._programs.run([self._programs.find("podman", HINT), "--version"]).stdout
        found = re.search(r"version (\S+)", told)
        if found is None:
            raise EnvironmentUnfit(f"podman --version says {told.strip()!r}", hint=HINT)
        return found.group(1)

    def about(self) -> About:
        """The versions of Podman and netavark, on this kernel; raises :class:`EnvironmentUnfit`."""
        told = self._programs.run(["/usr/lib/podman/netavark", "--version"]).stdout
        netavark = told.split()[-1] if told.split() else "unknown"
        return About(
            self.name,
            self._version,
            platform.release(),
            organization="containers (Red Hat and others), as Debian packages it",
            url="https://github.com/containers/podman",
            notes=(
                f"netavark {netavark}; a storage of its own for each host, without a daemon",
                "a network with several subnets of one family is one Podman network for each",
            ),
        )

    def open(self, name: str, container_name: Callable[[str, str], str]) -> PodmanPort:
        """An empty lab; raises :class:`EnvironmentUnfit` where Podman or ipvlan is missing."""
        self._programs.find("podman", HINT)
        runtime = self._programs.find("crun", HINT)
        return PodmanPort(self._programs, runtime, name, container_name)


def refusal_of(stderr: str) -> str:
    """What Podman refused a command with; warnings stand before it."""
    _, found, told = stderr.rpartition("Error: ")
    return told.strip() if found else stderr.strip()


def group_pools(pools: Sequence[PoolRequest]) -> list[tuple[PoolRequest, ...]]:
    """The subnets, in order, in groups that have at most one of each family."""
    groups: dict[int, list[PoolRequest]] = {}
    seen: Counter[int] = Counter()
    for pool in pools:
        version = ipaddress.ip_network(pool.subnet).version
        groups.setdefault(seen[version], []).append(pool)
        seen[version] += 1
    return [tuple(group) for group in groups.values()] or [()]


def create_words(
    network: str, parent: str, mode: str, pools: Sequence[PoolRequest], request: NetworkRequest
) -> list[str]:
    """The words of ``podman network create``; without a gateway in L2 there is to be no default route."""
    words = ["network", "create", "--driver=ipvlan", f"--opt=parent={parent}", f"--opt=mode={mode}"]
    for pool in pools:
        words.append(f"--subnet={pool.subnet}")
        if pool.gateway is not None:
            words.append(f"--gateway={pool.gateway}")
        if pool.ip_range is not None:
            words.append(f"--ip-range={pool.ip_range}")
    if request.is_internal:
        words.append("--internal")
    elif mode == "l2" and not any(pool.gateway for pool in pools):
        words.append("--opt=no_default_route=true")
    if any(":" in pool.subnet for pool in pools):
        words.append("--ipv6")
    return [*words, network]
