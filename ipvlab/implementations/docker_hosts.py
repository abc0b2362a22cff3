"""Hosts with a Docker daemon of their own, which outlive a lab: a daemon takes long to start.

A daemon lives in one network namespace. So the namespace stays with it, and the
next lab gets it as the namespace of one of its hosts, emptied.
"""

from __future__ import annotations

import atexit
import os
import shutil

from ipvlab.errors import LabError
from ipvlab.implementations.busybox import as_archive
from ipvlab.implementations.engine_http import EngineHttp
from ipvlab.implementations.engine_programs import Daemon, Programs, settle_all
from ipvlab.implementations.foreign import IMAGE
from ipvlab.lab.adopting import clear, make_namespace, open_namespace
from ipvlab.linux.namespaces import Namespace

#: What a daemon needs no part of: the suite's labs have no bridge, and hosts forward as the lab says.
#: Hosts of a lab know no nameserver. Docker would take 8.8.8.8 for them, which is no more there than
#: 127.0.0.1 is, but is silent about it for many seconds.
_DAEMON = (
    "dockerd --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false "
    "--userland-proxy=false --log-driver=none --seccomp-profile=unconfined "
    "--exec-opt=native.cgroupdriver=cgroupfs --dns=127.0.0.1"
).split()
#: Plugins of containerd that no lab needs, each of which takes time to start.
_CONTAINERD = """version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.opt"]
"""


class DockerHost:
    """One namespace with one daemon in it."""

    def __init__(self, programs: Programs, state: str, store: str, number: int, containerd: str) -> None:
        name = f"dockerd-{number}"
        self._fd = make_namespace()
        self._namespace = open_namespace(name, os.dup(self._fd))
        socket = f"{state}/docker-{number}.sock"
        self._programs = programs
        argv = [
            *_DAEMON,
            f"--host=unix://{socket}",
            f"--containerd={containerd}",
            # Daemons of one namespace would take each other's containers for their own.
            f"--containerd-namespace=lab-{number}",
            f"--containerd-plugins-namespace=lab-plugins-{number}",
            f"--data-root={store}/{number}",
            f"--exec-root={state}/{number}",
            f"--pidfile={state}/{number}.pid",
        ]
        crun = programs.seek("crun")
        if crun:
            # Written in C: in an emulated machine a container starts in two thirds of the time.
            argv += [f"--add-runtime=crun={crun}", "--default-runtime=crun"]
        self.api = EngineHttp(programs.outside(socket))
        self._daemon = Daemon(programs, name, argv, state, self._namespace)
        self._has_image = False

    @property
    def namespace(self) -> Namespace:
        """The namespace that daemon and host are in."""
        return self._namespace

    def lend(self) -> int:
        """An fd of the namespace for a lab, whose it is."""
        return os.dup(self._fd)

    def await_ready(self) -> None:
        """Return when containers can be made."""
        self._daemon.await_ready()
        if not self._has_image:
            query = {"fromSrc": "-", "repo": IMAGE, "tag": "latest"}
            self.api.ask("POST", "/images/create", as_archive(self._programs), query)
            self._has_image = True

    def remove_everything(self) -> None:
        """Remove all containers, then all networks."""
        containers = self.api.ask("GET", "/containers/json", query={"all": "1"})
        for container in containers if isinstance(containers, list) else ():
            self.api.ask("DELETE", f"/containers/{container['Id']}", query={"force": "1"})
        networks = self.api.ask("GET", "/networks")
        for network in networks if isinstance(networks, list) else ():
            if network["Driver"] == "ipvlan":
                self.api.ask("DELETE", f"/networks/{network['Id']}")

    def clear(self) -> None:
        """Empty the namespace, for the next lab."""
        clear(self._namespace)

    def end(self) -> None:
        """End the daemon, and let go of its namespace."""
        self._daemon.end()
        self._namespace.close()
        os.close(self._fd)


class DockerHosts:
    """The daemons of this process and the containerd that they share; they end with it."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._state, self._store = (f"{folder}/ipvlab-{os.getpid()}" for folder in ("/run", "/var/lib"))
        self._free: list[DockerHost] = []
        self._all: list[DockerHost] = []
        folder = programs.make_folder(self._state)
        programs.make_folder(self._store)
        (folder / "containerd.toml").write_text(_CONTAINERD)
        self._socket = f"{self._state}/containerd.sock"
        argv = ["containerd", f"--config={self._state}/containerd.toml", f"--address={self._socket}"]
        argv += [f"--root={self._store}/containerd", f"--state={self._state}/containerd"]
        self._containerd = Daemon(programs, "containerd", argv, self._state)
        self._containerd.await_ready()
        atexit.register(self.close)

    def take(self) -> DockerHost:
        """A host that no lab has; its daemon may still be starting."""
        if self._free:
            return self._free.pop(0)
        host = DockerHost(self._programs, self._state, self._store, len(self._all) + 1, self._socket)
        self._all.append(host)
        return host

    def give_back(self, host: DockerHost) -> None:
        """Take back the host of a lab that has ended; one that cannot be emptied is ended."""
        try:
            host.clear()
        except LabError:
            host.end()
            raise
        self._free.append(host)

    def close(self) -> None:
        """End all daemons, and remove what they wrote."""
        atexit.unregister(self.close)
        hosts, self._all, self._free = self._all, [], []
        settle_all([*(host.end for host in hosts), self._containerd.end])
        for path in (self._state, self._store):
            shutil.rmtree(self._programs.outside(path), ignore_errors=True)
