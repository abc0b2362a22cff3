"""What a host's networks and containers say against themselves: parents, subnets, addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from ipvlab.errors import (
    AddressOutside,
    AddressTaken,
    NetworkNotFound,
    ParentNotFound,
    ParentTaken,
    SpecError,
    SubnetOverlap,
    ValueInvalid,
)
from ipvlab.spec.findings import Findings
from ipvlab.spec.model import EndpointSpec, HostSpec, IpamConfig, NetworkSpec
from ipvlab.spec.values import Address, Dialect, Flag, Mode, Subnet
from ipvlab.spec.words import find_nearest, suggest

#: docker0's subnet; every host has Docker's predefined network ``bridge``.
BRIDGE_SUBNET = ipaddress.ip_network("172.17.0.0/16")
_PREDEFINED = ("bridge", "host", "none")


def check_networks(findings: Findings, host: str, spec: HostSpec, dialect: Dialect) -> None:
    """Check one host's networks and the places of its containers on them."""
    _check_parents(findings, host, spec, dialect)
    _check_pools(findings, host, spec)
    for name, network in spec.networks.items():
        keys = ("hosts", host, "networks", name)
        _check_choice(findings, (*keys, "driver_opts", "ipvlan_mode"), network, "mode", [*Mode])
        _check_choice(findings, (*keys, "driver_opts", "ipvlan_flag"), network, "flag", [*Flag])
        for index, pool in enumerate(network.ipam.config):
            _check_pool(findings, (*keys, "ipam", "config", index), pool)
    _check_endpoints(findings, host, spec, dialect)


def _check_choice(
    findings: Findings, keys: tuple[str, ...], network: NetworkSpec, noun: str, valid: list[Mode] | list[Flag]
) -> None:
    """Docker takes an absent or empty option for its default, and names it in the refusal."""
    written = network.driver_opts.get(keys[-1], "")
    if written and written not in valid:
        nearest = find_nearest(written, valid)
        findings.at_value(
            ValueInvalid,
            f"requested ipvlan {noun} {written!r} is not valid, "
            f"{str(valid[0])!r} {noun} is the ipvlan driver default",
            *keys,
            hint=(f"Did you mean {nearest!r}? " if nearest else "") + f"Valid: {', '.join(valid)}.",
        )


def _check_parents(findings: Findings, host: str, spec: HostSpec, dialect: Dialect) -> None:
    held: dict[str, str] = {}
    for name, network in spec.networks.items():
        keys = ("hosts", host, "networks", name, "driver_opts", "parent")
        parent = network.driver_opts.get("parent", "")
        if parent == "lo":
            findings.at_value(
                ParentNotFound,
                "loopback interface is not a valid ipvlan parent link",
                *keys,
                hint=suggest(parent, spec.interfaces, f"Interfaces of {host}"),
            )
            continue
        if not parent or (network.internal and dialect is Dialect.DOCS):
            # In `docs` an internal network gets an isolated parent and leaves the named one alone.
            continue
        if parent in held:
            findings.at_value(
                ParentTaken,
                f"network {held[parent]} is already using parent interface {parent}",
                *keys,
                hint="One ipvlan network holds a parent: use a VLAN of it, such as "
                f"{parent.partition('.')[0]}.20, or put both subnets into one network.",
            )
            continue
        held[parent] = name
        if parent not in spec.interfaces:
            _check_vlan_parent(findings, keys, parent, host, spec)


def _check_vlan_parent(
    findings: Findings, keys: tuple[str, ...], parent: str, host: str, spec: HostSpec
) -> None:
    """A parent that does not exist must be ``base.vid``; the driver makes it then (parseVlan)."""
    base, _, number = parent.partition(".")
    known = suggest(parent, spec.interfaces, f"Interfaces of {host}")
    kind: type[SpecError] = ParentNotFound
    if parent.count(".") == 0:
        what = f"invalid subinterface vlan name {parent}, example formatting is eth0.10"
    elif parent.count(".") > 1:
        what = "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, "
        what += f"instead received {parent}"
    elif not re.fullmatch(r"[-+]?[0-9]{1,18}", number):
        what = f"unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)"
    elif base == "lo":
        what = "loopback interface is not a valid ipvlan parent link"
    elif base not in spec.interfaces:
        what = f"-o parent interface was not found on the host: {base}"
        known = suggest(base, spec.interfaces, f"Interfaces of {host}")
    elif not 1 <= int(number) <= 4094:
        kind, what = ValueInvalid, f"vlan id must be between 1-4094, received: {int(number)}"
        known = "802.1Q reserves VLAN ids 0 and 4095."
    elif len(parent.encode()) > 15:
        kind, what = ValueInvalid, f"the interface name {parent} is longer than 15 bytes"
        known = f"Give {base} a shorter name."
    else:
        return
    findings.at_value(kind, what, *keys, hint=known)


def _check_pools(findings: Findings, host: str, spec: HostSpec) -> None:
    """One address space for each host: a pool overlaps no earlier one, unless it has an ip_range."""
    earlier: list[tuple[Subnet, Subnet | None, str]] = [(BRIDGE_SUBNET, None, "bridge")]
    for name, network in spec.networks.items():
        for index, pool in enumerate(network.ipam.config):
            if pool.subnet.network_address.is_unspecified:
                # It only says how large a pool the engine is to choose (29.0 and later).
                continue
            for subnet, ip_range, owner in earlier:
                # With an ip-range only the very same pair is refused (moby address_space.go).
                is_same_pair = (subnet, ip_range) == (pool.subnet, pool.ip_range)
                if subnet.overlaps(pool.subnet) and (pool.ip_range is None or is_same_pair):
                    whose = "of this network" if owner == name else f"of network {owner}"
                    findings.at_value(
                        SubnetOverlap,
                        f"the subnet {pool.subnet} overlaps {subnet} {whose} on {host}; "
                        "Pool overlaps with other one on this address space",
                        *("hosts", host, "networks", name, "ipam", "config", index, "subnet"),
                        hint="Choose another subnet, or put the containers on one network.",
                    )
                    break
            earlier.append((pool.subnet, pool.ip_range, name))


def _check_pool(findings: Findings, keys: tuple[str | int, ...], pool: IpamConfig) -> None:
    subnet = pool.subnet
    hint = f"The subnet is {subnet[0]} to {subnet[-1]}."
    if pool.gateway is not None and pool.gateway not in subnet:
        findings.at_value(
            AddressOutside,
            f"the gateway {pool.gateway} is not in the subnet {subnet}",
            *keys,
            "gateway",
            hint=hint,
        )
    if pool.ip_range is not None and not _is_within(pool.ip_range, subnet):
        findings.at_value(
            AddressOutside,
            f"the ip_range {pool.ip_range} is not in the subnet {subnet}",
            *keys,
            "ip_range",
            hint=hint,
        )
    taken: dict[Address, str] = {} if pool.gateway is None else {pool.gateway: "the gateway"}
    for name, address in pool.aux_addresses.items():
        place = (*keys, "aux_addresses", name)
        if address not in subnet:
            findings.at_value(
                AddressOutside, f"the aux address {address} is not in the subnet {subnet}", *place, hint=hint
            )
        elif address in taken:
            findings.at_value(AddressTaken, f"the address {address} is that of {taken[address]}", *place)
        taken.setdefault(address, f"the aux address {name!r}")


def _is_within(inner: Subnet, outer: Subnet) -> bool:
    return inner.version == outer.version and inner[0] in outer and inner[-1] in outer


def _check_endpoints(findings: Findings, host: str, spec: HostSpec, dialect: Dialect) -> None:
    taken: dict[str, dict[Address, str]] = {name: dict(_reserved(net)) for name, net in spec.networks.items()}
    for container, joined in spec.containers.items():
        for name, endpoint in joined.networks.items():
            keys = ("hosts", host, "containers", container, "networks", name)
            network = spec.networks.get(name)
            if network is None:
                _note_no_network(findings, keys, name, host, spec)
                continue
            for key, address in _static(endpoint):
                _check_static(findings, (*keys, key), address, network, dialect)
                other = taken[name].setdefault(address, f"container {container}")
                if other != f"container {container}":
                    findings.at_value(
                        AddressTaken,
                        f"the address {address} of {container} is that of {other} on network {name}",
                        *(*keys, key),
                        hint="Give it another address, or leave it out to have one allocated.",
                    )


def _note_no_network(findings: Findings, keys: tuple[str, ...], name: str, host: str, spec: HostSpec) -> None:
    if name in _PREDEFINED:
        hint = f"Docker's own network {name!r} carries nothing in a lab: declare an ipvlan network."
    else:
        hint = suggest(name, spec.networks, f"Networks of {host}")
        if any("network create" in line for line in spec.commands):
            hint += (
                " Networks made by `commands:` come after the containers; start them by `docker run` there."
            )
    findings.at_key(NetworkNotFound, f"{host} has no network {name!r}", *keys, hint=hint)


def _reserved(network: NetworkSpec) -> Iterator[tuple[Address, str]]:
    for pool in network.ipam.config:
        for name, address in pool.aux_addresses.items():
            yield address, f"the aux address {name!r}"
        if pool.gateway is not None:
            yield pool.gateway, "the gateway"


def _static(endpoint: EndpointSpec) -> Iterator[tuple[str, Address]]:
    if endpoint.ipv4_address is not None:
        yield "ipv4_address", endpoint.ipv4_address
    if endpoint.ipv6_address is not None:
        yield "ipv6_address", endpoint.ipv6_address


def _check_static(
    findings: Findings, keys: tuple[str, ...], address: Address, network: NetworkSpec, dialect: Dialect
) -> None:
    subnets = [pool.subnet for pool in network.ipam.config]
    same_family = [subnet for subnet in subnets if subnet.version == address.version]
    if any(address in subnet for subnet in same_family):
        return
    # A family without a written subnet is given an automatic pool, whose addresses
    # only the driver knows; in `docs` a network of IPv6 subnets alone has no IPv4.
    is_absent = address.version == 4 and dialect is Dialect.DOCS and bool(subnets)
    if same_family or is_absent:
        listed = ", ".join(str(subnet) for subnet in same_family) or f"no IPv{address.version} subnet"
        findings.at_value(
            AddressOutside,
            f"no configured subnet contains IP address {address}",
            *keys,
            hint=f"Network {keys[-2]} has {listed}.",
        )
