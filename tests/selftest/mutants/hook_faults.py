"""Faults of the way through the host's netfilter (``hooked`` in ``ipvlan.c``, and who sets it)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from unittest import mock

from ipvlab.datapath.bpf.detour import Detours
from ipvlab.linux.namespaces import Namespace
from ipvlab.rules.stack import Stack
from tests.selftest.mutants.control_faults import forget, replace
from tests.selftest.mutants.mutant import Mutant
from tests.selftest.mutants.source import Edit


@contextlib.contextmanager
def _arp_is_not_ignored() -> Iterator[None]:
    true_write = Namespace.write_sysctls

    def write(self: Namespace, values: Mapping[str, str]) -> None:
        true_write(self, {path: value for path, value in values.items() if not path.endswith("/arp_ignore")})

    with mock.patch.object(Namespace, "write_sysctls", write):
        yield


HOOK_FAULTS = [
    Mutant(
        "output-is-passed-by",
        "sends what leaves an L3 endpoint around the host's OUTPUT and POSTROUTING",
        "hooks",
        (Edit("transmit_l3", "port->hooked & (frame->type == ETH_IPV4 ? OUT4 : OUT6)", "0"),),
    ),
    Mutant(
        "output-is-of-the-other-family",
        "looks for rules for IPv6 when IPv4 leaves, and the other way round",
        "lab",
        (
            Edit(
                "transmit_l3",
                "frame->type == ETH_IPV4 ? OUT4 : OUT6",
                "frame->type == ETH_IPV4 ? OUT6 : OUT4",
            ),
        ),
    ),
    Mutant(
        "input-is-passed-by",
        "hands what arrives in L3S to the endpoint around the host's PREROUTING and INPUT",
        "hooks",
        (Edit("parent_in", "port->mode == L3S && port->hooked &", "0 &"),),
    ),
    Mutant(
        "families-share-their-hooks",
        "sends what arrives in L3S through netfilter that has rules of the other family only",
        "packets",
        (Edit("parent_in", "frame->type == ETH_IPV4 ? IN4 :", "frame->type == ETH_IPV4 ? IN4 | IN6 :"),),
    ),
    Mutant(
        "siblings-cross-the-hooks",
        "sends what a sibling gets through the host's netfilter",
        "hooks",
        (
            Edit(
                "transmit_l3",
                "if (host_end) return",
                "if (host_end) return port->hooked ? redirect(port->tap, 0) :",
            ),
        ),
    ),
    Mutant(
        "host-answers-arp-for-endpoints",
        "lets the host answer ARP for addresses that netfilter takes for its own",
        "hooks",
        fault=_arp_is_not_ignored,
    ),
    Mutant(
        "nothing-comes-out-of-netfilter",
        "loses what has passed the host's INPUT",
        "hooks",
        (Edit("tap_in", "return redirect_peer(host_end, 0)", "return DROP"),),
    ),
    Mutant(
        "hooks-are-not-looked-at",
        "never finds out that rules hang in the host's netfilter",
        "hooks",
        fault=forget(Detours, "refresh"),
    ),
    Mutant(
        "rules-hooks-stop-nothing",
        "lets every packet pass every hook",
        "hooks",
        fault=replace(Stack, "stops", lambda *_: False),
        datapath="sim",
    ),
]
