"""Images: every valid name is one, with the machine's own files as its root; none is ever fetched.

A container may be created from any name. ``GET /images/X/json`` knows those that were
pulled or used, so that ``docker inspect`` of an unknown thing still finds nothing.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterable, Mapping, Sequence

from ipvlab.driver.api_json import image_id, normal_image
from ipvlab.driver.container_json import DEFAULT_COMMAND, DEFAULT_PATH
from ipvlab.driver.json_text import NEVER, JsonObject, moment
from ipvlab.errors import DriverRefusal

#: A lab tells one time for all images, as for the predefined networks.
_SINCE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_DEFAULT_REGISTRY = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")


class Images:
    """The images that were pulled on one host."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pulled: set[str] = set()

    def pull(self, name: str) -> str:
        """Take note of a pull; returns the name with its tag, as it is shown."""
        shown = familiar(name)
        with self._lock:
            self._pulled.add(shown)
        return shown

    def remove(self, reference: str, used: Iterable[str]) -> str:
        """Forget an image; 404 for an unknown one, 409 for one that a container uses."""
        used = {familiar(name) for name in used}
        name = self.find(reference, used)
        if name in used:
            raise DriverRefusal(
                f'conflict: unable to remove repository reference "{reference}" (must force) - '
                f"a container is using its referenced image {image_id(name)[7:19]}",
                status=409,
            )
        with self._lock:
            self._pulled.discard(name)
        return name

    def names(self, used: Iterable[str]) -> list[str]:
        """Every image that was pulled or that a container was made from."""
        with self._lock:
            return sorted(self._pulled | {familiar(name) for name in used})

    def find(self, reference: str, used: Iterable[str]) -> str:
        """The image of a name or an id (or its beginning); raises :class:`DriverRefusal` (404)."""
        wanted = familiar(reference)
        digits = reference.removeprefix("sha256:")
        for name in self.names(used):
            if name == wanted or (len(digits) >= 4 and image_id(name)[7:].startswith(digits)):
                return name
        raise DriverRefusal(f"No such image: {wanted}", status=404)


def familiar(name: str) -> str:
    """A name as Docker shows it: without the default registry, with a tag."""
    for prefix in _DEFAULT_REGISTRY:
        name = name.removeprefix(prefix)
    return normal_image(name)


def image_summary(name: str, containers: int) -> JsonObject:
    """One entry of ``GET /images/json``."""
    return {
        "Containers": containers,
        "Created": int(_SINCE.timestamp()),
        "Id": image_id(name),
        "Labels": None,
        "ParentId": "",
        "RepoDigests": [],
        "RepoTags": [name],
        "SharedSize": -1,
        "Size": 0,
    }


def image_json(name: str, platform: Mapping[str, object]) -> JsonObject:
    """The answer to ``GET /images/X/json``; ``platform`` is that of ``/version``."""
    return {
        "Id": image_id(name),
        "RepoTags": [name],
        "RepoDigests": [],
        "Parent": "",
        "Comment": "the machine's own files",
        "Created": moment(_SINCE),
        "DockerVersion": "",
        "Author": "",
        "Config": {
            "Hostname": "",
            "Domainname": "",
            "User": "",
            "AttachStdin": False,
            "AttachStdout": False,
            "AttachStderr": False,
            "Tty": False,
            "OpenStdin": False,
            "StdinOnce": False,
            "Env": [f"PATH={DEFAULT_PATH}"],
            "Cmd": list(DEFAULT_COMMAND),
            "Image": "",
            "Volumes": None,
            "WorkingDir": "/",
            "Entrypoint": None,
            "OnBuild": None,
            "Labels": None,
        },
        "Architecture": platform["Arch"],
        "Os": platform["Os"],
        "Size": 0,
        "GraphDriver": {"Data": None, "Name": "overlay2"},
        "RootFS": {"Type": "layers"},
        "Metadata": {"LastTagTime": NEVER},
    }


def pull_lines(name: str) -> Sequence[JsonObject]:
    """What a pull says: one line at its beginning and one at its end."""
    repository, _, tag = name.rpartition(":")
    return (
        {"status": f"Pulling from {repository if '/' in repository else f'library/{repository}'}", "id": tag},
        {"status": f"Status: Image is up to date for {name} (every image is the machine's own files)"},
    )
