"""Room in the kernel's neighbour tables, which all namespaces of a machine share.

A matrix between a hundred nodes needs thousands of entries; IPv6 allows 1024 by
default (net.ipv6.neigh.default.gc_thresh3), and a full table drops packets
without a word to their sender. So entries that earlier probes have left behind
are deleted before the table fills up, and overflows are counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipvlab.probe.lane import KernelTable, Lane, read_number
from ipvlab.probe.neighbours import RENEWABLE, NeighbourTable
from ipvlab.spec.values import Family

_CACHES = {Family.IPV4: "arp_cache", Family.IPV6: "ndisc_cache"}
_DIRECTORIES = {Family.IPV4: "ipv4", Family.IPV6: "ipv6"}
#: Columns of /proc/net/stat/*_cache (neigh_stat_seq_show).
_ENTRIES, _UNRESOLVED_DISCARDS, _TABLE_FULLS = 0, 11, 12
_DEFAULT_LIMIT = 1024


class NeighbourRoom:
    """Watches how full the neighbour tables are; reads the counters of the lane's CPU."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._caches = {
            family: KernelTable(f"/proc/net/stat/{name}", cpu_column=None) for family, name in _CACHES.items()
        }
        self._limits = {
            family: read_number(f"/proc/sys/net/{name}/neigh/default/gc_thresh3", _DEFAULT_LIMIT)
            for family, name in _DIRECTORIES.items()
        }
        #: Entries that were left after the last deletion: not ours, or permanent.
        self._floor = dict.fromkeys(Family, 0)
        self._sent = dict.fromkeys(Family, 0)

    def interval(self, family: Family) -> int:
        """How many probes may be sent between two calls of :meth:`make`.

        Each can add four entries: at either end the other, and in IPv6 its solicited-node group.
        """
        return max(1, self._limits[family] // 16)

    def make(self, family: Family, busy: Iterable[NeighbourTable], tables: Iterable[NeighbourTable]) -> bool:
        """Delete renewable entries once the lab has filled a quarter of the table; whether it did.

        First those of the nodes that have been sending (``busy``), which hold most;
        then, if that was not enough, those of all nodes.
        """
        quarter = self._limits[family] // 4
        if self._added(family) <= quarter:
            return False
        for table in busy:
            table.forget(family, RENEWABLE)
        if self._added(family) <= quarter // 2:
            return True
        for table in tables:
            table.forget(family, RENEWABLE)
        self._floor[family] = self._entries(family) or 0
        self._sent[family] = 0
        return True

    def _added(self, family: Family) -> int:
        """Entries since the last deletion; where the kernel does not show them, an upper bound."""
        entries = self._entries(family)
        if entries is None:
            self._sent[family] += 4 * self.interval(family)
            return self._sent[family]
        return entries - self._floor[family]

    def _entries(self, family: Family) -> int | None:
        # Only the machine's first network namespace shows the table.
        return self._caches[family].field(self._lane.cpu, _ENTRIES)

    def losses(self) -> int:
        """Packets that this CPU lost so far to a full table or waiting list."""
        columns = (_UNRESOLVED_DISCARDS, _TABLE_FULLS)
        caches = self._caches.values()
        return sum(cache.field(self._lane.cpu, column) or 0 for cache in caches for column in columns)

    def close(self) -> None:
        """Close the kernel's tables."""
        for cache in self._caches.values():
            cache.close()
