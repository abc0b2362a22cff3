"""One CPU for everything that a probe sets off, and the proof that all of it has happened.

The argument, on which every proved silence rests:

1. On veth, bridge and tc-BPF each hop of a packet either runs at once in the
   sender's context or is queued at the tail of the *sending CPU's* backlog
   (``netif_rx`` → ``enqueue_to_backlog``), which is first in, first out. RPS and
   RFS would steer packets to other CPUs; they are off in a new namespace.
2. The probing thread stays on one CPU. What it sends, and what that sets off
   (ARP, answers, forwarding, clones), therefore stays in one queue.
3. A datagram sent over ``lo`` joins the tail of the same queue. When it has
   arrived, whatever was queued before it has taken its next hop. After *k*
   such rounds every chain of at most *k* hops has ended.
4. A chain that reaches a socket crosses at most 64 IP hops (TTL), and no node
   twice; each costs an address resolution there and back and the packet itself
   (3), each of these at most 8 queueings (endpoint, tag, switch in, switch out,
   tag, endpoint, and two to spare), and the answer doubles it: 48 for each node
   without detours.
5. Besides, the kernel counts that queue (softnet_stat, column 12): it must read
   empty at the end. A frame that is in no queue and in no neighbour's waiting
   list is nowhere.

On the ``bpf`` datapath packets of l3 and l3s endpoints may wait for ipvlab
itself, on a detour through the host's netfilter. The lane holds the pump that
moves them: nothing else does meanwhile, and each round moves them as well, on
the same CPU, so a detour is a queue like the others. It costs a hop two more
queueings, out of the host and into it: 60 for each node. At the end it must
have nothing left to move.

6. The ``ipvlan`` driver puts group frames off to a worker (ipvlan_process_multicast),
   which is in no queue of the CPU. There the datapath's pump *flushes*: a fence
   frame through each parent's queue, which is first in, first out. Passes of
   flush and rounds go on until a whole one has set nothing in motion: no frame
   has passed a parent meanwhile. Neither veth, bridge nor the programs of the
   ``bpf`` datapath put anything off.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator, Sequence

from ipvlab.datapath.base import IdlePump, Pump
from ipvlab.lab.nodes import CONTROL_MARK

ROUNDS_PER_NODE = 48
#: The same with the two queueings that a detour costs each hop.
ROUNDS_WITH_DETOURS = 60
#: Forwarding costs one TTL each; the kernel's packets start with 64.
MOST_HOPS = 64
#: Passes of point 6: a chain comes to rest after two for each hop that is put off.
MOST_PASSES = 2 * (MOST_HOPS + 1)
#: How often the CPU is given away before a queue that does not empty counts as stuck.
PATIENCE = 1000

#: Columns of /proc/net/softnet_stat (softnet_seq_show).
_DROPPED, _BACKLOG, _CPU = 1, 11, 12

_SCHED = ctypes.CDLL(None, use_errno=True)


class KernelTable:
    """A table of hexadecimal counters below /proc/net with a line for each CPU.

    ``cpu_column`` names the column that holds the CPU's number (offline CPUs have
    no line); without one the table has a header, and a line for each CPU.
    """

    def __init__(self, path: str, cpu_column: int | None) -> None:
        self._fd: int | None
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = None
        self._cpu_column = cpu_column

    def field(self, cpu: int, column: int) -> int | None:
        """One counter of one CPU; None where the kernel does not show it."""
        fields = self._fields(cpu)
        return int(fields[column], 16) if len(fields) > column else None

    def _fields(self, cpu: int) -> list[bytes]:
        if self._fd is None:
            return []
        lines = os.pread(self._fd, 1 << 17, 0).splitlines()
        if self._cpu_column is None:
            return lines[cpu + 1].split() if len(lines) > cpu + 1 else []
        # Line n is that of CPU n or of a later one, so look from there backwards.
        for line in reversed(lines[: cpu + 1]):
            fields = line.split()
            if len(fields) <= self._cpu_column or int(fields[self._cpu_column], 16) == cpu:
                return fields
        return []

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Lane:
    """The one CPU that a batch of probes runs on."""

    def __init__(self) -> None:
        self._softnet = KernelTable("/proc/net/softnet_stat", cpu_column=_CPU)
        self._cpu = 0
        self._is_pinned = False
        self._pump: Pump = IdlePump()
        self.backlog_limit = read_number("/proc/sys/net/core/netdev_max_backlog", 1000)

    @property
    def cpu(self) -> int:
        """The CPU in use, or the last one used."""
        return self._cpu

    @contextlib.contextmanager
    def pinned(self, pump: Pump | None = None) -> Iterator[None]:
        """Keep the calling thread on one of its allowed CPUs, the one it is on; undone at the end.

        ``pump`` is the datapath's, held by the caller, and moved by the lane's turns.
        """
        allowed = os.sched_getaffinity(0)
        current: int = _SCHED.sched_getcpu()
        self._cpu = current if current in allowed else min(allowed)
        self._pump = pump or IdlePump()
        try:
            os.sched_setaffinity(0, {self._cpu})
            self._is_pinned = True
        except OSError:
            self._is_pinned = False
        try:
            yield
        finally:
            self._pump = IdlePump()
            if self._is_pinned:
                self._is_pinned = False
                os.sched_setaffinity(0, allowed)

    def drops(self) -> int:
        """Packets refused so far by this CPU's backlog (softnet_stat, column 2) or lost on detours."""
        return (self._softnet.field(self._cpu, _DROPPED) or 0) + self._pump.losses()

    def settle(self) -> bool:
        """Let backlog and detours run empty; False when they do not, or the kernel does not tell."""
        for _ in range(PATIENCE):
            if self._pump.move():
                continue
            length = self._softnet.field(self._cpu, _BACKLOG)
            if length is None:
                return False
            if length == 0:
                return True
            os.sched_yield()
        return False

    @property
    def tells_backlog(self) -> bool:
        """Whether this kernel shows the length of the backlog (5.10 and later)."""
        return self._softnet.field(self._cpu, _BACKLOG) is not None

    def drain(self, pulses: Sequence[Pulse], node_count: int) -> int:
        """Run the barrier rounds of point 4; their number, or 0 when they prove nothing.

        Tries the pulses in turn, since ``lo`` of a node may have been taken down.
        """
        each = ROUNDS_PER_NODE if self._pump.is_idle else ROUNDS_WITH_DETOURS
        rounds = each * (min(node_count, MOST_HOPS) + 1)
        if not self._is_pinned:
            return 0
        for pulse in pulses:
            if all(self._turn(pulse) for _ in range(rounds)) and self._flush(pulse, rounds):
                is_empty = self.settle() or not self.tells_backlog
                return rounds if is_empty and not self._pump.move() else 0
        return 0

    def _flush(self, pulse: Pulse, rounds: int) -> bool:
        """Let work that a driver put off be done, until a whole pass of it sets nothing in motion."""
        if not self._pump.defers_work:
            return True
        for _ in range(MOST_PASSES):
            before = self._pump.traffic()
            if not self._pump.flush():
                return False
            if not all(self._turn(pulse) for _ in range(rounds)):
                return False
            if self._pump.traffic() == before:
                return True
        return False

    def _turn(self, pulse: Pulse) -> bool:
        """One turn of every queue; False when it cannot be seen."""
        self._pump.move()
        return pulse.beat()

    def close(self) -> None:
        """Close what was opened for reading the kernel's counters."""
        self._softnet.close()


class Pulse:
    """A datagram socket connected to itself over ``lo``: one beat is one turn of the backlog."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._count = 0

    @classmethod
    def open(cls) -> Pulse:
        """Open one in the calling thread's namespace; raises OSError where ``lo`` is down."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, CONTROL_MARK)
            sock.bind(("127.0.0.1", 0))
            sock.connect(sock.getsockname())
        except OSError:
            sock.close()
            raise
        return cls(sock)

    def beat(self) -> bool:
        """Send one datagram and see it arrive; False when it never does."""
        self._count += 1
        beat = self._count.to_bytes(8, "big")
        try:
            self._socket.send(beat)
        except OSError:
            return False
        for _ in range(PATIENCE):
            try:
                if self._socket.recv(16) == beat:
                    return True
            except BlockingIOError:
                os.sched_yield()
            except OSError:
                return False
        return False

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def read_number(path: str, default: int) -> int:
    """The number in a file of the kernel, or ``default`` where it is not shown."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return default
