"""The guest's parts without a guest: archives, load order, kernels by name, streams, and ends."""

from __future__ import annotations

import lzma
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ci import vm
from ci.guest import needs
from ci.guest.image import archive, job_image, lacking, load_order
from ci.guest.machine import MarkedStream, Settings, make_mark, qemu_command, virtiofsd_command
from ci.guest.needs import Kernel, VmUnfitError, is_of_series, newest

PROJECT = Path(__file__).parents[2]
APT_SAYS = """\
linux-image-6.1.0-9-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)
linux-image-6.1.0-56-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)
linux-image-6.1.0-56-cloud-amd64-unsigned - Linux 6.1 for x86-64 cloud
linux-image-6.12-cloud-amd64 - Linux for x86-64 cloud (meta-package)
linux-image-6.12.117+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-6.12.101+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-cloud-amd64 - Linux for x86-64 cloud (meta-package)
"""


def files_of(image: bytes) -> dict[str, bytes]:
    """The files of a newc archive, read back as the kernel does."""
    files: dict[str, bytes] = {}
    at = 0
    while True:
        assert image[at : at + 6] == b"070701"
        fields = [int(image[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = fields[6], fields[11]
        name = image[at + 110 : at + 110 + name_size - 1].decode()
        content = at + 110 + name_size + (-(110 + name_size) % 4)
        if name == "TRAILER!!!":
            return files
        files[name] = image[content : content + size]
        at = content + size + (-size % 4)


def module(folder: Path, name: str, *needed: str, is_packed: bool = False) -> Path:
    content = b"\x7fELF\0license=GPL\0depends=" + ",".join(needed).encode() + b"\0name=x\0"
    path = folder / (f"{name}.ko.xz" if is_packed else f"{name}.ko")
    path.write_bytes(lzma.compress(content) if is_packed else content)
    return path


def collect() -> tuple[list[bytes], Callable[[bytes], None]]:
    heard: list[bytes] = []
    return heard, heard.append


def test_the_newest_kernel_of_a_series_is_taken_by_number() -> None:
    assert newest(APT_SAYS, "6.1") == "6.1.0-56"
    assert newest(APT_SAYS, "6.12") == "6.12.117+deb12"
    assert newest(APT_SAYS, "6.12.101") == "6.12.101+deb12"
    assert newest(APT_SAYS, "7.0") is None


def test_a_series_ends_at_a_whole_number() -> None:
    assert is_of_series("6.1.0-56", "6.1")
    assert not is_of_series("6.12.117", "6.1")


def test_an_archive_holds_names_and_contents_of_any_length() -> None:
    files = {"a": b"", "ab": b"1", "folder/abc": b"12", "abcd": b"123", "abcde": b"1234"}
    assert files_of(archive((name, 0o100644, content) for name, content in files.items())) == files


def test_a_module_is_loaded_after_what_it_needs(tmp_path: Path) -> None:
    available = {
        "ipvlan": module(tmp_path, "ipvlan", "l3mdev"),
        "nft_ct": module(tmp_path, "nft_ct", "nf-tables", "nf_conntrack", is_packed=True),
        "nf_tables": module(tmp_path, "nf_tables"),
        "nf_conntrack": module(tmp_path, "nf_conntrack", "nf_defrag"),
        "nf_defrag": module(tmp_path, "nf_defrag", is_packed=True),
    }
    ordered = load_order(available, ["nft_ct", "ipvlan", "nf_defrag", "absent"])
    assert list(ordered) == ["nf_tables", "nf_defrag", "nf_conntrack", "nft_ct", "ipvlan"]
    assert all(content.startswith(b"\x7fELF") for content in ordered.values())


def test_what_a_kernel_lacks_is_neither_a_module_nor_built_in(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    module(tmp_path / "kernel", "ipvlan")
    (tmp_path / "modules.builtin").write_text("kernel/drivers/net/virtio-net.ko\n")
    kernel = Kernel("6.1.0", tmp_path / "vmlinuz", tmp_path / "kernel")
    assert lacking(kernel, ["ipvlan", "virtio_net", "8021q"]) == ["8021q"]


def test_a_job_gets_its_arguments_folder_and_environment_unharmed(tmp_path: Path) -> None:
    shown = "import os, sys; print(sys.argv[1:], os.getcwd(), sorted(os.environ))"
    words = ["it's", "$HOME", "a b", "", "*", "\n"]
    image = job_image(
        [sys.executable, "-c", shown, *words], tmp_path, {"A": "x y", "LC_ALL": "C.UTF-8"}, b"end"
    )
    files = files_of(image)
    assert files["end"] == b"end"
    done = subprocess.run(["sh"], input=files["job.sh"], capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"{words} {tmp_path} ['A', 'LC_ALL']"


def test_every_user_of_the_guest_may_pass_through_the_folders_above_what_the_job_needs() -> None:
    image = job_image(["true"], Path("/"), {}, b"end", [Path("/root/a b/python"), Path("/root/tree")])
    assert b"chmod o+x /root '/root/a b'\n" in files_of(image)["job.sh"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_stream_is_passed_on_whole_however_it_is_cut(size: int) -> None:
    mark = make_mark()
    sent = b"one" + mark[:9] + b"two\n" + mark[:-1] + b"three"
    heard, write = collect()
    stream = MarkedStream(mark, write)
    whole = sent + mark + b"after the end"
    for at in range(0, len(whole), size):
        stream.feed(whole[at : at + size])
    assert b"".join(heard) == sent
    assert stream.is_complete


def test_output_is_passed_on_before_its_end_is_known() -> None:
    heard, write = collect()
    stream = MarkedStream(make_mark(), write)
    stream.feed(b"hello\n")
    assert heard == [b"hello\n"]
    assert not stream.is_complete


def test_words_after_two_dashes_are_the_command() -> None:
    parsed = vm.parse(["--kernel", "6.12", "--", "python", "-m", "pytest", "--timeout", "3"])
    assert (parsed.kernel, parsed.command) == ("6.12", ["python", "-m", "pytest", "--timeout", "3"])
    assert vm.parse(["pytest", "-q"]).command == ["pytest", "-q"]


def test_no_command_is_bad_usage() -> None:
    with pytest.raises(SystemExit) as caught:
        vm.parse(["--kernel", "6.1"])
    assert caught.value.code == 2


def test_the_guest_finds_this_interpreter_first_and_knows_that_it_is_one() -> None:
    own = {"PATH": "/opt/bin", "IPVLAB_X": "1", "SECRET": "2", "HOME": "/home/me"}
    passed = vm.guest_environment(own, "6.1.0-56")
    assert passed.pop("PATH").split(":")[:2] == [str(Path(sys.executable).parent), "/opt/bin"]
    assert passed == {"HOME": "/home/me", "IPVLAB_X": "1", "IPVLAB_GUEST": "6.1.0-56"}


@pytest.mark.parametrize("has_kvm", [False, True])
def test_kvm_is_used_only_when_asked_for(has_kvm: bool) -> None:
    kernel = Kernel("6.1.0", Path("/k"), Path("/m"))
    command = qemu_command("qemu", kernel, 3, {"out": 4, "console": 5}, 6, Settings(has_kvm=has_kvm))
    assert ("kvm" in command) is has_kvm
    assert "-enable-kvm" not in command


@pytest.mark.parametrize("program", needs.VIRTIOFSD)
def test_the_machine_is_shared_read_only(program: str) -> None:
    command = virtiofsd_command(program, 3)
    assert command[0] == "unshare"
    assert any("remount,bind,ro /" in word for word in command)
    assert "--fd=3" in command


def ends_unfit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The one line that the program says before it ends with status 5."""
    monkeypatch.setattr(sys, "argv", ["ci/vm.py", "true"])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        assert vm.main() == 5
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return capsys.readouterr().err


def test_without_root_it_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    said = ends_unfit(capsys, monkeypatch)
    assert said.count("\n") == 1
    assert "sudo" in said


def test_where_qemu_cannot_be_had_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(needs, "VIRTIOFSD", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = ends_unfit(capsys, monkeypatch).splitlines()
    assert said[0].startswith("vm: apt-get install qemu-system-x86 ")
    assert said[1:] == ["vm: apt-get update: there is no apt-get here"]


def test_a_cache_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(VmUnfitError, match="XDG_CACHE_HOME"):
        needs.cache_folder()


def test_what_the_guest_is_run_by_ends_with_a_killed_parent() -> None:
    """The child holds the writing end of a pipe; its end is the end of the pipe."""
    code = (
        "import os, sys; from ci.guest.machine import _start\n"
        "fd = int(sys.argv[1]); log = os.open('/dev/null', os.O_WRONLY)\n"
        "child = _start([sys.executable, '-c', 'import signal; signal.pause()'], [fd], log)\n"
        "print(child.pid, flush=True); sys.stdin.read()\n"
    )
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(writing)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        pass_fds=[writing],
    ) as parent:
        os.close(writing)
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) > 0
        parent.kill()
    assert os.read(reading, 1) == b""
    os.close(reading)


@pytest.mark.parametrize("script", ["init.sh", "run.sh"])
def test_the_scripts_of_the_guest_can_be_parsed(script: str) -> None:
    subprocess.run(["sh", "-n", PROJECT / "ci" / "guest" / script], check=True)
