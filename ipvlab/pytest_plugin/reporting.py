"""From pytest's reports to the result model: outcomes that pytest has no word for, and reports at the end."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipvlab.pytest_plugin.options import REPORTS, chosen_implementation

if TYPE_CHECKING:
    from ipvlab.implementations.register import Register
    from ipvlab.implementations.results import Case, ConformanceRun
    from ipvlab.pytest_plugin.known import KnownFailure

#: Category in the last line, letter and word for what pytest has no word for.
_WORDS = {
    "unsupported": ("unsupported", "u", ("UNSUPPORTED", {"yellow": True})),
    "unobserved": ("unobserved", "?", ("UNOBSERVED", {"purple": True})),
    "known-failure": ("known failure", "k", ("KNOWN FAILURE", {"yellow": True})),
    "unexpected-pass": ("unexpected pass", "P", ("UNEXPECTED PASS", {"red": True})),
}
#: Exit status of a run in which nothing is worse than a broken proof.
UNOBSERVED_EXIT = 4


class Reporting:
    """Collects cases from the reports of all processes, and writes what the options ask for."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._is_worker = hasattr(config, "workerinput")
        self._started = time.monotonic()
        self._cases: list[Case] = []
        self._topologies: dict[str, Any] = {}
        self._probes = self._silences = 0
        self._has_worse = False
        self._known: dict[Path, list[KnownFailure]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Give a report its case, and the outcome that the result model has for it."""
        report = yield
        if call.when != "call" or not _is_ours(item):
            return report
        from ipvlab.pytest_plugin.bench import CASE, FIGURES, TOPOLOGY

        case = self._judge(item, item.stash.get(CASE, None), call, report.duration)
        report.user_properties += [
            ("outcome", str(case.outcome)),
            *(("requirement", requirement) for requirement in case.requirements),
        ]
        _apply(report, item, case)
        # Attributes of a report are carried from a worker of pytest-xdist to the controller.
        extra: dict[str, Any] = {"ipvlab_case": case.model_dump_json(), "ipvlab_outcome": str(case.outcome)}
        topology = item.stash.get(TOPOLOGY, None)
        if topology is not None:
            extra["ipvlab_topology"] = topology.model_dump_json()
        figures = item.stash.get(FIGURES, None)
        if figures is not None:
            extra["ipvlab_figures"] = list(figures)
        report.__dict__.update(extra)
        return report

    def _judge(
        self, item: pytest.Item, case: Case | None, call: pytest.CallInfo[None], seconds: float
    ) -> Case:
        from ipvlab.errors import FeatureMissing, Unobserved
        from ipvlab.implementations.results import Case, CaseOutcome

        if case is None:
            outcome, reason = CaseOutcome.PASS, ""
            if call.excinfo is not None:
                error = call.excinfo.value
                reason = str(error)
                if isinstance(error, FeatureMissing):
                    outcome = CaseOutcome.UNSUPPORTED
                elif isinstance(error, Unobserved):
                    outcome = CaseOutcome.UNOBSERVED
                elif isinstance(error, AssertionError):
                    outcome = CaseOutcome.FAIL
                else:
                    outcome = CaseOutcome.ERROR
            words = (item.obj.__doc__ or "") if isinstance(item, pytest.Function) else ""
            case = Case(
                id=item.nodeid,
                title=words.strip().partition("\n")[0],
                requirements=_requirements(item),
                outcome=outcome,
                reason=reason,
                reproduce=f"pytest '{item.nodeid}'",
            )
        return self._weigh(item, case.model_copy(update={"seconds": seconds}))

    def _weigh(self, item: pytest.Item, case: Case) -> Case:
        """The case in the light of what is known to fail."""
        from ipvlab.implementations.results import CaseOutcome
        from ipvlab.pytest_plugin.known import find_known

        today = datetime.datetime.now(datetime.UTC).date()
        entry = find_known(self._known_of(item.path), case.id, case.requirements, today)
        if entry is None:
            return case
        if case.outcome is CaseOutcome.FAIL:
            update = {"outcome": CaseOutcome.KNOWN, "reason": entry.reason, "link": entry.link}
            return case.model_copy(update=update)
        if case.outcome is CaseOutcome.PASS:
            reason = f"passed, and is known to fail: {entry.reason}"
            update = {"outcome": CaseOutcome.UNEXPECTED_PASS, "reason": reason, "link": entry.link}
            return case.model_copy(update=update)
        return case

    def _known_of(self, path: Path) -> list[KnownFailure]:
        """The known failures beside a test file, of the implementation under test."""
        folder = path.parent / "expected"
        if folder not in self._known:
            from ipvlab.pytest_plugin.known import read_known

            file = folder / f"{chosen_implementation(self._config)}.toml"
            self._known[folder] = read_known(file) if file.is_file() else []
        return self._known[folder]

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """The word for an outcome that pytest does not know."""
        if getattr(report, "when", "") != "call":
            return None
        return _WORDS.get(getattr(report, "ipvlab_outcome", ""))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a case, whichever process it comes from."""
        outcome = getattr(report, "ipvlab_outcome", "")
        if report.failed and outcome != "unobserved":
            self._has_worse = True
        written = getattr(report, "ipvlab_case", None)
        if written is None or self._is_worker:
            return
        from ipvlab.implementations.results import Case
        from ipvlab.run.topology import Topology

        self._cases.append(Case.model_validate_json(written))
        topology = getattr(report, "ipvlab_topology", None)
        if topology is not None:
            lab = Topology.model_validate_json(topology)
            self._topologies[lab.name] = lab
        probes, silences = getattr(report, "ipvlab_figures", (0, 0))
        self._probes += probes
        self._silences += silences

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports; a run whose only fault is a broken proof has a status of its own."""
        if self._is_worker:
            return
        is_red = session.exitstatus == pytest.ExitCode.TESTS_FAILED
        if is_red and not self._has_worse and not session.testsfailed > self._unobserved():
            session.exitstatus = UNOBSERVED_EXIT
        if any(self._config.getoption(f"--ipvlab-{name}") for name in REPORTS):
            self._write(self.run())

    def _unobserved(self) -> int:
        return sum(str(case.outcome) == "unobserved" for case in self._cases)

    def run(self) -> ConformanceRun:
        """All cases so far as one run."""
        from ipvlab import __version__
        from ipvlab.implementations.choosing import find_implementation
        from ipvlab.implementations.results import ConformanceRun, Subject

        implementation = find_implementation(chosen_implementation(self._config))
        about = implementation.about()
        seed = getattr(self._config.option, "randomly_seed", None)
        return ConformanceRun(
            ipvlab=__version__,
            date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            subject=Subject(
                name=about.name,
                version=about.version,
                kernel=about.kernel or platform.release(),
                organization=about.organization,
                url=about.url,
                features=tuple(sorted(implementation.features)),
                notes=about.notes,
            ),
            seed=seed if isinstance(seed, int) else None,
            seconds=time.monotonic() - self._started,
            probes=self._probes,
            silences=self._silences,
            topologies=self._topologies,
            cases=tuple(sorted(self._cases, key=lambda case: case.id)),
        )

    def _write(self, run: ConformanceRun) -> None:
        from ipvlab.report.conformance_yaml import format_report
        from ipvlab.report.html import format_html
        from ipvlab.report.json_report import write_text_whole
        from ipvlab.report.ktap import format_ktap
        from ipvlab.report.markdown import format_markdown

        register = self._register()
        writers: dict[str, Callable[[], str]] = {
            "json": lambda: run.model_dump_json(indent=1) + "\n",
            "html": lambda: format_html([run], register),
            "markdown": lambda: format_markdown([run], register),
            "ktap": lambda: format_ktap([run], register),
            "report": lambda: format_report(run, register) if register is not None else "",
        }
        for name, write in writers.items():
            path = self._config.getoption(f"--ipvlab-{name}")
            if path:
                write_text_whole(Path(path), write())

    def _register(self) -> Register | None:
        """The register of the suite, when tests of the suite were among those run."""
        from ipvlab.implementations.register import Register

        if not any(case.requirements for case in self._cases):
            return None
        for folder in dict.fromkeys(Path(case.id.partition("::")[0]).parent for case in self._cases):
            file = self._config.rootpath / folder / "requirements.yaml"
            if file.is_file():
                return Register.read(file)
        return None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Tell the profiles, and how much was asked and proved."""
        register = self._register() if self._cases else None
        if register is None:
            return
        run = self.run()
        terminalreporter.section(f"conformance of {run.subject.name} {run.subject.version}")
        for report in register.judge(run):
            passed = sum(str(outcome) == "pass" for outcome in report.outcomes.values())
            terminalreporter.line(
                f"{report.profile:<14} {report.result:<14} {passed} of {len(report.outcomes)} requirements"
            )
        terminalreporter.line(f"{run.probes} probes, {run.silences} silences proved")


def _is_ours(item: pytest.Item) -> bool:
    from ipvlab.pytest_plugin.bench import CASE

    return CASE in item.stash or item.get_closest_marker("requirement") is not None


def _requirements(item: pytest.Item) -> tuple[str, ...]:
    return tuple(str(name) for mark in item.iter_markers("requirement") for name in mark.args)


def _apply(report: pytest.TestReport, item: pytest.Item, case: Case) -> None:
    """Let pytest count the report as the result model does."""
    match str(case.outcome):
        case "unsupported" | "known-failure":
            path, line, _ = item.reportinfo()
            report.outcome = "skipped"
            report.longrepr = (str(path), line or 0, f"{case.outcome}: {case.reason}")
        case "unexpected-pass":
            report.outcome = "failed"
            report.longrepr = case.reason
