"""What ``docker run``, ``create`` and ``exec`` say of a container beside its networks.

Source of rules and texts: docker/cli ``cli/command/container/opts.go``: parse,
in the order of its checks; measured with client 28.2.2.
"""

from __future__ import annotations

import re

from ipvlab.driver.flag_values import is_mac
from ipvlab.driver.flags import Options
from ipvlab.driver.network_flags import read_network_flags
from ipvlab.driver.requests import ContainerRequest
from ipvlab.spec.values import Dialect

_PULLS = ("", "always", "missing", "never")
_REPOSITORY = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?"  # noqa: E501  # one pattern, one line
_IMAGE = re.compile(
    rf"(?:{_DOMAIN}/)?{_REPOSITORY}(?:/{_REPOSITORY})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?"
)
_CLIENT_FILES = ("env-file", "label-file", "cidfile")


def read_container_request(options: Options, dialect: Dialect) -> ContainerRequest:
    """The container that ``run`` or ``create`` asks for.

    Raises :class:`ClientFault` (exit code 125; 1 for ``-a`` with ``-d``) for what
    the client refuses after it has read every option.
    """
    image, *command = options.arguments
    _check(options)
    entry_point = options.last("entrypoint")
    program = tuple(command) if not entry_point else (entry_point, *command)
    networks = read_network_flags(options, dialect)
    _check_image(options, image)
    request = ContainerRequest(
        networks=networks,
        name=options.last("name") or None,
        hostname=options.last("hostname") or None,
        image=image,
        command=program,
        is_auto_remove=bool(options.switch("rm")),
        is_interactive=bool(options.switch("interactive")),
        is_detached=bool(options.switch("detach")),
        is_stdin_closed=not (options.switch("interactive") or options.switch("tty")),
        labels=options.pairs("label"),
        env=read_variables(options),
        has_tty=bool(options.switch("tty")),
        workdir=options.last("workdir") or "",
        user=options.last("user") or "",
        sysctls=options.pairs("sysctl"),
        dns=options.all("dns"),
        dns_search=options.all("dns-search"),
        dns_options=options.all("dns-option"),
        extra_hosts=tuple(_read_extra_host(text) for text in options.all("add-host")),
    )
    if request.is_detached and options.all("attach"):
        fault = options.verb.late_fault("")
        fault.refusal = type(fault.refusal)(
            "conflicting options: cannot specify both --attach and --detach", 1
        )
        raise fault
    return request


def _read_extra_host(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals:
        name, _, address = text.partition(":")
    return name, address.removeprefix("[").removesuffix("]")


def read_variables(options: Options) -> dict[str, str]:
    """The variables of ``-e``; a name alone asks for the client's own value, and a lab's client has none."""
    return {
        key: value for text in options.all("env") for key, _, value in [text.partition("=")] if "=" in text
    }


def _check(options: Options) -> None:
    verb = options.verb
    mac = options.last("mac-address")
    if mac and not is_mac(mac):
        raise verb.late_fault(f"{mac} is not a valid mac address")
    swappiness = options.number("memory-swappiness")
    if swappiness is not None and swappiness != -1 and not 0 <= swappiness <= 100:
        raise verb.late_fault(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    for option in _CLIENT_FILES:
        if options.last(option) is not None:
            raise verb.late_fault(f"--{option} names a file of the client, and a lab's client has no files")
    modes = {
        "pid": ("--pid: invalid PID mode", ("", "host")),
        "uts": ("--uts: invalid UTS mode", ("", "host")),
        "userns": ("--userns: invalid USER mode", ("", "host")),
        "cgroupns": ("--cgroupns: invalid CGROUP mode", ("", "host", "private")),
    }
    for option, (text, known) in modes.items():
        mode = options.last(option) or ""
        if mode not in known and not (option == "pid" and mode.startswith("container:")):
            raise verb.late_fault(text)
    policy = options.last("restart") or ""
    _, _, count = policy.partition(":")
    if count and not count.isdecimal():
        raise verb.late_fault("invalid restart policy format: maximum retry count must be an integer")
    if options.switch("no-healthcheck") and options.last("health-cmd"):
        raise verb.late_fault("--no-healthcheck conflicts with --health-* options")
    if options.switch("rm") and policy not in ("", "no"):
        raise verb.late_fault("conflicting options: cannot specify both --restart and --rm")
    pull = options.last("pull") or ""
    if pull not in _PULLS:
        raise verb.late_fault(
            f'invalid pull option: \'{pull}\': must be one of "always", "missing" or "never"'
        )


def _check_image(options: Options, image: str) -> None:
    """An image's name must be a reference (distribution/reference: ParseNormalizedNamed)."""
    if _IMAGE.fullmatch(image):
        return
    lower = image.lower()
    if _IMAGE.fullmatch(lower):
        name = re.split(r"[:@]", image, maxsplit=1)[0]
        familiar = name if "/" in name else f"library/{name}"
        raise options.verb.late_fault(
            f"invalid reference format: repository name ({familiar}) must be lowercase"
        )
    raise options.verb.late_fault("invalid reference format")
