"""Commands in nodes: their own files, names and processes, and nothing left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ipvlab.errors import LabError
from ipvlab.lab.nodes import Node
from ipvlab.lab.processes import NodeFiles, Sandbox, run_command, sandbox_of, set_files, spawn

NodeMaker = Callable[..., Node]
FILES = NodeFiles(hosts="192.0.2.7\tpaper\n", resolv_conf="nameserver 127.0.0.11\n", hostname="a1")


@pytest.fixture
def a_machine(tmp_path: Path) -> Path:
    """A folder to be used as /etc by a child process in a mount namespace of its own."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (etc / "ssl").mkdir()
    (etc / "ssl" / "certificate").write_text("certificate\n")
    (etc / "mtab").symlink_to("../proc/self/mounts")
    return etc


def run_on_machine(etc: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run Python code with ``node`` (files FILES) and ``run`` at hand, on a machine with this /etc."""
    prelude = """
        import os, sys
        from ipvlab.lab import processes
        from ipvlab.lab.nodes import Node
        from ipvlab.lab.processes import NodeFiles, Sandbox, run_command
        from ipvlab.linux.namespaces import *
        from ipvlab.linux.netlink import Netlink
        unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount(sys.argv[1], "/etc", flags=MS_BIND)
        [(fd, sock)] = THREAD.create_network(1, {})
        files = NodeFiles("192.0.2.7\\tpaper\\n", "nameserver 127.0.0.11\\n", "a1")
        node = Node("a1", "container", Namespace("a1", fd, Netlink(sock, "a1")), files=files)
        def run(*argv):
            result = run_command(node, argv)
            assert result.exit_code == 0, result
            return result.stdout
    """
    code = textwrap.dedent(prelude) + textwrap.dedent(program)
    return subprocess.run(
        [sys.executable, "-c", code, str(etc)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )


def test_a_command_prints_and_ends_as_it_does_outside(make_node: NodeMaker) -> None:
    result = run_command(make_node(), ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_a_command_that_does_not_exist_ends_with_127(make_node: NodeMaker) -> None:
    result = run_command(make_node(), ["no-such-program"])
    assert result.exit_code == 127
    assert "no-such-program" in result.stderr


def test_a_command_that_may_not_be_run_ends_with_126(make_node: NodeMaker) -> None:
    assert run_command(make_node(), ["/etc/passwd"]).exit_code == 126


def test_a_command_killed_by_a_signal_ends_with_128_and_its_number(make_node: NodeMaker) -> None:
    assert run_command(make_node(), ["sh", "-c", "kill -9 $$"]).exit_code == 128 + signal.SIGKILL


def test_standard_input_is_what_is_given_and_empty_otherwise(make_node: NodeMaker) -> None:
    node = make_node()
    assert run_command(node, ["cat"], stdin="given").stdout == "given"
    assert run_command(node, ["cat"]).stdout == ""


def test_the_environment_is_what_is_given(make_node: NodeMaker) -> None:
    assert run_command(make_node(), ["env"], env={"PATH": os.defpath, "A": "b"}).stdout.count("\n") == 2


def test_a_command_runs_in_the_network_namespace_of_its_node(make_node: NodeMaker) -> None:
    node = make_node()
    inode = os.fstat(node.namespace.fd).st_ino
    assert run_command(node, ["readlink", "/proc/self/ns/net"]).stdout.strip() == f"net:[{inode}]"


def test_a_node_without_files_of_its_own_knows_localhost_and_itself_only(make_node: NodeMaker) -> None:
    node = make_node("h1")
    assert run_command(node, ["cat", "/etc/resolv.conf"]).stdout == ""
    assert run_command(node, ["cat", "/etc/hostname"]).stdout == "h1\n"
    assert run_command(node, ["uname", "-n"]).stdout == "h1\n"
    lines = run_command(node, ["cat", "/etc/hosts"]).stdout.splitlines()
    names = {word for line in lines for word in line.split()[1:]}
    assert names == {"localhost", "h1", "ip6-localhost", "ip6-loopback"}


def test_getaddrinfo_reads_the_hosts_file_of_the_node_and_never_asks_the_machine(
    make_node: NodeMaker,
) -> None:
    node = make_node()
    set_files(node, FILES)
    assert run_command(node, ["getent", "hosts", "paper"]).stdout.split()[0] == "192.0.2.7"
    lines = run_command(node, ["cat", "/etc/nsswitch.conf"]).stdout.splitlines()
    assert [line for line in lines if "hosts:" in line] == ["hosts: files dns"]


def test_files_replaced_while_the_node_lives_are_what_the_next_command_reads(make_node: NodeMaker) -> None:
    node = make_node()
    run_command(node, ["true"])
    set_files(node, FILES)
    for name, content in FILES.written().items():
        assert run_command(node, ["cat", f"/etc/{name}"]).stdout == content
    assert run_command(node, ["uname", "-n"]).stdout == "a1\n"


def test_files_that_a_node_is_given_between_commands_are_what_the_next_one_reads(
    make_node: NodeMaker,
) -> None:
    node = make_node()
    for hostname in ("first", "second"):
        node.files = NodeFiles(f"192.0.2.1\t{hostname}\n", "", hostname)
        assert run_command(node, ["cat", "/etc/hosts"]).stdout == node.files.hosts
        assert run_command(node, ["uname", "-n"]).stdout == f"{hostname}\n"


def test_the_files_and_hostname_of_the_machine_stay_as_they_are(make_node: NodeMaker) -> None:
    def machine() -> tuple[str, str, str]:
        hosts = Path("/etc/hosts").read_text() if Path("/etc/hosts").exists() else ""
        return os.uname().nodename, hosts, Path("/proc/self/mountinfo").read_text()

    before = machine()
    node = make_node()
    set_files(node, FILES)
    run_command(node, ["sh", "-c", "echo changed > /etc/hosts; echo new > /etc/something; hostname other"])
    assert run_command(node, ["cat", "/etc/something"]).stdout == "new\n"
    assert machine() == before
    assert not Path("/etc/something").exists()


def test_two_nodes_have_each_their_own_files_and_processes(make_node: NodeMaker) -> None:
    one, two = make_node("n1"), make_node("n2")
    assert run_command(one, ["uname", "-n"]).stdout == "n1\n"
    assert run_command(two, ["uname", "-n"]).stdout == "n2\n"
    everything = ["sh", "-c", "cat /proc/[0-9]*/cmdline"]
    with spawn(one, ["cat", "-", "mark-of-n1"], stdin=subprocess.PIPE) as process:
        assert "mark-of-n1" in run_command(one, everything).stdout
        assert "mark-of-n1" not in run_command(two, everything).stdout
        process.communicate(b"")


def test_a_child_left_behind_is_reaped(make_node: NodeMaker) -> None:
    node = make_node()
    # The orphan holds the pipe until it ends; its parent ends before.
    run_command(node, ["sh", "-c", "(sh -c 'exit 0' &); exit 0"])
    with spawn(node, ["sh", "-c", "while grep -qs '^State:.Z' /proc/[0-9]*/status; do :; done"]) as waiting:
        assert waiting.wait() == 0


def test_all_processes_of_a_node_end_with_its_namespace(make_node: NodeMaker) -> None:
    node = make_node()
    process = spawn(node, ["sh", "-c", "sleep 1000 & echo started; wait"])
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    sandbox_of(node).close()
    assert process.returncode == -signal.SIGKILL
    # End of file: the grandchild, which holds the other end, is gone too.
    assert process.stdout.read() == b""
    process.communicate()


def test_a_node_whose_first_process_was_killed_says_so(make_node: NodeMaker) -> None:
    node = make_node("n7")
    pidfd = sandbox_of(node)._pidfd
    assert pidfd is not None
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
    with pytest.raises(LabError, match="n7: its first process was killed"):
        run_command(node, ["true"])


def test_a_sandbox_that_has_ended_runs_nothing(make_node: NodeMaker) -> None:
    node = make_node("n8")
    sandbox_of(node).close()
    with pytest.raises(LabError, match="n8 has ended"):
        run_command(node, ["true"])


def test_no_process_survives_kill_9_of_the_supervisor(a_machine: Path) -> None:
    program = """
        process = processes.spawn(node, ["sh", "-c", "sleep 1000 & echo started; wait"], stderr=None)
        process.stdout.readline()
        os.kill(os.getpid(), 9)
    """
    # run() returns when everyone who holds standard error is gone: the supervisor,
    # the command and the grandchild. A survivor would hold it for a thousand seconds.
    result = run_on_machine(a_machine, program)
    assert result.returncode == -signal.SIGKILL, result.stderr


@pytest.mark.parametrize("with_overlay", [True, False], ids=["overlay", "copy"])
@pytest.mark.parametrize("resolv_conf", ["file", "missing", "dangling link", "link", "mount"])
def test_every_shape_of_the_machines_etc_gives_the_node_its_own(
    a_machine: Path, tmp_path: Path, resolv_conf: str, with_overlay: bool
) -> None:
    path, target = a_machine / "resolv.conf", tmp_path / "stub-resolv.conf"
    target.write_text("nameserver 127.0.0.53\n")
    if resolv_conf in {"file", "mount"}:
        path.write_text("nameserver 192.0.2.1\n")
        (a_machine / "hosts").write_text("127.0.0.1 localhost\n")
    if "link" in resolv_conf:
        path.symlink_to("/run/no-such-folder/stub-resolv.conf" if "dangling" in resolv_conf else target)
    program = f"""
        if {resolv_conf == "mount"}:
            mount({str(target)!r}, "/etc/resolv.conf", flags=MS_BIND)
        node.sandbox = Sandbox(node.namespace, files, with_overlay={with_overlay})
        for name, content in files.written().items():
            assert run("cat", f"/etc/{{name}}") == content
        assert run("cat", "/etc/passwd", "/etc/ssl/certificate").endswith("certificate\\n")
        assert run("readlink", "/etc/mtab") == "../proc/self/mounts\\n"
        kinds = [line.split(" - ")[1].split()[0] for line in run("cat", "/proc/self/mountinfo").splitlines()
                 if line.split()[4] == "/etc"]
        assert kinds[-1] == ("overlay" if {with_overlay} else "tmpfs"), kinds
        node.sandbox.close()
    """
    before = sorted(entry.name for entry in a_machine.iterdir())
    result = run_on_machine(a_machine, program)
    assert result.returncode == 0, result.stderr
    assert sorted(entry.name for entry in a_machine.iterdir()) == before
    assert target.read_text() == "nameserver 127.0.0.53\n"


def test_a_resolv_conf_that_the_machine_replaces_by_rename_stays_hidden_from_the_node(
    a_machine: Path,
) -> None:
    (a_machine / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    program = """
        assert run("cat", "/etc/resolv.conf") == files.resolv_conf
        with open("/etc/resolv.conf.new", "w") as new:
            new.write("nameserver 192.0.2.2\\n")
        os.rename("/etc/resolv.conf.new", "/etc/resolv.conf")
        assert run("cat", "/etc/resolv.conf") == files.resolv_conf
        node.namespace.close()
    """
    result = run_on_machine(a_machine, program)
    assert result.returncode == 0, result.stderr


def test_commands_of_many_threads_run_side_by_side(make_node: NodeMaker) -> None:
    node = make_node()
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda n: run_command(node, ["echo", str(n)]).stdout, range(40)))
    assert results == [f"{n}\n" for n in range(40)]


def test_the_caller_stays_in_its_own_namespaces(make_node: NodeMaker) -> None:
    def here() -> list[str]:
        kinds = ("mnt", "uts", "net", "pid_for_children")
        return [os.readlink(f"/proc/thread-self/ns/{kind}") for kind in kinds]

    before, threads = here(), threading.active_count()
    node = make_node()
    run_command(node, ["true"])
    assert here() == before
    assert node.namespace.call(lambda: here()[:2]) == before[:2]
    assert threading.active_count() <= threads + 1


def test_a_sandbox_that_cannot_be_made_leaves_nothing(make_node: NodeMaker) -> None:
    node = make_node()
    too_long = NodeFiles("", "", "x" * 65)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(LabError, match="n1"):
        Sandbox(node.namespace, too_long)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_command_stays_inside_the_root_that_ipvlab_itself_was_given(tmp_path: Path) -> None:
    """In a chroot on a mount point, entering a mount namespace leads out to the machine's own files."""
    marker = tmp_path / "machine"
    marker.mkdir()
    inner = tmp_path / "root"
    inner.mkdir()
    script = textwrap.dedent(f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        from ipvlab.lab.nodes import Node
        from ipvlab.lab.processes import run_command
        from ipvlab.linux.namespaces import THREAD, Namespace, mount, unshare
        from ipvlab.linux.namespaces import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC
        from ipvlab.linux.netlink import Netlink
        unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("/", {str(inner)!r}, flags=MS_BIND | MS_REC)
        mount("none", {str(inner) + str(marker)!r}, "tmpfs")
        os.chroot({str(inner)!r})
        os.chdir("/")
        [(fd, sock)] = THREAD.create_network(1, {{}})
        node = Node("n1", "host", Namespace("n1", fd, Netlink(sock, "n1")), hostname="n1")
        result = run_command(node, ["touch", {str(marker / "touched")!r}])
        assert result.exit_code == 0, result
        assert os.path.exists({str(marker / "touched")!r}), "the command did not run in this root"
        node.namespace.close()
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (marker / "touched").exists(), "the command wrote outside of the root it was given"
