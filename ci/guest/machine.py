"""One guest: QEMU and virtiofsd as child processes that cannot outlive this one, and its streams.

All channels are socket pairs and inherited descriptors, so that nothing lies in a file system that an
end by SIGKILL would leave behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Self

from ci.guest.needs import Kernel, Programs

PR_SET_PDEATHSIG = 1
#: How long a boot may take before it counts as stuck, in seconds; 5 are usual, 11 under load.
BOOT_PATIENCE = 90.0
KERNEL_ARGUMENTS = (
    "console=ttyS0 mitigations=off nokaslr no_timer_check random.trust_cpu=on tsc=reliable audit=0 "
    "apparmor=0 panic=-1 quiet"
)

_libc = ctypes.CDLL(None, use_errno=True)


class StuckBootError(Exception):
    """A guest ended or was given up before its first sign of life; another attempt is fair."""


class GuestLostError(Exception):
    """A guest could be had here, and failed: it did not boot, or ended under its command."""


class TimeIsUpError(Exception):
    """The command ran longer than it was allowed to."""


def usual_memory() -> str:
    """Half of this machine's memory, from 1 to 4 GiB; what a command writes is kept there too."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return f"{max(1024, min(4096, total // 2))}M"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a guest is run."""

    memory: str = field(default_factory=usual_memory)
    has_kvm: bool = False
    #: Seconds for boot and command together.
    timeout: float = 1800.0
    shows_console: bool = False


class MarkedStream:
    """A stream of the guest up to its end mark, passed on as it arrives."""

    def __init__(self, mark: bytes, write: Callable[[bytes], None]) -> None:
        self._mark = mark
        self._write = write
        self._held = b""
        self.is_complete = False

    def feed(self, piece: bytes) -> None:
        """Pass on what cannot belong to the mark; hold back what may be its beginning."""
        if self.is_complete:
            return
        self._held += piece
        at = self._held.find(self._mark)
        if at >= 0:
            self.is_complete = True
            ready, self._held = self._held[:at], b""
        else:
            keep = next(
                (n for n in range(len(self._mark) - 1, 0, -1) if self._held.endswith(self._mark[:n])), 0
            )
            ready = self._held[: len(self._held) - keep]
            self._held = self._held[len(self._held) - keep :]
        if ready:
            self._write(ready)


def make_mark() -> bytes:
    """Bytes that no output holds by chance."""
    return b"\0end of stream " + secrets.token_hex(16).encode() + b"\0"


def _die_with(parent: int) -> Callable[[], None]:
    """What a child does before it becomes its program: the kernel kills it when its parent ends."""

    def tie() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        # Keyboard signals go to the foreground group; only this program acts on them.
        os.setpgid(0, 0)

    return tie


def _start(command: Sequence[str], fds: Sequence[int], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=fds,
        # This program has one thread, so running code between fork and exec is safe.
        preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509
    )


def virtiofsd_command(program: str, fd: int) -> list[str]:
    """The command that serves this machine's root, read-only, on a listening socket.

    The shared tree is remounted read-only in a mount namespace of its own: no
    option of the C virtiofsd does that.
    """
    if program.endswith("/qemu/virtiofsd"):
        options = "source=/,cache=always,sandbox=chroot,no_posix_lock,xattr,log_level=err"
        serve = [program, "-f", f"--fd={fd}", "-o", options]
    else:
        serve = [program, f"--fd={fd}", "--shared-dir=/", "--cache=always", "--sandbox=chroot", "--xattr"]
    script = 'mount -o remount,bind,ro / && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "virtiofsd", *serve]


def qemu_command(
    program: str, kernel: Kernel, initramfs: int, ports: dict[str, int], files: int, settings: Settings
) -> list[str]:
    """The command that boots the guest; ``ports`` and the rest are inherited descriptors.

    The machine is ``pc``: microvm hangs in one boot of three (TSC calibration).
    """
    accelerator = ["-accel", "kvm", "-cpu", "host"] if settings.has_kvm else [
        "-accel", "tcg,thread=single", "-cpu", "max,la57=off"
    ]  # fmt: skip
    command = [
        program, "-M", "pc,memory-backend=mem", *accelerator, "-smp", "1", "-m", settings.memory,
        "-object", f"memory-backend-memfd,id=mem,size={settings.memory},share=on",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
        "-kernel", str(kernel.image), "-initrd", f"/proc/self/fd/{initramfs}", "-append", KERNEL_ARGUMENTS,
        "-chardev", f"socket,id=fs,fd={files}", "-device", "vhost-user-fs-pci,chardev=fs,tag=root",
        "-device", "virtio-serial-pci",
    ]  # fmt: skip
    for name, fd in ports.items():
        command += ["-chardev", f"socket,id={name},fd={fd}"]
        if name == "console":
            command += ["-serial", "chardev:console"]
        else:
            command += ["-device", f"virtserialport,chardev={name},name={name}"]
    return command


class Guest:
    """A booted guest and what it says; used as a context, at whose end it is gone."""

    def __init__(self, programs: Programs, kernel: Kernel, image: bytes, settings: Settings) -> None:
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._ours: dict[str, socket.socket] = {}
        self._console = bytearray()
        with contextlib.ExitStack() as undo:
            undo.callback(self._stack.close)
            self._boot(programs, kernel, image)
            undo.pop_all()

    def _boot(self, programs: Programs, kernel: Kernel, image: bytes) -> None:
        log = os.memfd_create("log")
        self._log = log
        self._stack.callback(os.close, log)
        with contextlib.ExitStack() as passed:
            ports = {}
            for name in ("out", "err", "rc", "console"):
                ours, theirs = socket.socketpair()
                self._ours[name] = self._stack.enter_context(ours)
                ports[name] = passed.enter_context(theirs).fileno()
            listener = passed.enter_context(socket.socket(socket.AF_UNIX))
            # An abstract name: it is in no file system and ends with its socket.
            listener.bind("\0ipvlab-vm-" + secrets.token_hex(8))
            listener.listen(1)
            files = passed.enter_context(socket.socket(socket.AF_UNIX))
            files.connect(listener.getsockname())
            initramfs = os.memfd_create("initramfs")
            passed.callback(os.close, initramfs)
            with os.fdopen(os.dup(initramfs), "wb") as out:
                out.write(image)
            serve = virtiofsd_command(programs.virtiofsd, listener.fileno())
            self._own(_start(serve, [listener.fileno()], log))
            boot = qemu_command(programs.qemu, kernel, initramfs, ports, files.fileno(), self._settings)
            self._own(_start(boot, [*ports.values(), files.fileno(), initramfs], log))

    def _own(self, process: subprocess.Popen[bytes]) -> None:
        def end() -> None:
            process.kill()
            process.wait()

        self._stack.callback(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, mark: bytes, out: BinaryIO, err: BinaryIO) -> int:
        """Pass the command's output on until it ends, and return its status.

        Raises :class:`StuckBootError` when the guest never lived,
        :class:`TimeIsUpError` when the command took too long, and
        :class:`GuestLostError` when the guest died under it.
        """
        streams = {"out": MarkedStream(mark, _writer(out)), "err": MarkedStream(mark, _writer(err))}
        words = bytearray()
        started = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for name, ours in self._ours.items():
                selector.register(ours, selectors.EVENT_READ, name)
            while not (b"status " in words and words.endswith(b"\n") and _all_complete(streams)):
                is_alive = b"hello" in words
                deadline = started + self._settings.timeout
                if not is_alive:
                    deadline = min(deadline, started + BOOT_PATIENCE)
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    if is_alive:
                        raise TimeIsUpError(f"the command did not end within {self._settings.timeout:g} s")
                    raise StuckBootError(self._last_words(f"no sign of life in {BOOT_PATIENCE:g} s"))
                for key, _ in ready:
                    name = str(key.data)
                    piece = self._ours[name].recv(1 << 16)
                    if not piece:
                        error = GuestLostError if is_alive else StuckBootError
                        raise error(self._last_words("the guest ended by itself"))
                    if name == "rc":
                        words += piece
                    elif name == "console":
                        self._hear_console(piece, err)
                    else:
                        streams[name].feed(piece)
        return int(words.split(b"status ")[1])

    def _hear_console(self, piece: bytes, err: BinaryIO) -> None:
        self._console += piece
        if self._settings.shows_console:
            _writer(err)(piece)

    def _last_words(self, what: str) -> str:
        log = os.pread(self._log, 1 << 16, 0)
        lines = (bytes(self._console) + log).decode(errors="replace").split("\n")
        words = [line.strip() for line in lines if line.strip()]
        return "; ".join([what, *words[-3:]])


def _writer(stream: BinaryIO) -> Callable[[bytes], None]:
    def write(piece: bytes) -> None:
        stream.write(piece)
        stream.flush()

    return write


def _all_complete(streams: dict[str, MarkedStream]) -> bool:
    return all(stream.is_complete for stream in streams.values())
