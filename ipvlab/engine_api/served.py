"""What the handlers of one host share: its engine, its programs, and what only the API remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.releases import RELEASES, Release
from ipvlab.driver.state import Container
from ipvlab.engine_api.attached import Attached
from ipvlab.engine_api.execs import Execs
from ipvlab.engine_api.images import Images
from ipvlab.engine_api.journal import Journal
from ipvlab.engine_api.messages import Outcome, Request
from ipvlab.engine_api.programs import Programs


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """What a host says of the lab that it belongs to (``docker info``: Labels)."""

    lab: str = ""
    datapath: str = ""


@dataclasses.dataclass(slots=True)
class Served:
    """One host as its API serves it."""

    host: DockerHost
    programs: Programs
    about: About
    journal: Journal
    attached: Attached
    execs: Execs = dataclasses.field(default_factory=Execs)
    images: Images = dataclasses.field(default_factory=Images)

    @property
    def release(self) -> Release:
        """The release of Docker that the host's dialect answers as."""
        return RELEASES[self.host.engine.row.dialect]

    def container(self, reference: str) -> Container:
        """The container of an id, a name or an id's beginning; raises :class:`DriverRefusal` (404, 400)."""
        with self.host.lock:
            return self.host.engine.find_container(reference)


#: A handler: the host, the request, and what the path's pattern has caught.
Handler = Callable[[Served, Request, str], Outcome]
