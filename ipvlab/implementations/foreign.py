"""A lab whose hosts run somebody else's engine: wires, hosts and probes are ipvlab's, networks theirs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ipvlab.datapath.kernel.datapath import KernelDatapath
from ipvlab.driver.options import FLAG, MODE, PARENT
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest
from ipvlab.errors import DriverRefusal, EnvironmentUnfit, FeatureMissing
from ipvlab.lab.adopting import note_links
from ipvlab.lab.nodes import Node
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.run.live import LiveGround

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The image that the suite's containers run: a busybox, by the name that command lines give it.
IMAGE = "alpine"
MAIN_PROGRAM = "/bin/sh"


class ForeignGround(LiveGround):
    """A live lab on the kernel's own ipvlan whose containers are somebody else's."""

    def __init__(
        self,
        name: str,
        container_name: Callable[[str, str], str],
        lend: Callable[[str], int | None] | None = None,
    ) -> None:
        self.datapath = KernelDatapath()
        super().__init__(name, self.datapath, container_name)
        if lend is not None:
            self.lab.lend_host = lend

    def namespace(self, host: str) -> Namespace:
        """The network namespace of a host."""
        return self.lab.nodes[host].namespace

    def note_host(self, host: str) -> None:
        """Take note of the links that the engine made on a host, and of those that it took away."""
        node = self.lab.nodes[host]
        note_links(node, node)

    def adopt(self, host: str, container: str, hostname: str, fd: int) -> Node:
        """Make a container's namespace a node of the lab; ``fd`` is the lab's from now on."""
        with self.lock:
            self.note_host(host)
            node = self.lab.adopt_container(host, container, hostname, fd)
            parents = self.lab.nodes[host]
            for link in node.links.values():
                if link.kind == "endpoint" and link.below in parents.links:
                    parent = parents.links[link.below]
                    self.datapath.adopt_endpoint(parents.namespace, parent, node.namespace, link)
            return node

    def drop(self, host: str, container: str) -> None:
        """Forget a container that the engine has removed, and all that would keep its namespace alive."""
        with self.lock:
            if self.container_name(host, container) in self.lab.nodes:
                self.lab.remove_container(host, container)
            self.forget_gone()
            self.note_host(host)


@contextlib.contextmanager
def inside(pid: int) -> Iterator[None]:
    """Be in the network namespace of a foreign process; only on the thread that enters namespaces.

    Raises :class:`EnvironmentUnfit` where the extra ``adapters`` is not installed.
    """
    try:
        from nsenter import Namespace as Entered
    except ImportError as error:
        raise EnvironmentUnfit(
            "the Python package nsenter is missing, which enters the containers of other engines",
            hint="pip install 'ipvlab[adapters]'",
        ) from error
    with Entered(pid, "net"):
        yield


def namespace_of(pid: int) -> int:
    """The network namespace of a foreign container's process, as an fd; raises :class:`DriverRefusal`."""

    def look() -> int:
        with inside(pid):
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    try:
        return THREAD.call(look)
    except OSError as error:
        raise DriverRefusal(f"the container's process {pid} has ended: {error.strerror or error}") from error


def check_options(request: NetworkRequest, *, has_flags: bool, name: str) -> tuple[str, str]:
    """Parent and mode of a request; raises :class:`FeatureMissing` for a flag that is not offered."""
    if request.driver != "ipvlan":
        raise FeatureMissing(f"{name} is asked for networks of the driver ipvlan only")
    options = dict(request.options)
    parent, mode, flag = options.pop(PARENT, ""), options.pop(MODE, "l2"), options.pop(FLAG, "bridge")
    if flag != "bridge" and not has_flags:
        raise FeatureMissing(f"{name} has no flags, and {flag} was asked for")
    if options:
        raise FeatureMissing(f"{name} has no option {', '.join(sorted(options))}")
    return parent, mode


def single_endpoint(request: ContainerRequest, name: str) -> EndpointRequest:
    """The one endpoint of a container; raises :class:`FeatureMissing` for several, or none."""
    if len(request.networks) != 1:
        raise FeatureMissing(f"{name} is asked for containers on one network only")
    return request.networks[0]


def name_of(request: ContainerRequest) -> str:
    """The name of a container, which the suite always gives; raises :class:`FeatureMissing`."""
    if request.name is None:
        raise FeatureMissing("containers of other engines need a name")
    return request.name
