"""Links that a person makes by hand beside 802.1Q ones: ``type dummy``, ``type ipvlan``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from ipvlab.driver.words import Words
from ipvlab.spec.values import Flag, Mode

_LINK_NAME = re.compile(r"[^\s/:]{1,15}")


@dataclasses.dataclass(frozen=True, slots=True)
class DummyAdd:
    """``ip link add NAME type dummy``: a link that leads nowhere."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class IpvlanAdd:
    """``ip link add link BASE name NAME type ipvlan [mode M] [FLAG]``; not part of scenario files.

    In a container whose link is an ipvlan itself, the new one is on the same
    parent (ipvlan_main.c: ipvlan_link_new). Without a mode it is l3.
    """

    base: str
    name: str
    mode: Mode = Mode.L3
    flag: Flag = Flag.BRIDGE


def parse_ipvlan_add(argv: Sequence[str]) -> IpvlanAdd | None:
    """Read ``ip link add … type ipvlan …``; None for another line.

    Raises :class:`CommandUnknown` for a line that begins like one and is none.
    """
    if "ipvlan" not in argv or argv[0] != "ip":
        return None
    words = Words([word for word in argv if word not in ("-4", "-6")])
    words.take("a command")
    if not words.take_if("link", "l", "li", "lin") or not words.take_if("add", "a", "ad"):
        return None
    base = name = None
    while not words.take_if("type"):
        if words.take_if("link"):
            base = words.take("the name of a link")
        else:
            if not words.take_if("name", "dev") and name is not None:
                raise words.refusal(f"`{words.take('its type')}` is not known here")
            name = words.take("the name of a link")
    if not words.take_if("ipvlan"):
        return None
    if base is None or name is None or not _LINK_NAME.fullmatch(name):
        raise words.refusal("it needs `link BASE` and `name NAME`")
    mode, flag = Mode.L3, Flag.BRIDGE
    while words.rest:
        word = words.take("a setting")
        if word == "mode":
            mode = _read_mode(words)
        elif word in (Flag.BRIDGE, Flag.PRIVATE, Flag.VEPA):
            flag = Flag(word)
        else:
            raise words.refusal(f"`{word}` is not known here; mode l2|l3|l3s, bridge, private and vepa are")
    return IpvlanAdd(base, name, mode, flag)


def _read_mode(words: Words) -> Mode:
    text = words.take("the mode")
    try:
        return Mode(text)
    except ValueError:
        raise words.refusal(f"`{text}` is no mode of ipvlan: l2, l3 and l3s are") from None
