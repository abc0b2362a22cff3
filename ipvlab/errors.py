"""Every error that ipvlab raises on purpose, in one tree.

::

    IpvlabError                    code, what, where, why, next step
    ├── SpecError        IPV1xx    the scenario file cannot be read as one
    │   ├── SyntaxInvalid   IPV101   not YAML 1.2, or not a mapping
    │   ├── KeyUnknown      IPV102   a key that the vocabulary does not have
    │   ├── KeyMissing      IPV103   a required key is absent
    │   ├── ValueInvalid    IPV104   a value of the wrong type or form
    │   ├── CommandUnknown  IPV105   a command line outside the closed grammar
    │   └── PathUnreadable  IPV106   a named file or folder cannot be read, or holds no scenario
    ├── Contradiction    IPV2xx    the file is well formed and contradicts itself
    │   ├── ParentNotFound  IPV201   an interface is named that its node does not have
    │   ├── WireNotFound    IPV202
    │   ├── NodeNotFound    IPV203
    │   ├── NetworkNotFound IPV204
    │   ├── NameTaken       IPV205   a name that stands for two things
    │   ├── AddressOutside  IPV206   an address in no subnet of its network
    │   ├── SubnetOverlap   IPV207
    │   ├── AddressTaken    IPV208   an address given twice on one network
    │   ├── FamilyMissing   IPV209   a probe between two nodes without a common family
    │   └── ParentTaken     IPV210   two networks of one host on one parent
    ├── DriverRefusal    IPV3xx    Docker's rules refuse it; the text is Docker's own
    ├── LabError         IPV4xx    the kernel refuses a step of building or probing
    │   ├── KernelRefusal   IPV401   a netlink or bpf(2) request failed
    │   └── NotReady        IPV402   a link or port did not come up
    ├── EnvironmentUnfit IPV5xx    this machine or user cannot run what was asked
    │   ├── PrivilegeMissing   IPV501
    │   ├── KernelUnfit        IPV502
    │   │   (IPV503 was of a dialect without rules; it is not used again)
    │   └── FeatureMissing     IPV504   an implementation does not offer what was asked of it
    ├── Unobserved       IPV601    a probe proved nothing; never a pass
    └── StandingError    IPV7xx    labs that stay up
        ├── LabTaken        IPV701   a lab of that name is up already
        ├── LabNotFound     IPV702   no lab of that name is up, or none is named and there are several
        └── LabLost         IPV703   its supervisor ended, or does not answer
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """A place in a scenario file: path, and line and column counted from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class IpvlabError(Exception):
    """The root of what ipvlab raises on purpose.

    ``what`` says what is wrong and why; ``hint`` is the next step; ``where`` is
    the place in the file, or None where no file is at fault.
    """

    code: ClassVar[str] = "IPV000"
    #: The exit code of the command line when this error ends a command.
    exit_code: ClassVar[int] = 5

    def __init__(self, what: str, *, where: Position | None = None, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f"\n  {self.hint}" if self.hint else ""
        return f"{place}{self.code} {self.what}{hint}"


class SpecError(IpvlabError):
    """A scenario file cannot be read as one; raised before anything is built.

    A file with several errors raises the first by position; ``others`` holds the
    rest in order, and ``str()`` shows them all, one block each.
    """

    code = "IPV100"
    exit_code = 2
    others: tuple[SpecError, ...] = ()

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(str(other) for other in self.others)])


class SyntaxInvalid(SpecError):
    """A file is not YAML 1.2, or its top is not a mapping; raised by the loader."""

    code = "IPV101"


class KeyUnknown(SpecError):
    """A key is outside the vocabulary; raised by the loader with the nearest valid key."""

    code = "IPV102"


class KeyMissing(SpecError):
    """A required key is absent; raised by the loader at the mapping that lacks it."""

    code = "IPV103"


class ValueInvalid(SpecError):
    """A value has the wrong type, form or range; raised by the loader."""

    code = "IPV104"


class CommandUnknown(SpecError):
    """A command line is outside the closed grammar; raised before anything is built."""

    code = "IPV105"
    #: The line within its block, counted from 1; 0 while nobody has said.
    line: int = 0


class PathUnreadable(SpecError):
    """A path cannot be read, or a folder holds no scenario; raised by the loader."""

    code = "IPV106"


class Contradiction(SpecError):
    """A well-formed file contradicts itself; raised before anything is built."""

    code = "IPV200"


class ParentNotFound(Contradiction):
    """A named interface does not exist on its node."""

    code = "IPV201"


class WireNotFound(Contradiction):
    """An interface plugs into a wire that the file does not declare."""

    code = "IPV202"


class NodeNotFound(Contradiction):
    """An expectation or step names a node that the file does not declare."""

    code = "IPV203"


class NetworkNotFound(Contradiction):
    """A container joins a network that its host does not have."""

    code = "IPV204"


class NameTaken(Contradiction):
    """One name stands for two things in the same space."""

    code = "IPV205"


class AddressOutside(Contradiction):
    """An address lies in no subnet of the network that it is given on."""

    code = "IPV206"


class SubnetOverlap(Contradiction):
    """Two subnets of one host overlap."""

    code = "IPV207"


class AddressTaken(Contradiction):
    """An address is given twice on one network."""

    code = "IPV208"


class FamilyMissing(Contradiction):
    """Two nodes of a probe have no common address family and none is named."""

    code = "IPV209"


class ParentTaken(Contradiction):
    """Two networks of one host name the same parent; Docker lets one ipvlan network hold it."""

    code = "IPV210"


class DriverRefusal(IpvlabError):
    """Docker's rules refuse a request; ``what`` is Docker's own text.

    Raised by ``driver/`` alike on every datapath. ``status`` is the HTTP status
    that the engine would answer with (moby ``daemon/server/httpstatus``).
    """

    code = "IPV300"
    exit_code = 2

    def __init__(
        self, what: str, *, status: int = 500, where: Position | None = None, hint: str = ""
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.status = status


class LabError(IpvlabError):
    """A step of building or probing failed on the live machine."""

    code = "IPV400"


class KernelRefusal(LabError):
    """The kernel answered a request with an errno; ``what`` names the step.

    ``explanation`` is the kernel's own sentence (extended ack), where it gave one.
    """

    code = "IPV401"

    def __init__(
        self,
        what: str,
        *,
        errno: int = 0,
        explanation: str = "",
        where: Position | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.errno = errno
        self.explanation = explanation


class NotReady(LabError):
    """A link or bridge port did not reach the state that probes need."""

    code = "IPV402"


class EnvironmentUnfit(IpvlabError):
    """This machine, or this user on it, cannot run what was asked."""

    code = "IPV500"


class PrivilegeMissing(EnvironmentUnfit):
    """The user lacks a privilege that the datapath needs."""

    code = "IPV501"


class KernelUnfit(EnvironmentUnfit):
    """The kernel lacks a feature that the datapath needs."""

    code = "IPV502"


class FeatureMissing(EnvironmentUnfit):
    """An implementation under test does not offer what a test needs; never a pass, and never a failure."""

    code = "IPV504"
    exit_code = 3


class Unobserved(IpvlabError):
    """A probe proved neither arrival nor silence; raised by the Python API."""

    code = "IPV601"
    exit_code = 4


class StandingError(IpvlabError):
    """A lab that stays up cannot be started, found or spoken to."""

    code = "IPV700"


class LabTaken(StandingError):
    """A lab of that name is up already; nothing of it was touched."""

    code = "IPV701"


class LabNotFound(StandingError):
    """No lab of that name is up; or none was named, and not exactly one is up."""

    code = "IPV702"


class LabLost(StandingError):
    """A lab's supervisor ended in the middle, or does not answer."""

    code = "IPV703"
