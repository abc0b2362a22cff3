"""The commands that are not Docker's: ``ip``, ``ping``, ``exit``, ``restart docker``, as frozen values.

The grammar is closed and the same on every datapath. Who executes the values is
the lab's matter; here they are only read.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from ipvlab.driver.hand_links import DummyAdd, IpvlanAdd
from ipvlab.driver.words import Words
from ipvlab.spec.values import Address, Family, Flag, Interface, Mode, Subnet

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_LINK_NAME = re.compile(r"[^\s/:]+")
_Read = TypeVar("_Read")


@dataclasses.dataclass(frozen=True, slots=True)
class VlanAdd:
    """``ip link add link BASE name NAME type vlan id N``."""

    base: str
    name: str
    vlan: int


@dataclasses.dataclass(frozen=True, slots=True)
class LinkSet:
    """``ip link set [dev] DEV up|down|mtu N|address MAC``; None leaves a property alone."""

    device: str
    is_up: bool | None = None
    mtu: int | None = None
    mac: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class IpvlanSet:
    """``ip link set DEV type ipvlan mode M [FLAG]``, in a container; it changes the whole port."""

    device: str
    mode: Mode
    flag: Flag | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LinkDelete:
    """``ip link del DEV``."""

    device: str


@dataclasses.dataclass(frozen=True, slots=True)
class AddressAdd:
    """``ip addr add ADDR dev DEV``."""

    address: Interface
    device: str


@dataclasses.dataclass(frozen=True, slots=True)
class AddressDelete:
    """``ip addr del ADDR dev DEV``."""

    address: Interface
    device: str


@dataclasses.dataclass(frozen=True, slots=True)
class RouteAdd:
    """``ip route add DEST [via X] [dev D]``."""

    to: Subnet | Literal["default"]
    version: int
    via: Address | None = None
    device: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RouteDelete:
    """``ip route del DEST [via X] [dev D]``."""

    to: Subnet | Literal["default"]
    version: int
    via: Address | None = None
    device: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NeighbourFlush:
    """``ip neigh flush [dev D|all]``; no device means all."""

    device: str | None = None
    version: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AddressShow:
    """``ip addr show [DEV]``; no device means all, no version both families."""

    device: str | None = None
    version: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RouteShow:
    """``ip route``, ``ip -6 route``."""

    version: int = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Ping:
    """``ping`` or ``ping6``; without a count it is up to the lab, which cannot wait for ever."""

    target: str
    count: int | None = None
    #: None lets the name or address decide.
    family: Family | None = None
    ttl: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Exit:
    """``exit``: leave the container's shell."""


@dataclasses.dataclass(frozen=True, slots=True)
class RestartDocker:
    """``restart docker``: the host's driver is dropped and loaded again."""


IpCommand = (
    VlanAdd
    | DummyAdd
    | IpvlanAdd
    | LinkSet
    | IpvlanSet
    | LinkDelete
    | AddressAdd
    | AddressDelete
    | RouteAdd
    | RouteDelete
    | NeighbourFlush
    | AddressShow
    | RouteShow
    | Ping
    | Exit
    | RestartDocker
)
LINK_COMMANDS = (VlanAdd, DummyAdd, LinkSet, LinkDelete)

_OBJECTS = {
    **dict.fromkeys(("link", "l"), "link"),
    **dict.fromkeys(("address", "addr", "a"), "addr"),
    **dict.fromkeys(("route", "r", "ro"), "route"),
    **dict.fromkeys(("neighbour", "neighbor", "neigh", "n"), "neigh"),
}
_SHOW = ("show", "list", "ls", "sh")
_ADD = ("add", "a")
_DELETE = ("del", "delete", "d")


def parse_ip(argv: Sequence[str]) -> IpCommand:
    """Read one command that is not Docker's; raises :class:`ipvlab.errors.CommandUnknown`."""
    words = Words(argv)
    verb = words.take("a command")
    command: IpCommand
    if verb == "ip":
        command = _parse_ip(words)
    elif verb in ("ping", "ping6"):
        command = _parse_ping(words, Family.IPV6 if verb == "ping6" else None)
    elif verb == "exit":
        command = Exit()
    elif verb == "restart" and words.take_if("docker"):
        command = RestartDocker()
    elif verb == "$":
        raise words.refusal("write it without the prompt")
    else:
        raise words.refusal(f"`{verb}` is not a known command")
    words.finish()
    return command


def _parse_ip(words: Words) -> IpCommand:
    version = None
    while (switch := words.take_if("-4", "-6")) is not None:
        version = int(switch[1])
    name = words.take("what `ip` is about")
    match _OBJECTS.get(name):
        case "link":
            return _parse_link(words)
        case "addr":
            return _parse_addr(words, version)
        case "route":
            return _parse_route(words, version)
        case "neigh":
            return _parse_neigh(words, version)
        case _:
            raise words.refusal(f"`{name}` is not known here")


def _parse_link(words: Words) -> IpCommand:
    if words.take_if(*_ADD):
        return _parse_link_add(words)
    if words.take_if(*_DELETE):
        words.take_if("dev")
        return LinkDelete(_take_link(words))
    if words.take_if("set", "s"):
        words.take_if("dev")
        device = _take_link(words)
        return _parse_ipvlan(words, device) if words.take_if("type") else _parse_set(words, device)
    raise words.refusal("`ip link` goes on with add, set or del")


def _parse_link_add(words: Words) -> VlanAdd | DummyAdd:
    base = name = None
    while not words.take_if("type"):
        if words.take_if("link"):
            base = _take_link(words)
        else:
            if not words.take_if("name", "dev") and name is not None:
                raise words.refusal(f"`{words.take('its type')}` is not known here")
            name = _take_link(words)
    if words.take_if("dummy"):
        if name is None or base is not None:
            raise words.refusal("a dummy has a `name NAME`, and no link below it")
        return DummyAdd(name)
    if not words.take_if("vlan"):
        raise words.refusal("vlan and dummy are the types of link that can be added by hand")
    if not words.take_if("id"):
        raise words.refusal("`id N` is missing")
    vlan = _take(words, "the VLAN id", _whole)
    if not 1 <= vlan <= 4094:
        raise words.refusal(f"vlan id must be between 1-4094, received: {vlan}")
    if base is None:
        raise words.refusal("`link BASE` is missing")
    if name is None:
        raise words.refusal("`name NAME` is missing")
    return VlanAdd(base, name, vlan)


def _parse_set(words: Words, device: str) -> LinkSet:
    is_up: bool | None = None
    mtu: int | None = None
    mac: str | None = None
    while words.rest:
        match words.take("a setting"):
            case "up":
                is_up = True
            case "down":
                is_up = False
            case "mtu":
                mtu = _take(words, "the MTU", _whole)
                if not 68 <= mtu <= 65535:
                    raise words.refusal(f"an MTU is a number from 68 to 65535, not {mtu}")
            case "address" | "addr":
                mac = words.take("the MAC address").lower()
                if not _MAC.fullmatch(mac):
                    raise words.refusal(f"`{mac}` is not a MAC address")
            case other:
                raise words.refusal(f"`{other}` is not known here; up, down, mtu N and address MAC are")
    if is_up is None and mtu is None and mac is None:
        raise words.refusal("up, down, mtu N or address MAC is missing")
    return LinkSet(device, is_up, mtu, mac)


def _parse_ipvlan(words: Words, device: str) -> IpvlanSet:
    if not words.take_if("ipvlan"):
        raise words.refusal("ipvlan is the only type that can be set")
    if not words.take_if("mode"):
        raise words.refusal("`mode M` is missing")
    mode = _take(words, "the mode", Mode)
    flag = words.take_if(*Flag)
    return IpvlanSet(device, mode, None if flag is None else Flag(flag))


def _parse_addr(words: Words, version: int | None) -> IpCommand:
    is_deletion = words.take_if(*_DELETE) is not None
    # Alone, `ip a` shows; `ip a a ADDR` adds.
    if is_deletion or words.take_if(*_ADD):
        address = _take(words, "the address", ipaddress.ip_interface)
        if not words.take_if("dev"):
            raise words.refusal("`dev DEV` is missing")
        device = _take_link(words)
        return AddressDelete(address, device) if is_deletion else AddressAdd(address, device)
    words.take_if(*_SHOW)
    words.take_if("dev")
    return AddressShow(_take_link(words) if words.rest else None, version)


def _parse_route(words: Words, version: int | None) -> IpCommand:
    is_deletion = words.take_if(*_DELETE) is not None
    if not is_deletion and not words.take_if(*_ADD):
        words.take_if(*_SHOW)
        return RouteShow(version or 4)
    to: Subnet | Literal["default"]
    to = "default" if words.take_if("default") else _take(words, "the destination", ipaddress.ip_network)
    via = _take(words, "the next hop", ipaddress.ip_address) if words.take_if("via") else None
    device = _take_link(words) if words.take_if("dev") else None
    versions = {version} if version else set()
    versions |= {part.version for part in (to, via) if part is not None and part != "default"}
    if len(versions) > 1:
        raise words.refusal("it mixes IPv4 and IPv6")
    if via is None and device is None and not is_deletion:
        raise words.refusal("`via ADDRESS` or `dev DEV` is missing")
    kind = RouteDelete if is_deletion else RouteAdd
    return kind(to, versions.pop() if versions else 4, via, device)


def _parse_neigh(words: Words, version: int | None) -> NeighbourFlush:
    if not words.take_if("flush", "f"):
        raise words.refusal("`ip neigh` goes on with flush")
    if words.take_if("dev"):
        return NeighbourFlush(_take_link(words), version)
    words.take_if("all")
    return NeighbourFlush(None, version)


def _parse_ping(words: Words, family: Family | None) -> Ping:
    count = ttl = None
    target = None
    while words.rest:
        word = words.take("an option")
        option, attached = word[:2], word[2:]
        if not word.startswith("-"):
            if target is not None:
                raise words.refusal(f"`{word}` is a second target")
            target = word
        elif word in ("-4", "-6"):
            family = Family.IPV4 if word == "-4" else Family.IPV6
        elif option == "-c":
            count = _take(words, "the count", _whole, attached)
        elif option == "-t":
            ttl = _take(words, "the TTL", _whole, attached)
        elif option in ("-W", "-w", "-i"):
            # Waiting is not what a lab does: the answer is there, or its absence is proved.
            _take(words, "the seconds", float, attached)
        else:
            raise words.refusal(f"ping has no option `{word}` here")
    if target is None:
        raise words.refusal("the target is missing")
    if count is not None and not 1 <= count <= 1000:
        raise words.refusal(f"a count is a number from 1 to 1000, not {count}")
    if ttl is not None and not 1 <= ttl <= 255:
        raise words.refusal(f"a TTL is a number from 1 to 255, not {ttl}")
    return Ping(target, count, family, ttl)


def _take_link(words: Words) -> str:
    name = words.take("the name of a link")
    if not _LINK_NAME.fullmatch(name) or len(name.encode()) > 15 or name in (".", ".."):
        raise words.refusal(f"`{name}` is not the name of a link")
    return name


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _take(words: Words, what: str, read: Callable[[str], _Read], attached: str = "") -> _Read:
    text = attached or words.take(what)
    try:
        return read(text)
    except ValueError:
        raise words.refusal(f"{what} cannot be `{text}`") from None
