"""The supervisor's side of the protocol: connections, each with its thread, and what they may ask."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import traceback
from collections.abc import Callable

from ipvlab.driver.port import CommandResult
from ipvlab.errors import IpvlabError, LabError
from ipvlab.supervisor.channel import (
    BadMessage,
    Channel,
    Message,
    describe_error,
    peer_of,
    read_size,
    read_text,
    read_words,
)
from ipvlab.supervisor.docker_lines import Going, Inside
from ipvlab.supervisor.following import Stream
from ipvlab.supervisor.standing import StandingLab

#: Connections at a time; a client that only waits costs a thread.
MOST_CONNECTIONS = 512
#: How long a server that is out of descriptors waits before it looks again, in seconds.
_BREATH = 0.1


def describe_result(result: CommandResult) -> dict[str, object]:
    """What a command printed and how it ended, as a message tells it."""
    return {"exit_code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}


class Server:
    """Serves one lab on any number of listening sockets."""

    def __init__(self, lab: StandingLab, end: Callable[[], None]) -> None:
        """``end`` is called when a client asks for the end of the lab."""
        self._lab = lab
        self._end = end
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._pause = threading.Event()

    def listen(self, listener: socket.socket) -> None:
        """Serve the connections of one more socket, which is the server's from now on."""
        threading.Thread(target=self._accept, args=(listener,), name="listener", daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            self._room.acquire()
            try:
                sock, _ = listener.accept()
            except OSError as refusal:
                self._room.release()
                if refusal.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                    # The socket went with its container.
                    return
                # Whoever holds descriptors may let go of them; until then nobody can be let in.
                self._pause.wait(_BREATH)
                continue
            threading.Thread(target=self._converse, args=(sock,), name="client", daemon=True).start()

    def _converse(self, sock: socket.socket) -> None:
        try:
            with contextlib.closing(Conversation(self._lab, Channel(sock), self._end)) as conversation:
                if peer_of(sock)[1] in (0, os.geteuid()):
                    conversation.go_on()
        except (OSError, EOFError, ValueError):
            # The client went away, or sent what is no frame, which ends it alone.
            pass
        except Exception:  # noqa: BLE001 - one client's trouble must stay its own; the log tells
            traceback.print_exc()
        finally:
            self._room.release()


class Conversation:
    """One connection: requests and answers in turn, until the client ends it."""

    def __init__(self, lab: StandingLab, channel: Channel, end: Callable[[], None]) -> None:
        self._lab = lab
        self._channel = channel
        self._end = end
        #: Nodes that the client has entered and not said to have left.
        self._entered: list[str] = []

    def go_on(self) -> None:
        """Answer requests until the client ends; a line that is no request ends the connection."""
        while True:
            try:
                message, descriptors = self._channel.receive()
            except BadMessage as bad:
                self._refuse(bad)
                return
            for fd in descriptors:
                os.close(fd)
            try:
                self._answer(message)
            except BadMessage as bad:
                self._refuse(bad)
            except IpvlabError as error:
                self._channel.send({"error": describe_error(error)})
            except (OSError, EOFError, ValueError):
                raise
            except Exception as defect:  # noqa: BLE001 - it is told, and the lab goes on
                traceback.print_exc()
                told = f"a defect of ipvlab: {type(defect).__name__}: {defect}"
                self._channel.send(
                    {"error": describe_error(LabError(told, hint="ipvlab ps -v names the log"))}
                )

    def _refuse(self, bad: BadMessage) -> None:
        self._channel.send({"error": describe_error(LabError(f"this is no request: {bad}"))})

    def _answer(self, message: Message) -> None:
        operation = read_text(message, "op")
        match operation:
            case "about":
                self._channel.send(self._lab.about())
            case "down":
                self._channel.send({})
                self._end()
            case "enter":
                argv = None if message.get("argv") is None else read_words(message, "argv")
                self._enter(read_text(message, "node"), argv)
            case "left":
                self._leave(read_text(message, "node"))
                self._channel.send({})
            case "restart":
                self._lab.restart_docker(read_text(message, "node"))
                self._channel.send({})
            case "note":
                self._lab.leave(read_text(message, "node"))
                self._channel.send({})
            case "docker":
                self._docker(message)
            case "ip":
                result = self._lab.carry_out_ip(read_text(message, "node"), read_words(message, "argv"))
                self._channel.send({} if result is None else describe_result(result))
            case "capture":
                self._capture(read_text(message, "node"), read_text(message, "interface"))
            case _:
                raise BadMessage(f"there is no operation {operation!r}")

    def _enter(self, node: str, argv: list[str] | None) -> None:
        """Let a client in; ``argv`` None is for a shell. A simulated node interprets the command."""
        if argv == ["restart", "docker"]:
            self._lab.restart_docker(node)
            self._channel.send(describe_result(CommandResult(0)))
            return
        if argv is not None and not self._lab.is_live:
            self._channel.send(describe_result(self._lab.interpret(node, argv)))
            return
        way = self._lab.enter(node, wants_shims=argv is None or argv[:1] == ["ip"])
        self._entered.append(node)
        answer = {
            "kind": way.kind,
            "has_shims": way.has_shims,
            "user_namespace": os.stat("/proc/self/ns/user").st_ino,
        }
        self._channel.send(answer, way.descriptors)

    def _leave(self, node: str) -> None:
        if node in self._entered:
            self._entered.remove(node)
        self._lab.leave(node)

    def _docker(self, message: Message) -> None:
        size = read_size(message, "size")
        outcome = self._lab.docker(
            read_text(message, "host"),
            read_words(message, "argv"),
            has_terminal=message.get("has_terminal") is True,
            can_enter=message.get("can_enter") is True,
            size=size,
        )
        if isinstance(outcome, CommandResult):
            self._channel.send(describe_result(outcome))
        elif isinstance(outcome, Going):
            self._follow(outcome, size)
        else:
            self._hand_over(outcome)

    def _follow(self, going: Going, size: tuple[int, int] | None) -> None:
        stream = Stream(self._channel.sock, self._channel.take_unread(), going, size)
        try:
            answer = {"stream": True, "takes_input": going.takes_input, "has_tty": going.has_tty}
            self._channel.send({**answer, "is_log": not going.has_status})
        finally:
            # It lets go of the program, whatever becomes of the client.
            stream.carry()

    def _hand_over(self, inside: Inside) -> None:
        from ipvlab.lab.launch import environment

        node = self._lab.node_of(inside.container)
        way = self._lab.enter(node)
        self._entered.append(node)
        answer = {
            "program": list(inside.program.argv),
            "environment": environment(inside.program, inside.container.hostname),
            "workdir": inside.program.workdir,
            "node": node,
            "user_namespace": os.stat("/proc/self/ns/user").st_ino,
        }
        self._channel.send(answer, way.descriptors)

    def _capture(self, node: str, interface: str) -> None:
        with self._lab.open_capture(node, interface) as sock:
            self._channel.send({}, (sock.fileno(),))

    def close(self) -> None:
        """End the connection; what an interrupted client did in its nodes is taken note of."""
        self._channel.close()
        for node in self._entered:
            with contextlib.suppress(IpvlabError):
                self._lab.leave(node)
