"""A capture of a whole scenario: recorded while it runs, written with what each packet is for.

The prober numbers its questions, and every packet that it causes carries the
number (:mod:`ipvlab.probe.marks`). Canaries and fences carry that of their batch.
Proofs and comments are read from there once the run is over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from ipvlab.probe.belonging import read_belonging
from ipvlab.probe.layers import EarKind
from ipvlab.probe.pcapng import INBOUND, OUTBOUND, PcapngWriter
from ipvlab.probe.questions import Observation, Question, ReachQuestion
from ipvlab.probe.recorded import Recorder
from ipvlab.run.captured import Asked, Evidence, Sentences
from ipvlab.run.results import Verdict

_DIRECTIONS = {None: 0, True: OUTBOUND, False: INBOUND}


class Recording:
    """Everything that passes in a lab while a scenario runs, and every question that was put meanwhile."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._asked: dict[int, Asked] = {}

    def watch(
        self,
        questions: Sequence[Question],
        answer: Callable[[], list[Observation]],
        batch: Callable[[], int],
        nodes: Collection[str],
    ) -> list[Observation]:
        """Have questions answered, and take note of them and of what passes meanwhile.

        ``batch`` gives the number of the batch once it is over; ``nodes`` are all
        of the lab. Raises what ``answer`` raises.
        """
        self.recorder.look()
        began = self.recorder.now()
        seen = answer()
        ended = self.recorder.now()
        self.recorder.look()
        for question, observation in zip(questions, seen, strict=True):
            number = observation.proof.get("probe")
            if isinstance(number, int):
                layer, listeners = _who_listens(question, nodes)
                self._asked[number] = Asked(question, batch(), began, ended, layer, listeners)
        return seen

    def write(
        self,
        path: Path,
        title: str,
        verdicts: Sequence[Verdict],
        labels: Mapping[str, Collection[str]] | None = None,
    ) -> tuple[Verdict, ...]:
        """Write the capture; the verdicts, each with the packets that it rests on in its proof.

        ``labels`` gives requirements for the ids of expectations (``expect[2]``).
        Raises OSError where the file cannot be written.
        """
        self.recorder.look()
        recorded, marker = self.recorder.frames(), self.recorder.marker
        belongings = [read_belonging(each.frame, marker) for each in recorded]
        claims = {each.proof["probe"]: each for each in verdicts if each.proof.get("probe") in self._asked}
        evidence = Evidence(recorded, belongings, self._asked)
        proofs = {number: evidence.of(claim) for number, claim in claims.items()}
        sentences = Sentences(self._asked, claims, labels or {}, proofs)
        with _whole(path) as stream:
            writer = PcapngWriter(stream, "ipvlab", comment=title, is_followed=False)
            for place, about in self.recorder.places.items():
                writer.declare(place, about)
            for number, (each, belonging) in enumerate(zip(recorded, belongings, strict=True), 1):
                comment = sentences.about(number, belonging, each.place)
                direction = _DIRECTIONS[each.is_outgoing]
                writer.add(each.place, each.nanoseconds, each.frame, direction=direction, comment=comment)
            last = recorded[-1].nanoseconds if recorded else 0
            for place, lost in self.recorder.losses.items():
                writer.tell_losses(place, last, lost)
        about_file: dict[str, object] = {"capture": path.name}
        if self.recorder.losses:
            about_file["capture_lost"] = sum(self.recorder.losses.values())
        return tuple(
            dataclasses.replace(each, proof=each.proof | proofs[each.proof["probe"]] | about_file)
            if each.proof.get("probe") in proofs
            else each
            for each in verdicts
        )


def _who_listens(question: Question, nodes: Collection[str]) -> tuple[EarKind, frozenset[str]]:
    """The layer at which a question is heard, and the nodes whose listeners must be sound."""
    if isinstance(question, ReachQuestion):
        layer = EarKind.of_reach(question.proto, question.address)
        return layer, frozenset((question.source, question.target))
    return EarKind.of_broadcast(question.kind, question.family), frozenset(nodes) - {question.source}


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that is there as a whole or not at all."""
    fd, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as stream:
            yield stream
        # mkstemp makes files that only their owner reads; a capture is as open as the umask allows.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(draft, 0o666 & ~umask)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


class CaptureFolder:
    """The folder that captures are written to, one file for each scenario."""

    def __init__(self, folder: Path, suffix: str = "") -> None:
        """Make the folder where it is missing; raises OSError where nobody may write there.

        ``suffix`` goes into every name, where several processes write to one folder.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        self._folder = folder.absolute()
        self._suffix = suffix
        self._taken: set[str] = set()

    def file_for(self, scenario: str) -> Path:
        """A file that no other scenario of this run has: two files may hold scenarios of one name."""
        names = itertools.chain([scenario], (f"{scenario}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if name not in self._taken)
        self._taken.add(name)
        return self._folder / f"{name}{self._suffix}.pcapng"
