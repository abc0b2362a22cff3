"""The bpf(2) system call: maps, programs and test runs, without a library.

Neither BTF nor CO-RE is used, so that a machine needs nothing but its kernel
(5.10 or later, for bpf_redirect_peer and bpf_redirect_neigh).
"""

from __future__ import annotations

import ctypes
import errno as errno_numbers
import os
import platform
import resource
import struct

from ipvlab.errors import KernelRefusal, KernelUnfit

#: __NR_bpf by machine (asm/unistd.h).
_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}

MAP_CREATE, MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_DELETE_ELEM = 0, 1, 2, 3
PROG_LOAD, PROG_TEST_RUN = 5, 10
PROG_TYPE_SCHED_CLS = 3

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes | bytearray) -> int:
    """Call bpf(2); raises OSError with its errno."""
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise KernelUnfit(f"ipvlab does not know the bpf system call of {platform.machine()}")
    buffer = ctypes.create_string_buffer(bytes(attributes), len(attributes))
    result = int(_libc.syscall(number, command, buffer, len(attributes)))
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    return result


def allow_locked_memory() -> None:
    """Lift the limit that kernels before 5.11 charge maps and programs against."""
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, PermissionError):
        return


class Map:
    """A BPF map, open for as long as this object or a program that uses it."""

    def __init__(
        self, name: str, kind: int, key_size: int, value_size: int, capacity: int, flags: int
    ) -> None:
        self.name = name
        self.key_size = key_size
        self.value_size = value_size
        attributes = struct.pack("=5I", kind, key_size, value_size, capacity, flags)
        try:
            self.fd = _bpf(MAP_CREATE, attributes)
        except OSError as error:
            raise KernelRefusal(f"create BPF map {name}: {error.strerror}", errno=error.errno or 0) from error
        self._key = ctypes.create_string_buffer(key_size)
        self._value = ctypes.create_string_buffer(value_size)
        self._attributes = struct.pack(
            "=I4xQQQ", self.fd, ctypes.addressof(self._key), ctypes.addressof(self._value), 0
        )

    def set(self, key: bytes, value: bytes) -> None:
        """Insert or replace one element; raises :class:`KernelRefusal` when the map is full."""
        self._key.raw = key
        self._value.raw = value
        try:
            _bpf(MAP_UPDATE_ELEM, self._attributes)
        except OSError as error:
            raise KernelRefusal(f"BPF map {self.name}: {error.strerror}", errno=error.errno or 0) from error

    def get(self, key: bytes) -> bytes | None:
        """The value of one element, or None."""
        self._key.raw = key
        try:
            _bpf(MAP_LOOKUP_ELEM, self._attributes)
        except FileNotFoundError:
            return None
        return self._value.raw

    def delete(self, key: bytes) -> None:
        """Delete one element; an absent one is no error."""
        self._key.raw = key
        try:
            _bpf(MAP_DELETE_ELEM, self._attributes[:16])  # what follows the key must be zero or absent
        except FileNotFoundError:
            return

    def close(self) -> None:
        """Let go of the map."""
        os.close(self.fd)


def load_program(name: str, instructions: bytes, license_text: str) -> int:
    """Load a tc program and return its fd.

    Raises :class:`PermissionError` without the privilege, and
    :class:`KernelUnfit` with the verifier's last words when it is refused.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    terms = ctypes.create_string_buffer(license_text.encode())
    label = name.encode()[:15].ljust(16, b"\0")

    def attributes(log: ctypes.Array[ctypes.c_char] | None) -> bytes:
        return struct.pack(
            "=IIQQIIQII16sI",
            PROG_TYPE_SCHED_CLS,
            len(instructions) // 8,
            ctypes.addressof(code),
            ctypes.addressof(terms),
            1 if log is not None else 0,
            len(log) if log is not None else 0,
            ctypes.addressof(log) if log is not None else 0,
            0,
            0,
            label,
            0,
        )

    try:
        return _bpf(PROG_LOAD, attributes(None))
    except OSError as refusal:
        # The verifier refuses with EACCES, a missing privilege is EPERM (kernel/bpf/syscall.c).
        if refusal.errno == errno_numbers.EPERM:
            raise
        # Ask again with a log: writing it makes every load slower, so only on failure.
        log = ctypes.create_string_buffer(1 << 20)
        try:
            return _bpf(PROG_LOAD, attributes(log))
        except OSError as error:
            words = log.value.decode(errors="replace").strip().splitlines()[-4:]
            raise KernelUnfit(
                f"the kernel refuses the BPF program {name}: {error.strerror}: {' / '.join(words)}"
            ) from error


#: What a test run may say of a frame: up to ``ifindex`` of struct __sk_buff, 0 where the kernel
#: lets nobody choose (net/bpf/test_run.c: convert___skb_to_skb).
_CONTEXT = struct.Struct("=8xI28xI")
_TEST_RUN = struct.Struct("=IIIIQQIIIIQQ")


def test_run(program_fd: int, frame: bytes) -> tuple[int, bytes]:
    """Run a program on one frame of the loopback link; its verdict and the frame afterwards."""
    return run_on_link(program_fd, frame, 0, 0)


def run_on_link(program_fd: int, frame: bytes, ifindex: int, mark: int) -> tuple[int, bytes]:
    """Run a program on one frame (BPF_PROG_TEST_RUN); its verdict and the frame afterwards.

    ``ifindex`` is the link that the frame came in by, of the calling thread's
    network namespace; its MAC makes the frame's packet type. 0 is the loopback link.
    Raises :class:`OSError`: EINVAL for less than an Ethernet header, ENODEV for no such link.
    """
    source = ctypes.create_string_buffer(frame, len(frame))
    target = ctypes.create_string_buffer(len(frame) + 256)
    context = ctypes.create_string_buffer(_CONTEXT.pack(mark, ifindex), _CONTEXT.size)
    attributes = _TEST_RUN.pack(
        program_fd,
        0,
        len(frame),
        len(target),
        ctypes.addressof(source),
        ctypes.addressof(target),
        1,
        0,
        _CONTEXT.size,
        0,
        ctypes.addressof(context),
        0,
    )
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    if _libc.syscall(_SYSCALL[platform.machine()], PROG_TEST_RUN, buffer, len(attributes)) < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    _fd, verdict, _size_in, size_out = struct.unpack_from("=iIII", buffer.raw)
    return verdict, target.raw[:size_out]
