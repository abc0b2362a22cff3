"""Which addresses an endpoint has to announce, and when the next message is due: no socket, no clock."""

from __future__ import annotations

import dataclasses

from ipvlab.driver.port import Announcement
from ipvlab.spec.values import Address


class Holders:
    """By which MAC each address of a lab's endpoints was known last."""

    def __init__(self) -> None:
        self._macs: dict[Address, bytes] = {}

    def note(self, addresses: tuple[Address, ...], mac: bytes) -> tuple[Address, ...]:
        """Take note of who has addresses now; those of them that another MAC had before."""
        moved = tuple(address for address in addresses if self._macs.get(address, mac) != mac)
        self._macs.update(dict.fromkeys(addresses, mac))
        return moved

    def choose(self, announcement: Announcement, mac: bytes) -> tuple[Address, ...]:
        """Take note of an endpoint's addresses; those that it has to announce."""
        moved = self.note(announcement.addresses, mac)
        return moved if announcement.is_for_moved else announcement.addresses


@dataclasses.dataclass(frozen=True, slots=True)
class Course:
    """What is left of an endpoint's announcements once the first is sent; times in seconds."""

    due: float
    left: int
    interval: float

    @classmethod
    def begin(cls, announcement: Announcement, now: float) -> Course | None:
        """What follows a first message that was sent ``now``; None where nothing does."""
        if announcement.count < 2:
            return None
        return cls(now + announcement.interval, announcement.count - 1, announcement.interval)

    def is_due(self, now: float) -> bool:
        """Whether a message has to be sent."""
        return now >= self.due

    def advance(self, now: float) -> Course | None:
        """What is left once a message was sent ``now``; a late one makes those behind it late."""
        if self.left < 2:
            return None
        return Course(max(self.due, now) + self.interval, self.left - 1, self.interval)
