"""Which versions of the API a host speaks: the prefix of a path, and what is refused.

Source: moby ``daemon/server/middleware/version.go``.
"""

from __future__ import annotations

import re

from ipvlab.driver.releases import Release
from ipvlab.engine_api.messages import ApiVersion
from ipvlab.errors import DriverRefusal

_PREFIX = re.compile(r"/v([0-9][0-9.]*)(/.*)")
#: ``EnableIPv4`` is heeded from here on (28.0).
KNOWS_ENABLE_IPV4: ApiVersion = (1, 48)
#: A container may be created on several networks from here on (25.0).
TAKES_SEVERAL_NETWORKS: ApiVersion = (1, 44)
#: Streams without a terminal have a content type of their own from here on (23.0).
NAMES_MULTIPLEXED: ApiVersion = (1, 42)


def split_version(path: str) -> tuple[str | None, str]:
    """The version that a path begins with, or None, and the rest of the path."""
    match = _PREFIX.fullmatch(path)
    return (match[1], match[2]) if match else (None, path)


def check_version(text: str | None, release: Release) -> ApiVersion:
    """The version of a request; without one it is the highest.

    Raises :class:`DriverRefusal` (400) outside of what the release speaks.
    """
    highest = read_version(release.api)
    if text is None:
        return highest
    version = read_version(text)
    if version < read_version(release.minimum_api):
        raise DriverRefusal(
            f"client version {text} is too old. Minimum supported API version is {release.minimum_api}, "
            "please upgrade your client to a newer version",
            status=400,
        )
    if version > highest:
        raise DriverRefusal(
            f"client version {text} is too new. Maximum supported API version is {release.api}", status=400
        )
    return version


def read_version(text: str) -> ApiVersion:
    """Major and minor of ``1.50``; what is no number counts as 0 (moby ``versions.compare``)."""
    major, _, minor = text.partition(".")
    digits = [part if part.isascii() and part.isdigit() else "0" for part in (major, minor.partition(".")[0])]
    return int(digits[0]), int(digits[1])
