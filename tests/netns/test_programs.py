"""Programs of containers: on pipes and terminals, heard from the first byte, gone to the last process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ipvlab.driver.workloads import ProgramRequest
from ipvlab.errors import DriverRefusal
from ipvlab.lab.nodes import Node
from ipvlab.lab.processes import run_command
from ipvlab.lab.program import Program
from ipvlab.lab.program_log import MOST_KEPT
from ipvlab.lab.programs import Programs
from tests.netns.program_ear import Ear

NodeMaker = Callable[..., Node]
Start = Callable[..., Program]


@pytest.fixture
def programs() -> Iterator[Programs]:
    """The programs of one lab."""
    made = Programs()
    yield made
    made.close()


@pytest.fixture
def start(make_node: NodeMaker, programs: Programs) -> Start:
    """A function that starts a program in one container."""
    node = make_node("c1", "container")

    def begin(*argv: str, **options: object) -> Program:
        # mypy cannot know which options are given here.
        request = ProgramRequest(argv, **options)  # type: ignore[arg-type]
        return programs.start(node, request)

    return begin


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def test_output_and_errors_are_two_streams_and_the_exit_code_is_the_programs(start: Start) -> None:
    program = start(*shell("echo out; echo err >&2; exit 3"))
    assert program.wait() == 3
    assert {(entry.stream, entry.content) for entry in program.log} == {(1, b"out\n"), (2, b"err\n")}


def test_a_listener_that_comes_late_hears_what_was_said_before_and_then_the_end(start: Start) -> None:
    program = start(*shell("echo one; printf two; exit 4"))
    program.wait()
    ear = Ear(program)
    assert ear.exit() == 4
    assert ear.said() == b"one\ntwo"
    silent = Ear(program, replays_log=False)
    assert silent.exit() == 4
    assert silent.heard == []


def test_a_listener_in_the_middle_of_a_line_hears_all_of_it_once(start: Start) -> None:
    program = start(*shell("printf begun; read x; echo /ended"), has_stdin=True)
    Ear(program).until(b"begun")
    ear = Ear(program)
    ear.until(b"begun")
    program.write(b"\n")
    assert ear.exit() == 0
    assert ear.said() == b"begun/ended\n"


def test_a_listener_that_stopped_or_breaks_hears_no_more_and_disturbs_nobody(start: Start) -> None:
    program = start(*shell("echo one; read x; echo two"), has_stdin=True)
    stopped, ear = Ear(program), Ear(program)
    calls: list[int] = []

    def break_down(stream: int, content: bytes) -> None:
        calls.append(stream)
        raise RuntimeError("a listener is broken")

    program.listen(break_down, calls.append, replays_log=True)
    stopped.until(b"one\n")
    ear.until(b"one\n")
    stopped.stop()
    program.write(b"\n")
    assert ear.exit() == 0
    assert ear.said() == b"one\ntwo\n"
    assert stopped.said() == b"one\n"
    assert (stopped.codes, calls) == ([], [1])


def test_a_program_that_is_held_waits_with_what_it_writes_and_is_heard_whole_afterwards(start: Start) -> None:
    program = start(*shell("read x; head -c 300000 /dev/zero; echo end >&2"), has_stdin=True)
    program.hold()
    program.hold()
    ear = Ear(program)
    program.write(b"\n")
    program.release()
    # The order of one thread: what was held stays unheard by the time this listener has begun.
    Ear(program).stop()
    assert ear.heard == []
    program.release()
    assert ear.exit() == 0
    assert (len(ear.said()), ear.said(2)) == (300_000, b"end\n")


def test_input_goes_to_the_program_until_it_is_closed(start: Start) -> None:
    program = start("cat", has_stdin=True)
    program.write(b"first ")
    program.write(b"second")
    program.close_stdin()
    assert program.wait() == 0
    assert Ear(program).exit() == 0
    assert [entry.content for entry in program.log] == [b"first second"]


def test_more_input_than_a_pipe_holds_arrives_whole(start: Start) -> None:
    sent = b"".join(b"%d\n" % number for number in range(200_000))
    program = start("cksum", has_stdin=True)
    program.write(sent)
    assert program.await_room(0)
    program.close_stdin()
    assert program.wait() == 0
    assert program.log[0].content.split()[1] == b"%d" % len(sent)


def test_input_to_a_program_that_reads_none_is_dropped_at_its_end(start: Start) -> None:
    program = start(*shell("read x; exit 7"), has_stdin=True)
    program.write(b"x\n" + bytes(1 << 20))
    assert program.wait() == 7
    assert program.await_room(0)
    assert program.waiting == 0


def test_without_input_a_program_reads_the_end_at_once_and_writing_to_it_goes_nowhere(start: Start) -> None:
    program = start("cat")
    program.write(b"lost")
    assert program.wait() == 0
    assert program.log == []


def test_a_terminal_has_its_size_its_session_and_one_stream(start: Start) -> None:
    program = start(*shell("stty size; tty; ps -o tty= -p $$; echo err >&2"), has_tty=True, size=(30, 100))
    assert program.wait() == 0
    size, tty, controlling, error = [entry.content.strip().decode() for entry in program.log]
    assert (size, error) == ("30 100", "err")
    # The terminal is the session's own: ps names it by the kernel's record, not by what is open.
    assert tty == f"/dev/{controlling}"
    assert {entry.stream for entry in program.log} == {1}


def test_a_terminal_that_is_resized_tells_the_program(start: Start) -> None:
    script = "trap 'stty size' WINCH; echo ready; while :; do read x && exit; done"
    program = start(*shell(script), has_tty=True, has_stdin=True, size=(30, 100))
    ear = Ear(program)
    ear.until(b"ready")
    program.resize(41, 123)
    ear.until(b"41 123")
    program.write(b"\n")
    assert ear.exit() == 0


def test_keys_of_a_terminal_are_signals_of_the_program(start: Start) -> None:
    script = "trap 'echo caught; exit 9' INT; echo ready; read x"
    program = start(*shell(script), has_tty=True, has_stdin=True)
    ear = Ear(program)
    ear.until(b"ready")
    program.write(b"\x03")
    ear.until(b"caught")
    assert ear.exit() == 9


def test_a_shell_on_a_terminal_has_job_control(start: Start) -> None:
    program = start("/bin/sh", has_tty=True, has_stdin=True)
    ear = Ear(program)
    program.write(b"sh -c 'echo be\"\"gun; exec sleep 1000'\n")
    ear.until(b"begun")
    program.write(b"\x1a")
    ear.until(b"topped")
    program.write(b'jobs %1; echo en""ded\n')
    assert b"sleep 1000" in ear.until(b"ended").partition(b"topped")[2]
    program.signal(signal.SIGKILL)
    assert ear.exit() == 128 + signal.SIGKILL


def test_the_environment_is_dockers_and_what_was_asked_for_comes_last(start: Start) -> None:
    program = start("env", env={"A": "b", "HOME": "/elsewhere"})
    program.wait()
    found = dict(entry.content.decode().strip().split("=", 1) for entry in program.log)
    assert found.pop("PATH").startswith("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert found == {"A": "b", "HOME": "/elsewhere", "HOSTNAME": "c1"}
    on_terminal = start("env", has_tty=True)
    on_terminal.wait()
    assert b"TERM=xterm\r\n" in [entry.content for entry in on_terminal.log]


def test_signals_begin_as_the_kernel_has_them_whatever_python_ignores(start: Start) -> None:
    program = start("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status")
    program.wait()
    # 32 and 33 are glibc's own, and ignored by what posix_spawn starts (spawni.c: __spawni_child).
    masks = [int(entry.content.split()[1], 16) & ~(0b11 << 31) for entry in program.log]
    assert masks == [0, 0]


def test_no_descriptor_of_the_lab_leaks_into_a_program(start: Start) -> None:
    for options in ({}, {"has_tty": True}, {"has_stdin": True}):
        program = start("ls", "-1", "/proc/self/fd", **options)
        program.wait()
        # The fourth is the folder that is listed.
        assert sorted(int(entry.content) for entry in program.log) == [0, 1, 2, 3]


def test_a_signal_ends_a_program_with_128_and_its_number(start: Start) -> None:
    program = start("sleep", "1000")
    program.signal(signal.SIGTERM)
    assert program.wait() == 128 + signal.SIGTERM
    program.signal(signal.SIGTERM)


def test_a_program_that_ignores_a_signal_runs_on_until_it_is_killed(start: Start) -> None:
    program = start(*shell("trap 'echo no' TERM; echo ready; while :; do read x; done"), has_stdin=True)
    ear = Ear(program)
    ear.until(b"ready")
    program.signal(signal.SIGTERM)
    ear.until(b"no")
    assert program.exit_code is None
    program.signal(signal.SIGKILL)
    assert ear.exit() == 128 + signal.SIGKILL


def test_an_end_is_told_once_what_was_to_be_noted_is_noted(make_node: NodeMaker, programs: Programs) -> None:
    may_end, noted = threading.Event(), []

    def note(ended: Program) -> None:
        may_end.wait()
        noted.append(ended.status)

    program = programs.start(make_node("c1", "container"), ProgramRequest(("true",)), at_end=note)
    assert program.await_end()
    ear = Ear(program)
    assert (program.exit_code, ear.codes) == (None, [])
    may_end.set()
    assert ear.exit() == 0
    assert noted == [0]


def test_what_a_program_wrote_last_is_heard_before_its_end(start: Start) -> None:
    for options in ({}, {"has_tty": True}):
        for _ in range(20):
            program = start(*shell("i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); done"), **options)
            ear = Ear(program)
            ear.exit()
            assert ear.said().split() == [b"%d" % number for number in range(500)]


def test_a_child_that_keeps_the_output_open_does_not_hold_up_the_end(start: Start) -> None:
    program = start(*shell("sleep 1000 & echo started; exit 2"))
    assert program.wait() == 2
    assert [entry.content for entry in program.log] == [b"started\n"]


def test_a_program_that_floods_does_not_keep_others_from_being_heard(start: Start) -> None:
    flood = start("yes")
    Ear(flood, replays_log=False).until(b"y\n")
    assert [start("echo", str(number)).wait() for number in range(5)] == [0] * 5
    assert flood.exit_code is None
    flood.signal(signal.SIGKILL)
    assert flood.wait() == 128 + signal.SIGKILL
    assert sum(len(entry.content) for entry in flood.log) <= MOST_KEPT


def test_a_log_keeps_the_newest_lines_and_no_more_than_its_bound(start: Start) -> None:
    program = start(*shell("i=0; while [ $i -lt 300 ]; do head -c 9999 /dev/zero; echo $i; i=$((i+1)); done"))
    assert program.wait() == 0
    kept = [entry.content for entry in program.log]
    assert kept[-1].endswith(b"299\n")
    assert MOST_KEPT - 20_000 < sum(map(len, kept)) <= MOST_KEPT


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("no-such-program",), 'exec: "no-such-program": executable file not found in $PATH'),
        (("/no/such",), 'exec: "/no/such": stat /no/such: no such file or directory'),
        (("/etc/passwd",), 'exec: "/etc/passwd": permission denied'),
        (("/etc",), 'exec: "/etc": is a directory'),
        ((), "no command specified"),
    ],
)
def test_what_cannot_be_started_is_refused_in_the_words_of_runc(
    start: Start, argv: tuple[str, ...], words: str
) -> None:
    start("true").wait()
    descriptors = len(os.listdir("/proc/self/fd"))
    for options in ({}, {"has_tty": True}, {"has_stdin": True}):
        with pytest.raises(DriverRefusal) as refusal:
            start(*argv, **options)
        assert (refusal.value.what, refusal.value.status) == (words, 400)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_file_that_is_no_program_is_refused(start: Start) -> None:
    start(*shell("echo nonsense > /tmp/x; chmod +x /tmp/x")).wait()
    with pytest.raises(DriverRefusal, match="exec /tmp/x: exec format error"):
        start("/tmp/x")


def test_a_program_starts_in_the_folder_and_as_the_user_asked_for(start: Start) -> None:
    program = start(*shell("pwd; id -u; id -g; echo $HOME"), workdir="/usr/bin", user="nobody")
    assert program.wait() == 0
    folder, uid, gid, home = [entry.content.strip().decode() for entry in program.log]
    assert (folder, home) == ("/usr/bin", "/nonexistent")
    assert (int(uid), int(gid)) == (65534, 65534)
    numbers = start(*shell("id -u; id -g"), user="1234:77")
    numbers.wait()
    assert [entry.content for entry in numbers.log] == [b"1234\n", b"77\n"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user": "no-such-user"}, "unable to find user no-such-user: no matching entries in passwd file"),
        ({"user": "root:no-such"}, "unable to find group no-such: no matching entries in group file"),
        ({"workdir": "/no/such"}, r'chdir to cwd \("/no/such"\) set in config.json failed'),
    ],
)
def test_a_user_or_folder_that_does_not_exist_is_refused(
    start: Start, options: dict[str, str], words: str
) -> None:
    with pytest.raises(DriverRefusal, match=words):
        start("true", **options)


def test_a_shell_that_the_machine_lacks_is_the_one_that_it_has(start: Start) -> None:
    for path in ("/opt/none/sh", "/opt/none/ash", "/opt/none/bash"):
        program = start(path, "-c", "echo $((6 * 7))")
        assert program.wait() == 0
        assert [entry.content for entry in program.log] == [b"42\n"]


def test_closing_ends_every_program_and_tells_whoever_listens(make_node: NodeMaker) -> None:
    node = make_node("c1", "container")
    run_command(node, ["true"])
    descriptors = len(os.listdir("/proc/self/fd"))
    programs = Programs()
    begun = [programs.start(node, ProgramRequest(("sleep", "1000"))) for _ in range(10)]
    ears = [Ear(program) for program in begun]
    threads = threading.active_count()
    programs.close()
    programs.close()
    assert {ear.exit() for ear in ears} == {128 + signal.SIGKILL}
    assert threading.active_count() == threads - 2
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_programs_of_many_threads_keep_their_outputs_apart(make_node: NodeMaker, programs: Programs) -> None:
    node = make_node("c1", "container")

    def run(number: int) -> bytes:
        program = programs.start(node, ProgramRequest(("cat",), has_stdin=True, has_tty=number % 2 == 0))
        program.write(b"%d\n" % number)
        ear = Ear(program)
        ear.until(b"%d" % number)
        program.write(b"\x04") if number % 2 == 0 else program.close_stdin()
        assert ear.exit() == 0
        return ear.said().split()[-1]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(run, range(60))) == [b"%d" % number for number in range(60)]
