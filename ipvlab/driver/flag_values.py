"""What the values of options must be like, and the client's words where they are not.

Source of the texts: Go's ``strconv``, ``net`` and ``time`` (through spf13/pflag),
docker/cli ``opts/`` and docker/go-units; measured with client 28.2.2.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import re
from collections.abc import Callable
from enum import Enum

from ipvlab.driver.options import parse_bool

#: Why a value is refused, or None.
Check = Callable[[str], str | None]


class Kind(Enum):
    """What an option takes, by the letter that declares it."""

    SWITCH = "!"
    TEXT = "="
    LIST = "+"
    SLICE = "*"
    NUMBER = "#"
    UNSIGNED = "^"
    BYTES = "@"
    DURATION = "~"

    @property
    def placeholder(self) -> str:
        """What the help shows behind the option's name."""
        return _PLACEHOLDERS[self]


_PLACEHOLDERS = {
    Kind.SWITCH: "",
    Kind.TEXT: " string",
    Kind.LIST: " list",
    Kind.SLICE: " strings",
    Kind.NUMBER: " int",
    Kind.UNSIGNED: " uint",
    Kind.BYTES: " bytes",
    Kind.DURATION: " duration",
}
_NUMBER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[1-9][0-9]*|0)")
_DURATION = re.compile(r"[+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+)")
_BYTES = re.compile(r"([0-9.]+) ?([kKmMgGtTpP]?[iI]?[bB]?)")
_MAC = re.compile(
    r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}([:-][0-9a-fA-F]{2}){0,14}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
)  # one pattern, one line
_SYSCTLS = frozenset(
    {
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
        "kernel.shmmni", "kernel.shm_rmid_forced",
    }
)  # fmt: skip
_SYSCTL_PREFIXES = ("net.", "fs.mqueue.")
_LONGEST_BITS = 64


def check_kind(kind: Kind, value: str) -> str | None:
    """Why a value is none of its kind, in Go's words."""
    match kind:
        case Kind.SWITCH if parse_bool(value) is None:
            return f'strconv.ParseBool: parsing "{value}": invalid syntax'
        case Kind.NUMBER if _NUMBER.fullmatch(value) is None:
            return f'strconv.ParseInt: parsing "{value}": invalid syntax'
        case Kind.NUMBER if not -(2 ** (_LONGEST_BITS - 1)) <= _read_int(value) < 2 ** (_LONGEST_BITS - 1):
            return f'strconv.ParseInt: parsing "{value}": value out of range'
        case Kind.UNSIGNED if _NUMBER.fullmatch(value) is None or value[0] in "+-":
            return f'strconv.ParseUint: parsing "{value}": invalid syntax'
        case Kind.BYTES if _BYTES.fullmatch(value) is None and value != "-1":
            return f"invalid size: '{value}'"
        case Kind.DURATION if _DURATION.fullmatch(value) is None:
            return f'time: invalid duration "{value}"'
        case Kind.SLICE:
            return _check_csv(value)
    return None


def read_csv(value: str) -> list[str]:
    """The parts of a comma-separated value, quotes read; an empty one has none."""
    return next(csv.reader(io.StringIO(value)), []) if value else []


def _check_csv(value: str) -> str | None:
    is_quoted = False
    for at, character in enumerate(value):
        if character != '"':
            continue
        if is_quoted:
            is_quoted = False
        elif at == 0 or value[at - 1] in ',"':
            is_quoted = True
        else:
            return f'parse error on line 1, column {at + 1}: bare " in non-quoted-field'
    if is_quoted:
        return f'parse error on line 1, column {len(value) + 1}: extraneous or missing " in quoted-field'
    return None


def _read_int(text: str) -> int:
    is_old_octal = re.fullmatch(r"[+-]?0[0-7]+", text) is not None
    return int(text, 8) if is_old_octal else int(text, 0)


def check_label(value: str) -> str | None:
    """A label needs a name (opts: ValidateLabel)."""
    if not value.partition("=")[0]:
        return f"invalid label '{value}': empty name"
    return None


def check_env(value: str) -> str | None:
    """A variable needs a name (opts: ValidateEnv)."""
    return None if value.partition("=")[0] else f"invalid environment variable: {value}"


def check_filter(value: str) -> str | None:
    """A filter is ``name=value``; an empty one is none at all (opts: FilterOpt)."""
    return None if not value or "=" in value else "bad format of filter (expected name=value)"


def check_sysctl(value: str) -> str | None:
    """Only namespaced kernel parameters may be set (opts: ValidateSysctl)."""
    name, equals, _ = value.partition("=")
    if equals and (name in _SYSCTLS or name.startswith(_SYSCTL_PREFIXES)):
        return None
    return f"sysctl '{value}' is not allowed"


def check_address(value: str) -> str | None:
    """An address without a prefix length (opts: ValidateIPAddress)."""
    return None if is_address(value.strip()) else f"IP address is not correctly formatted: {value}"


def check_extra_host(value: str) -> str | None:
    """``name:address`` or ``name=address`` (opts: ValidateExtraHost)."""
    name, equals, address = value.partition("=")
    if not equals:
        name, _, address = value.partition(":")
    if not name or not address:
        return f'bad format for add-host: "{value}"'
    address = address.removeprefix("[").removesuffix("]") if address.startswith("[") else address
    if address != "host-gateway" and not is_address(address):
        return f'invalid IP address in add-host: "{address}"'
    return None


def check_stream(value: str) -> str | None:
    """What ``--attach`` may name (container: validateAttach)."""
    if value.lower() in ("stdin", "stdout", "stderr"):
        return None
    return "valid streams are STDIN, STDOUT and STDERR"


def check_decimal(value: str) -> str | None:
    """The number of processors (opts: NanoCPUs)."""
    is_number = re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", value) is not None
    return None if is_number else f"failed to parse {value} as a rational number"


def check_ulimit(value: str) -> str | None:
    """``name=soft[:hard]`` (go-units: ParseUlimit)."""
    return None if "=" in value else f"invalid ulimit argument: {value}"


def is_address(text: str) -> bool:
    """Whether Go's ``net.ParseIP`` takes it: no prefix length, no zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_mac(text: str) -> bool:
    """Whether Go's ``net.ParseMAC`` takes it."""
    return _MAC.fullmatch(text) is not None


_NETWORK_FIELDS = frozenset(
    {"name", "alias", "driver-opt", "ip", "ip6", "link-local-ip", "mac-address", "gw-priority"}
)
_LONG_NETWORK = re.compile(r"[0-9A-Za-z_]+=[0-9A-Za-z_]+(,[0-9A-Za-z_]+=[0-9A-Za-z_]+)*")


def read_network_fields(value: str) -> list[tuple[str, str]] | None:
    """The fields of ``name=N,ip=…``, or None for a plain name (opts: NetworkOpt)."""
    if _LONG_NETWORK.search(value) is None:
        return None
    fields = []
    for part in read_csv(value):
        key, _, text = part.partition("=")
        fields.append((key.strip().lower(), text.strip()))
    return fields


def check_network(value: str) -> str | None:
    """A network's name, or fields that are known and well formed (opts: NetworkOpt)."""
    fault = _check_csv(value)
    if _LONG_NETWORK.search(value) is None or fault is not None:
        return fault
    name = ""
    for part in read_csv(value):
        key, equals, text = part.partition("=")
        if not equals or not key:
            return f"invalid field {part}"
        key, text = key.strip().lower(), text.strip()
        if key not in _NETWORK_FIELDS:
            return f"invalid field key {key}"
        if key == "driver-opt" and not (text.partition("=")[0] and "=" in text):
            return "invalid key value pair format in driver options"
        if key == "gw-priority" and _NUMBER.fullmatch(text) is None:
            return f"invalid gw-priority ({text}): invalid syntax"
        name = text if key == "name" else name
    if not name:
        return "network name/id is not specified"
    return None
