"""The scalars of a scenario file: how each is written, and what is refused in plain words.

Every validator accepts the text of a file and the finished value alike, so that
the classes can be filled from Python too, and raises :class:`ValueError` with a
sentence that reads on from the key's name ("must be …").
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt

from ipvlab.spec.values import Address, Interface, Subnet

LINK_NAME_PATTERN = r"^[^\s/:%]+$"
NODE_NAME_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"
SCENARIO_NAME_PATTERN = r"^[a-z0-9-]+$"
MAC_PATTERN = r"^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$"

#: What a pattern asks for, as the end of a sentence.
PATTERN_WORDS = {
    LINK_NAME_PATTERN: "must be an interface name: no white space, slash, colon or percent sign",
    NODE_NAME_PATTERN: "must begin with a letter or digit and go on with letters, digits, '_', '.' and '-'",
    SCENARIO_NAME_PATTERN: "must be made of lower-case letters, digits and '-'",
    MAC_PATTERN: "must be a MAC address such as 02:00:00:00:0a:00",
}

_IFNAMSIZ = 16
# The kernel's isspace() works on bytes in Latin-1, where 0xa0 is a space; so it
# refuses every UTF-8 name with that byte in it, "à" for one (dev_valid_name).
_KERNEL_SPACES = frozenset(b"\t\n\v\f\r \xa0")


def check_link_name(name: str) -> str:
    """Return a name that the kernel accepts for a link, or raise ValueError (dev_valid_name)."""
    encoded = name.encode()
    if name in (".", ".."):
        raise ValueError("must not be . or ..")
    if len(encoded) >= _IFNAMSIZ:
        raise ValueError(f"must be at most {_IFNAMSIZ - 1} bytes long, and {name!r} has {len(encoded)}")
    if any(byte in _KERNEL_SPACES or byte < 0x20 for byte in encoded):
        raise ValueError(f"holds a byte that the kernel refuses in an interface name: {name!r}")
    return name


def check_mac(text: str) -> str:
    """Return a MAC address in lower case, or raise ValueError for one that no interface can have."""
    octets = bytes.fromhex(text.replace(":", ""))
    if octets[0] & 1:
        raise ValueError(f"must be a unicast address, and {text} has the multicast bit (01) set")
    if not any(octets):
        raise ValueError("must not be all zeros")
    return text.lower()


def parse_address(written: object) -> Address:
    """Return an address without prefix length and zone, or raise ValueError."""
    if isinstance(written, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return written
    if isinstance(written, str) and "%" not in written:
        try:
            return ipaddress.ip_address(written)
        except ValueError:
            if "/" in written and _is_interface(written):
                raise ValueError(f"must be an address without a prefix length, not {written}") from None
    raise ValueError(f"must be an IPv4 or IPv6 address, not {describe(written)}")


def _is_interface(written: str) -> bool:
    try:
        ipaddress.ip_interface(written)
    except ValueError:
        return False
    return True


def parse_interface(written: object) -> Interface:
    """Return an address with its prefix length, or raise ValueError; the length is never guessed."""
    if isinstance(written, ipaddress.IPv4Interface | ipaddress.IPv6Interface):
        return written
    if isinstance(written, str) and "%" not in written and _is_interface(written):
        if "/" not in written:
            raise ValueError(f"must have a prefix length, as in {written}/{64 if ':' in written else 24}")
        return ipaddress.ip_interface(written)
    raise ValueError(
        f"must be an address with a prefix length such as 192.168.1.250/24, not {describe(written)}"
    )


def parse_subnet(written: object) -> Subnet:
    """Return a subnet without host bits, or raise ValueError that names the subnet it lies in."""
    if isinstance(written, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return written
    if isinstance(written, str) and "%" not in written and _is_interface(written):
        if "/" not in written:
            raise ValueError(f"must have a prefix length, as in {written}/{64 if ':' in written else 24}")
        whole = ipaddress.ip_interface(written)
        if whole.ip != whole.network.network_address:
            raise ValueError(f"has host bits set: {written} should be {whole.network}")
        return whole.network
    raise ValueError(f"must be a subnet such as 192.168.1.0/24, not {describe(written)}")


def parse_destination(written: object) -> Subnet | Literal["default"]:
    """Return where a route leads: ``default``, a subnet, or one address; raises ValueError."""
    if written == "default":
        return "default"
    if isinstance(written, str) and "/" not in written and "%" not in written and _is_interface(written):
        return ipaddress.ip_network(written)
    try:
        return parse_subnet(written)
    except ValueError as refusal:
        if "host bits" in str(refusal):
            raise
        raise ValueError(f"must be default, a subnet or an address, not {describe(written)}") from None


def _parse_ipv4(written: object) -> ipaddress.IPv4Address:
    address = _address_or_none(written)
    if isinstance(address, ipaddress.IPv4Address):
        return address
    raise ValueError(f"must be an IPv4 address, not {describe(written)}")


def _parse_ipv6(written: object) -> ipaddress.IPv6Address:
    address = _address_or_none(written)
    if isinstance(address, ipaddress.IPv6Address):
        return address
    raise ValueError(f"must be an IPv6 address, not {describe(written)}")


def _address_or_none(written: object) -> Address | None:
    try:
        return parse_address(written)
    except ValueError:
        return None


def describe(written: object) -> str:
    """Name a value of a file in plain words, cut to a readable length."""
    if written is None:
        return "nothing"
    if isinstance(written, bool):
        return str(written).lower()
    if isinstance(written, int | float):
        return f"the number {str(written)[:40]}"
    if isinstance(written, str):
        shown = written if len(written) <= 40 else written[:37] + "…"
        return f"the text {re.sub(r'[^ -~¡-￿]', '?', shown)!r}" if written else "an empty text"
    if isinstance(written, Mapping):
        return "a mapping"
    if isinstance(written, list | tuple):
        return "a list"
    return f"{written}"


def _one_or_many(written: object) -> object:
    if isinstance(written, str):
        return (written,)
    if isinstance(written, list | tuple):
        return written
    raise ValueError(f"must be a name or a list of names, not {describe(written)}")


def _check_any(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("must name at least one node")
    return names


def split_lines(written: object) -> object:
    """Turn a block of command lines, or a list of lines and blocks, into a tuple of raw lines."""
    if written is None:
        return ()
    if isinstance(written, str):
        return tuple(re.split(r"\r\n|\r|\n", written))
    if isinstance(written, list | tuple) and all(isinstance(item, str) for item in written):
        return tuple(line for item in written for line in re.split(r"\r\n|\r|\n", item.rstrip("\r\n")))
    raise ValueError(f"must be command lines, as a block of text or a list of texts, not {describe(written)}")


def _option_texts(written: object) -> object:
    """Compose lets option values be numbers, booleans or nothing; Docker's API has only text."""
    if isinstance(written, Mapping):
        return {key: _option_text(value) for key, value in written.items()}
    return written


def _option_text(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _label_texts(written: object) -> object:
    """Compose writes labels as a mapping or as a list of ``key=value``."""
    if isinstance(written, list | tuple) and all(isinstance(item, str) for item in written):
        return {key: value for key, _, value in (item.partition("=") for item in written)}
    return _option_texts(written)


OptionValue = str | int | float | bool | None

VlanId = Annotated[StrictInt, Field(ge=1, le=4094)]
"""An 802.1Q VLAN id; 0 and 4095 are reserved by the standard."""

LinkName = Annotated[
    str, Field(min_length=1, max_length=15, pattern=LINK_NAME_PATTERN), AfterValidator(check_link_name)
]
"""The name of a network interface: at most 15 bytes (IFNAMSIZ)."""

NodeName = Annotated[str, Field(pattern=NODE_NAME_PATTERN)]
"""The name of a host, router, container or wire."""

Mac = Annotated[str, Field(pattern=MAC_PATTERN), AfterValidator(check_mac)]
"""A unicast MAC address, kept in lower case."""

AddressText = Annotated[Address, BeforeValidator(parse_address)]
InterfaceText = Annotated[Interface, BeforeValidator(parse_interface)]
SubnetText = Annotated[Subnet, BeforeValidator(parse_subnet)]
DestinationText = Annotated[Subnet | Literal["default"], BeforeValidator(parse_destination)]
IPv4Text = Annotated[ipaddress.IPv4Address, BeforeValidator(_parse_ipv4)]
IPv6Text = Annotated[ipaddress.IPv6Address, BeforeValidator(_parse_ipv6)]

_Name = Annotated[str, Field(min_length=1)]

Names = Annotated[
    tuple[_Name, ...],
    BeforeValidator(
        _one_or_many, json_schema_input_type=_Name | Annotated[tuple[_Name, ...], Field(min_length=1)]
    ),
    AfterValidator(_check_any),
]
"""A name, or a list of names."""

Lines = Annotated[
    tuple[str, ...], BeforeValidator(split_lines, json_schema_input_type=str | tuple[str, ...] | None)
]
"""A block of command lines, or a list of them; kept as raw lines."""

Options = Annotated[
    dict[str, str], BeforeValidator(_option_texts, json_schema_input_type=dict[str, OptionValue])
]
"""Option names and their values, as text."""

Labels = Annotated[
    dict[str, str],
    BeforeValidator(_label_texts, json_schema_input_type=dict[str, OptionValue] | tuple[str, ...]),
]
"""Labels, as a mapping or a list of ``key=value``."""

#: How the reference names these types; compared in this order.
TYPE_WORDS: tuple[tuple[object, str], ...] = (
    (VlanId, "VLAN id, 1 to 4094"),
    (LinkName, "interface name"),
    (NodeName, "name"),
    (Mac, "MAC address"),
    (AddressText, "address"),
    (InterfaceText, "address/length"),
    (SubnetText, "subnet"),
    (DestinationText, "`default`, subnet or address"),
    (IPv4Text, "IPv4 address"),
    (IPv6Text, "IPv6 address"),
    (Names, "name or list of names"),
    (Lines, "block or list of command lines"),
    (Options, "mapping of option to text"),
    (Labels, "mapping of label to text, or list of `label=text`"),
)
