"""One scenario, from an empty machine to verdicts and back to an empty machine."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ipvlab import __version__
from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import container_request, network_request
from ipvlab.driver.store import Store
from ipvlab.errors import DriverRefusal, IpvlabError, KernelUnfit, LabError, Unobserved
from ipvlab.run.answers import PROBED, answer_checks
from ipvlab.run.compare import fail_to_ask
from ipvlab.run.console import Console
from ipvlab.run.doctor import choose_name
from ipvlab.run.expand import Check, claim_of, expand
from ipvlab.run.ground import ProbedGround, open_ground
from ipvlab.run.operator import Operator
from ipvlab.run.prepare import Prepared, prepare
from ipvlab.run.recording import Recording
from ipvlab.run.results import Outcome, ScenarioResult, Seconds, Verdict
from ipvlab.run.stages import Claimed, Line, Stage, forgives, is_same_line

#: Opens an empty lab: its name, and how a host's container is called in it.
OpenLab = Callable[[str, Callable[[str, str], str]], ProbedGround]


def run(path: str | Path, datapath: str = "auto") -> ScenarioResult:
    """Run one scenario file: build it, probe it, tear it down.

    Raises :class:`SpecError` or :class:`DriverRefusal` for an invalid file,
    before anything is built, and :class:`EnvironmentUnfit` where the datapath
    cannot work. What goes wrong later is a verdict.
    """
    return run_prepared(prepare(Path(path)), datapath)


def run_prepared(prepared: Prepared, datapath: str = "auto", capture: Path | None = None) -> ScenarioResult:
    """Run a scenario that is prepared; as :func:`run`.

    ``capture`` is a pcapng file to write of everything that passes in the lab;
    raises OSError where it cannot be written.
    """
    name, why = choose_name(datapath)

    def open_lab(lab: str, container_name: Callable[[str, str], str]) -> ProbedGround:
        return open_ground(datapath, lab, container_name)

    return run_on(prepared, open_lab, name, why, capture)


def run_on(
    prepared: Prepared, open_lab: OpenLab, name: str, why: str, capture: Path | None = None
) -> ScenarioResult:
    """Run a scenario that is prepared in a lab of the caller's making.

    ``name`` is that of its datapath and ``why`` a note on the choice; ``capture``
    is as for :func:`run_prepared`. Raises what ``open_lab`` raises; what goes wrong
    later is a verdict.
    """
    phases = Phases()
    with phases.time("build"):
        ground = open_lab(prepared.scenario.name, prepared.naming.display)
    scenario_run = ScenarioRun(prepared, ground, phases)
    try:
        if capture is not None:
            scenario_run.record()
        scenario_run.go()
        if capture is not None:
            scenario_run.write_capture(capture)
    finally:
        with phases.time("teardown"):
            ground.close()
    return scenario_run.result(name, why)


def carry_through(prepared: Prepared, ground: ProbedGround) -> tuple[Verdict, ...]:
    """The verdicts of a scenario on an empty lab, without explanations; the caller closes the lab."""
    scenario_run = ScenarioRun(prepared, ground)
    scenario_run.go()
    return tuple(scenario_run.verdicts)


def _explained(prepared: Prepared, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts, failed probes with what the rules say of them."""
    failed = [each for each in verdicts if each.outcome is Outcome.FAIL and each.kind in PROBED]
    if not failed:
        return tuple(verdicts)
    from ipvlab.run.explain import explain_verdicts

    told = explain_verdicts(prepared, failed)
    return tuple(
        dataclasses.replace(each, explanation=told[each.id]) if each.id in told else each for each in verdicts
    )


class Phases:
    """Wall time by phase; steps of a scenario build and probe again, and add up."""

    def __init__(self) -> None:
        self.seconds = {"build": 0.0, "probe": 0.0, "teardown": 0.0}

    @contextlib.contextmanager
    def time(self, phase: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] += time.perf_counter() - started


class ScenarioRun:
    """One run: the lab as it stands, and the verdicts so far; the caller opens the lab and closes it."""

    def __init__(
        self,
        prepared: Prepared,
        ground: ProbedGround,
        phases: Phases | None = None,
        store_of: Callable[[str], Store] | None = None,
        *,
        operator: Operator | None = None,
        after_stage: Callable[[int, ProbedGround], None] | None = None,
    ) -> None:
        """``store_of`` gives each host's engine a place for its state.

        ``operator`` runs the hosts, ipvlab's own Docker where there is none;
        ``after_stage`` is called when a stage has been judged, with its number from 0.
        """
        self._prepared = prepared
        self._ground = ground
        self._phases = phases or Phases()
        self.console = Console(ground, prepared.scenario.dialect, store_of=store_of)
        self._operator = operator or self.console
        self._after_stage = after_stage
        self.verdicts: list[Verdict] = []
        self._recording: Recording | None = None
        self._capture = ""
        #: Why the datapath cannot carry this scenario, once it has said so.
        self._unsupported = ""

    def result(self, name: str, why: str) -> ScenarioResult:
        """The result so far, on the datapath ``name``; ``why`` is a note on its choice."""
        prepared = self._prepared
        return ScenarioResult(
            version=__version__,
            scenario=prepared.scenario.name,
            title=prepared.scenario.title,
            about=prepared.scenario.about,
            path=prepared.path,
            datapath=name,
            kernel=platform.release(),
            seconds=Seconds(**self._phases.seconds),
            verdicts=_explained(prepared, self.verdicts),
            notes=(why, *prepared.warnings),
            capture=self._capture,
        )

    def record(self) -> None:
        """Capture everything that passes from now on; to be called while the lab is empty."""
        self._recording = self._ground.record()

    def write_capture(self, path: Path, labels: Mapping[str, Collection[str]] | None = None) -> None:
        """Write what was captured, and name in the verdicts' proofs the packets that they rest on.

        ``labels`` gives requirements for the ids of expectations. Raises OSError
        where the file cannot be written. Nothing is captured from then on.
        """
        assert self._recording is not None
        scenario = self._prepared.scenario
        title = f"{scenario.name}: {scenario.title}" if scenario.title else scenario.name
        self.verdicts = list(self._recording.write(path, title, self.verdicts, labels))
        self._ground.end_recording()
        self._capture = str(path)

    def stand(self) -> None:
        """Build, and carry out the beginning's command lines; nothing is probed.

        Raises :class:`KernelUnfit` where the datapath cannot carry the scenario, and
        :class:`LabError` for the first step or line that fails and of which no
        expectation says that it must.
        """
        if self._build():
            self._type(self._prepared.beginning)
        if self._unsupported:
            raise KernelUnfit(self._unsupported)
        for failed in self.verdicts:
            told = f"{failed.id} `{failed.observed}`" if failed.observed else failed.id
            raise LabError(
                f"{told} failed: {failed.reason}", hint=f"at {failed.where}" if failed.where else ""
            )

    def go(self) -> None:
        """Build, then stage after stage: command lines, expectations."""
        with self._phases.time("build"):
            if not self._build():
                return
        for number, stage in enumerate((self._prepared.beginning, *self._prepared.steps)):
            with self._phases.time("build"):
                results = self._type(stage)
            with self._phases.time("probe"):
                self.verdicts += self._judge(stage, results)
                if self._after_stage is not None:
                    self._after_stage(number, self._ground)

    def _build(self) -> bool:
        """Build what the file declares; False where the machine refuses, which is a verdict then."""
        scenario = self._prepared.scenario
        try:
            self._ground.add_topology(scenario.wires, scenario.hosts, scenario.routers)
            for host, spec in scenario.hosts.items():
                self._operator.start_host(host)
                for name, network in spec.networks.items():
                    self._operator.create_network(host, network_request(name, network))
                for name, container in spec.containers.items():
                    self._operator.run_container(host, container_request(name, container))
        except KernelUnfit as unfit:
            self._unsupported = unfit.what
        except (LabError, DriverRefusal) as refusal:
            self.verdicts.append(Verdict("build", "build", Outcome.ERROR, None, None, str(refusal)))
            return False
        return True

    def _type(self, stage: Stage) -> list[tuple[Line, CommandResult]]:
        """Carry out a stage's command lines; those that fail, with what they said."""
        failed = []
        for line in stage.lines:
            if self._unsupported:
                break
            try:
                result = self._carry_out(line)
            except KernelUnfit as unfit:
                self._unsupported = unfit.what
                self.verdicts.append(_line_verdict(line, Outcome.UNSUPPORTED, unfit.what))
                break
            except Unobserved as unproved:
                self.verdicts.append(_line_verdict(line, Outcome.UNOBSERVED, unproved.what))
                continue
            except IpvlabError as error:
                self.verdicts.append(_line_verdict(line, Outcome.ERROR, str(error)))
                continue
            if result.exit_code == 0:
                continue
            failed.append((line, result))
            if not forgives(stage, line):
                said = (result.stderr or result.stdout).strip() or f"exit code {result.exit_code}"
                self.verdicts.append(_line_verdict(line, Outcome.ERROR, said))
        return failed

    def _carry_out(self, line: Line) -> CommandResult:
        node = self._ground.directory.find(line.node, line.where)
        try:
            return self._operator.run(node.name, line.parsed.command)
        finally:
            self._ground.forget_gone()

    def _judge(self, stage: Stage, failed: list[tuple[Line, CommandResult]]) -> list[Verdict]:
        """The verdicts of a stage's expectations, in the order of the file."""
        found: list[Verdict | Check] = []
        lines = {claimed.id: claimed.line for claimed in stage.claims if claimed.line is not None}
        for claimed in stage.claims:
            try:
                checks = expand(claimed.expectation, claimed.id, self._ground.directory, claimed.where)
            except IpvlabError as error:
                found.append(self._claim_verdict(claimed, error))
                continue
            if self._unsupported:
                found += [fail_to_ask(check, self._unsupported, Outcome.UNSUPPORTED) for check in checks]
                continue
            found += checks

        def try_command(check: Check) -> CommandResult:
            return self._try(lines[check.id.partition(":")[0]], failed)

        waiting = [each for each in found if isinstance(each, Check)]
        settled = iter(answer_checks(waiting, self._ground, try_command))
        return [each if isinstance(each, Verdict) else next(settled) for each in found]

    def _try(self, wanted: Line, failed: list[tuple[Line, CommandResult]]) -> CommandResult:
        """The result of a command that must fail: of the stage's own line, or of trying it now."""
        for line, result in failed:
            if is_same_line(line, wanted):
                return result
        return self._carry_out(wanted)

    def _claim_verdict(self, claimed: Claimed, error: IpvlabError) -> Verdict:
        """The verdict of an expectation that cannot be asked of the lab as it stands."""
        kind, _ = claim_of(claimed.expectation)
        outcome = Outcome.UNSUPPORTED if self._unsupported else Outcome.ERROR
        reason = self._unsupported or f"{error.code} {error.what}"
        return Verdict(claimed.id, kind, outcome, None, None, reason, where=str(claimed.where))


def _line_verdict(line: Line, outcome: Outcome, reason: str) -> Verdict:
    return Verdict(
        id=line.id,
        kind="command",
        outcome=outcome,
        expected=None,
        observed=line.parsed.text,
        reason=reason,
        from_=line.node,
        where=str(line.where),
    )
