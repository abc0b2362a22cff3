"""What the containers of a lab that is up are called, those included that nobody foresaw."""

from __future__ import annotations

from ipvlab.run.directory import Naming
from ipvlab.run.ground import ProbedGround


class StandingNames:
    """The lab's names for containers, those included that nobody foresaw when it was built.

    A container has the name that the scenario would give it, unless another
    container that exists has it: then it is ``host/name``.
    """

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._given: dict[tuple[str, str], str] = {}
        self.ground: ProbedGround | None = None

    def display(self, host: str, container: str) -> str:
        """The lab's own name for a host's container."""
        given = self._given.get((host, container))
        if given is not None:
            return given
        name = self._naming.display(host, container)
        held = self.ground.nodes if self.ground is not None else {}
        for other, bare in list(self._given.items()):
            if bare == name:
                if name in held:
                    return self._given.setdefault((host, container), f"{host}/{container}")
                del self._given[other]
        if name in held:
            name = f"{host}/{container}"
        self._given[host, container] = name
        return name
