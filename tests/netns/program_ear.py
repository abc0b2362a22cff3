"""Hears a program as whoever attaches to it does, and waits for what it says."""

from __future__ import annotations

import threading

from ipvlab.lab.program import Program


class Ear:
    """All that a program has said, and its exit code."""

    def __init__(self, program: Program, *, replays_log: bool = True) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self.codes: list[int] = []
        self._news = threading.Condition()
        self.stop = program.listen(self._hear, self._hear_exit, replays_log=replays_log)

    def _hear(self, stream: int, content: bytes) -> None:
        with self._news:
            self.heard.append((stream, content))
            self._news.notify_all()

    def _hear_exit(self, code: int) -> None:
        with self._news:
            self.codes.append(code)
            self._news.notify_all()

    def said(self, stream: int = 1) -> bytes:
        """Everything heard of one stream."""
        return b"".join(content for each, content in self.heard if each == stream)

    def until(self, text: bytes, stream: int = 1) -> bytes:
        """Wait for the program to say something; what it said up to there. Its end ends the wait."""
        with self._news:
            self._news.wait_for(lambda: text in self.said(stream) or self.codes)
            assert text in self.said(stream), (text, self.heard, self.codes)
            return self.said(stream)

    def exit(self) -> int:
        """Wait for the program's end; its exit code."""
        with self._news:
            self._news.wait_for(lambda: self.codes)
        [code] = self.codes
        return code
