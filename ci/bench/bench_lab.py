"""How long labs take, as ratios to what the kernel asks for namespaces and links alone.

Run as root with the interpreter that has ipvlab: ``.venv/bin/python ci/bench/bench_lab.py``. Times are wall
time on one machine and differ from run to run; ratios to a floor that was
measured in the same minute can be compared.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ipvlab import run
from ipvlab.linux import messages
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.linux.netlink import Netlink
from ipvlab.run.results import ScenarioResult

ROUNDS = 3
SCENARIOS = Path(__file__).parents[2] / "scenarios"

TWO_HOSTS = """
name: bench
title: Two hosts with two containers each
wires: {lan: {}}
hosts:
  h1:
    interfaces: {eth0: {wire: lan, addresses: [192.168.1.250/24]}}
    networks: {net: {driver_opts: {parent: eth0}, ipam: {config: [{subnet: 192.168.1.0/24}]}}}
    containers:
      a1: {networks: {net: {ipv4_address: 192.168.1.11}}}
      a2: {networks: {net: {ipv4_address: 192.168.1.12}}}
  h2:
    interfaces: {eth0: {wire: lan, addresses: [192.168.1.251/24]}}
    networks: {net: {driver_opts: {parent: eth0}, ipam: {config: [{subnet: 192.168.1.0/24}]}}}
    containers:
      b1: {networks: {net: {ipv4_address: 192.168.1.21}}}
      b2: {networks: {net: {ipv4_address: 192.168.1.22}}}
expect:
  - reach: {from: a1, to: [a2, b1, b2]}
  - blocked: {from: a1, to: h1}
"""


def build_floor(namespaces: int, pairs: int) -> float:
    """Seconds for bare namespaces and veth pairs, both ends placed and up, and for letting go of them."""
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        made = []
        for number, (fd, sock) in enumerate(THREAD.create_network(namespaces, {})):
            namespace = Namespace(f"n{number}", fd, Netlink(sock, f"n{number}"))
            stack.callback(namespace.close)
            made.append(namespace)
        for number in range(pairs):
            here, there = made[number % namespaces], made[(number + 1) % namespaces]
            index = 100 + 2 * number
            macs = [bytes((2, 0, 0, 0, side, number)) for side in (0, 1)]
            pair = messages.add_veth(
                f"v{number}", index, macs[0], there.fd, f"p{number}", index + 1, macs[1], 1500
            )
            here.netlink.request(pair, "add pair")
            for end, its_index in ((here, index), (there, index + 1)):
                end.netlink.request(messages.set_flags(its_index, messages.IFF_UP, messages.IFF_UP), "set up")
    return time.perf_counter() - start


def median_of(measure: Callable[[], float]) -> float:
    """The median of a few runs of one measurement."""
    return statistics.median(measure() for _ in range(ROUNDS))


def run_checked(path: Path) -> ScenarioResult:
    """Run a scenario and insist that it passes: a fast wrong answer is no figure."""
    result = run(path)
    if not result.ok:
        sys.exit(f"{path.name}: {result.summary}")
    return result


def measure_two_hosts() -> None:
    """Print build and teardown of two hosts with four containers as a ratio to the floor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.ipvlab.yaml"
        path.write_text(TWO_HOSTS)
        run_checked(path)  # loads libraries and templates

        def measure() -> float:
            seconds = run_checked(path).seconds
            return seconds.build + seconds.teardown

        # Two hosts and four containers; one wire and a pair for each container.
        floor = median_of(lambda: build_floor(6, 5))
        lab = median_of(measure)
    ratio = f"ratio {lab / floor:.1f}"
    print(f"two hosts, four containers: {lab * 1000:.1f} ms, floor {floor * 1000:.1f} ms, {ratio}")


def measure_scenarios() -> None:
    """Print the median seconds of each phase of each scenario, and of the whole folder."""
    print(f"{'scenario':<28}{'build':>8}{'probe':>8}{'teardown':>10}{'whole':>8}")
    total = 0.0
    for path in sorted(SCENARIOS.glob("*.ipvlab.yaml")):
        wholes, phases = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            phases.append(run_checked(path).seconds)
            wholes.append(time.perf_counter() - start)
        build, probe, teardown = (
            statistics.median(getattr(seconds, phase) for seconds in phases)
            for phase in ("build", "probe", "teardown")
        )
        whole = statistics.median(wholes)
        total += whole
        name = path.name.removesuffix(".ipvlab.yaml")
        print(f"{name:<28}{build:>8.3f}{probe:>8.3f}{teardown:>10.3f}{whole:>8.3f}")
    print(f"{'all':<28}{total:>34.3f}")


if __name__ == "__main__":
    measure_two_hosts()
    measure_scenarios()
