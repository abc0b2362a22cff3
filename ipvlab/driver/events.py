"""What happens on one host's Docker, as ``/events`` and ``/wait`` tell it."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import Literal


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerEvent:
    """Something that happened to a container or a network, in the words of Docker's ``/events``."""

    kind: Literal["container", "network"]
    #: ``create``, ``start``, ``kill``, ``die``, ``stop``, ``restart``, ``rename``, ``destroy``;
    #: for networks ``create``, ``connect``, ``disconnect``, ``destroy``.
    action: str
    #: The full id of the container or network.
    id: str
    time: datetime.datetime
    attributes: Mapping[str, str]
    #: For ``die``: how the program ended.
    exit_code: int | None = None


Watcher = Callable[[ContainerEvent], None]
