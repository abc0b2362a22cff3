"""The guest's initramfs: a busybox, the modules in load order, two scripts, and the job.

The part that depends on the kernel only is kept in the cache; the job is a second archive that
follows it, as the kernel takes any number of them end to end (init/initramfs.c).
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shlex
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ci.guest.needs import Kernel, VmUnfitError

#: Without these the guest cannot reach its root or answer.
VITAL = ("virtio_pci", "virtio_console", "virtiofs", "overlay")
#: What labs are made of; a kernel that lacks one boots, and the lack is told.
LAB = ("ipvlan", "8021q", "dummy", "veth", "bridge", "ifb", "macvlan", "tun", "cls_bpf", "sch_ingress")
#: What else a lab or a container engine asks for; there is no modprobe in the guest, so all are loaded.
_MORE_WORDS = (
    "act_mirred act_bpf cls_matchall af_packet_diag unix_diag inet_diag tcp_diag udp_diag raw_diag ipvtap "
    "nf_tables nft_ct nft_nat nft_masq nft_chain_nat nft_reject nft_reject_inet nft_reject_netdev nft_log "
    "nft_limit nft_compat nft_fib nft_fib_inet nft_hash nft_dup_ipv4 nft_fwd_netdev nft_quota nft_redir "
    "nft_meta_bridge nft_reject_bridge nf_conntrack_netlink nfnetlink_log nfnetlink_queue nf_log_syslog "
    "ip_tables iptable_filter iptable_nat ip6_tables ip6table_filter ip6table_nat xt_conntrack xt_nat "
    "xt_MASQUERADE xt_tcpudp xt_comment xt_addrtype xt_mark xt_limit xt_LOG xt_multiport xt_REDIRECT"
)
MORE = tuple(_MORE_WORDS.split())

_SCRIPTS = Path(__file__).parent


def _module_name(path: Path) -> str:
    return path.name.split(".ko")[0].replace("-", "_")


def _read_module(path: Path) -> bytes:
    """A module's bytes, unpacked: Debian compresses them with xz since 6.12."""
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


def _dependencies(module: bytes) -> list[str]:
    """The modules that must be loaded before one, as its own .modinfo section says."""
    start = module.find(b"\0depends=") + 1
    if not start:
        return []
    names = module[start + len(b"depends=") : module.index(b"\0", start)].decode()
    return [name.replace("-", "_") for name in names.split(",") if name]


def load_order(available: Mapping[str, Path], wanted: Iterable[str]) -> dict[str, bytes]:
    """The wanted modules and all that they need, each after what it needs; absent ones are left out.

    What is not there as a module may be built in, see :func:`lacking`.
    """
    ordered: dict[str, bytes] = {}
    under_way: set[str] = set()

    def visit(name: str) -> None:
        if name in ordered or name in under_way or name not in available:
            return
        under_way.add(name)
        content = _read_module(available[name])
        for needed in _dependencies(content):
            visit(needed)
        ordered[name] = content

    for name in wanted:
        visit(name)
    return ordered


def available_modules(kernel: Kernel) -> dict[str, Path]:
    """The kernel's modules by name."""
    return {_module_name(path): path for path in kernel.modules.rglob("*.ko*")}


def lacking(kernel: Kernel, names: Iterable[str]) -> list[str]:
    """Those of the names that the kernel has neither as a module nor built in."""
    present = set(available_modules(kernel))
    for line in (kernel.modules.parent / "modules.builtin").read_text().splitlines():
        present.add(_module_name(Path(line)))
    return [name for name in names if name not in present]


def archive(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """A cpio archive in the form newc (Documentation/driver-api/early-userspace/buffer-format.rst).

    An entry is a path, a mode with its file type, and the content.
    """
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + path
        out += b"\0" * (-len(out) % 4)
        out += content
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


_DIRECTORY = stat.S_IFDIR | 0o755
_PROGRAM = stat.S_IFREG | 0o755
_TEXT = stat.S_IFREG | 0o644
_FOLDERS = ("bin", "dev", "proc", "sys", "modules", "lower", "rw", "new")


def base_image(kernel: Kernel, busybox: str, cache: Path) -> bytes:
    """The archive that is the same for every job; made once for each kernel and kept.

    Raises :class:`VmUnfitError` when the kernel lacks what a guest cannot do without.
    """
    vital = lacking(kernel, VITAL)
    if vital:
        raise VmUnfitError(f"kernel {kernel.release} has no {', '.join(vital)}, so the guest cannot boot")
    shell = Path(busybox).read_bytes()
    parts = [(_SCRIPTS / name).read_bytes() for name in ("init.sh", "run.sh")]
    words = " ".join([kernel.release, *VITAL, *LAB, *MORE]).encode()
    key = hashlib.sha256(b"\0".join([shell, *parts, words])).hexdigest()[:16]
    kept = cache / f"initramfs-{kernel.release}-{key}.cpio"
    if kept.exists():
        return kept.read_bytes()
    modules = load_order(available_modules(kernel), [*VITAL, *LAB, *MORE])
    entries = [(name, _DIRECTORY, b"") for name in _FOLDERS]
    # The kernel opens the console before /init has mounted anything.
    entries += [("bin/busybox", _PROGRAM, shell), ("init", _PROGRAM, parts[0]), ("run.sh", _TEXT, parts[1])]
    entries += [
        (f"modules/{number:03}-{name}.ko", _TEXT, content)
        for number, (name, content) in enumerate(modules.items())
    ]
    image = archive(entries)
    for stale in cache.glob(f"initramfs-{kernel.release}-*"):
        stale.unlink()
    fresh = kept.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(image)
    fresh.rename(kept)
    return image


def job_image(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    end: bytes,
    reached: Iterable[Path] = (),
) -> bytes:
    """The archive of one job: a script that becomes the command, and the mark that ends a stream.

    Every user of the guest may pass through the folders above those in ``reached``;
    the machine's own are as they were.
    """
    settings = [f"{name}={value}" for name, value in environment.items()]
    # By its path: a static busybox runs its own applets in place of the programs of the root.
    words = shlex.join(["/usr/bin/env", "-i", *settings, *command])
    above = sorted({str(parent) for path in reached for parent in path.parents if parent != parent.parent})
    opening = shlex.join(["/run/vm/busybox", "chmod", "o+x", *above]) if above else ":"
    script = f"cd {shlex.quote(str(folder))} || exit 125\n{opening}\nexec {words}\n"
    return archive([("job.sh", _TEXT, script.encode()), ("end", _TEXT, end)])
