"""How long ago, and in what state: the words of ``docker ps``."""

from __future__ import annotations

import datetime

from ipvlab.driver.state import Container, ContainerState

_HOURS_OF_DAY, _HOURS_OF_WEEK, _HOURS_OF_MONTH, _HOURS_OF_YEAR = 24, 24 * 7, 24 * 30, 24 * 365


def tell_age(passed: datetime.timedelta) -> str:
    """A length of time in Docker's words (go-units: HumanDuration)."""
    seconds = int(passed.total_seconds())
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes = seconds // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = (seconds + 1800) // 3600
    if hours == 1:
        return "About an hour"
    # A unit is used from two of the next on: 47 hours, then 2 days; 13 days, then 2 weeks.
    if hours < 2 * _HOURS_OF_DAY:
        return f"{hours} hours"
    if hours < 2 * _HOURS_OF_WEEK:
        return f"{hours // _HOURS_OF_DAY} days"
    if hours < 2 * _HOURS_OF_MONTH:
        return f"{hours // _HOURS_OF_WEEK} weeks"
    if hours < 2 * _HOURS_OF_YEAR:
        return f"{hours // _HOURS_OF_MONTH} months"
    return f"{seconds // 3600 // _HOURS_OF_YEAR} years"


def tell_status(container: Container, now: datetime.datetime) -> str:
    """The STATUS of ``docker ps``: ``Up 3 seconds``, ``Exited (0) 2 minutes ago``, ``Created``.

    Source: moby ``daemon/container/state.go``: State.String.
    """
    if container.state is ContainerState.RUNNING and container.started is not None:
        return f"Up {tell_age(now - container.started)}"
    if container.started is None or container.finished is None:
        return "Created"
    return f"Exited ({container.exit_code}) {tell_age(now - container.finished)} ago"
