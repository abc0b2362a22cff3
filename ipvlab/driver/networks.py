"""The networks of one host: created, found, removed, and there again after their engine restarted.

Source of the order of steps: moby ``daemon/network.go``: createNetwork, libnetwork
``controller.go``: NewNetwork, ``drivers/ipvlan/ipvlan_network.go``: CreateNetwork.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType

from ipvlab.driver.configurations import apply_configuration, check_configuration
from ipvlab.driver.creating import (
    PREDEFINED,
    WantedNetwork,
    check_driver,
    check_scope,
    effective_parent,
    held_configs,
    hold_pools,
    read_request,
)
from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.finding import find_thing
from ipvlab.driver.ipam import AddressSpace
from ipvlab.driver.options import DriverOptions, read_options
from ipvlab.driver.parents import NO_PARENT, find_parent, remove_parent
from ipvlab.driver.port import HostPort
from ipvlab.driver.requests import NetworkRequest
from ipvlab.driver.state import SHORT_ID, IdSource, Network
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Flag, Mode, Subnet


class Networks:
    """The ipvlan networks of one host, and the address space that they share.

    A network that is refused, by Docker's rules or by the machine, leaves neither
    link nor pool.
    """

    def __init__(
        self,
        host: str,
        port: HostPort,
        row: DialectRow,
        ids: IdSource,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self._port = port
        self._row = row
        self._ids = ids
        self._clock = clock
        self.space = AddressSpace(host, row)
        self._networks: dict[str, Network] = {}

    @property
    def all(self) -> Mapping[str, Network]:
        """The networks by name, in the order of creation, those that only hold settings included."""
        return MappingProxyType(self._networks)

    def held_addresses(self) -> dict[Subnet, int]:
        """How many addresses of each held subnet are taken: reserved, gateway, auxiliary and containers'."""
        return self.space.count_taken()

    def find(self, reference: str) -> Network:
        """The network of a full id, a name, or the beginning of an id, in this order; 404 or 400 else."""
        return find_thing(self._networks, reference, "network", f"network {reference} not found")

    def create(self, request: NetworkRequest) -> Network:
        """Create a network: check, hold its pools, read the driver's options, find or make the parent.

        The order decides which of several errors is told.
        """
        wanted = read_request(request, self._row)
        if request.name in self._networks:
            raise DriverRefusal(f"network with name {request.name} already exists", status=409)
        check_configuration(wanted, self._row)
        if request.is_config_only:
            return self._store_configuration(wanted)
        check_driver(request)
        if self._row.reads_config_before_scope:
            wanted = apply_configuration(wanted, self._networks)
        check_scope(request)
        if not self._row.reads_config_before_scope:
            wanted = apply_configuration(wanted, self._networks)
        if self._row.checks_options_before_pools:
            read_options(wanted.request.options)
        network_id = self._ids.next("network", request.name)
        with ExitStack() as undo:
            pools = hold_pools(self.space, wanted, self._row, self._port.on_link_subnets, undo)
            options = read_options(wanted.request.options)
            written = effective_parent(wanted.request, options, self._row)
            self._check_parent_free(written)
            parent = find_parent(self._port, written, network_id)
            undo.pop_all()
        network = Network(
            name=request.name,
            id=network_id,
            created=self._clock(),
            request=wanted.request,
            configs=held_configs(wanted, pools),
            options=options,
            parent=parent,
            pools=pools,
            has_ipv4=wanted.has_ipv4,
            has_ipv6=wanted.has_ipv6,
        )
        self._networks[network.name] = network
        return network

    def remove(self, reference: str) -> Network:
        """Remove a network, its pools, and its parent where the driver made it; 403 while it is in use."""
        if reference in PREDEFINED:
            raise DriverRefusal(f"{reference} is a pre-defined network and cannot be removed", status=403)
        network = self.find(reference)
        if network.request.is_config_only:
            if any(other.request.config_from == network.name for other in self._networks.values()):
                raise _in_use(f'configuration network "{network.name}" is in use')
        elif network.endpoints:
            users = ", ".join(
                f'name:"{name}" id:"{endpoint.id[:SHORT_ID]}"' for name, endpoint in network.endpoints.items()
            )
            raise _in_use(
                self._row.network_in_use.format(network=network.name, id=network.id, endpoints=users)
            )
        self.drop(network)
        return network

    def drop(self, network: Network) -> None:
        """Take back a network with its pools and its parent, whoever uses it; also what a caller undoes."""
        remove_parent(self._port, network.parent)
        for pool in network.pools:
            self.space.release_pool(pool)
        del self._networks[network.name]

    def keep(self, network: Network) -> None:
        """Take in a network that was there before the engine restarted; its pools are held already."""
        self._networks[network.name] = network

    def _store_configuration(self, wanted: WantedNetwork) -> Network:
        """Keep settings only: no link is made and no pool is held, and the driver is called ``null``."""
        request = dataclasses.replace(wanted.request, driver="null")
        network = Network(
            name=request.name,
            id=self._ids.next("network", request.name),
            created=self._clock(),
            request=request,
            configs=wanted.configs,
            options=DriverOptions("", Mode.L2, Flag.BRIDGE),
            parent=NO_PARENT,
            pools=(),
            has_ipv4=wanted.has_ipv4,
            has_ipv6=wanted.has_ipv6,
        )
        self._networks[network.name] = network
        return network

    def _check_parent_free(self, written: str) -> None:
        """One ipvlan network for each parent, by the text of its name (createNetwork; D-PAR-014).

        Neither mode, flag nor subnet make an exception, and the refusal calls the other
        network by the name of an isolated parent whether it has one or not.
        """
        others: Sequence[Network] = [n for n in self._networks.values() if n.parent.link == written]
        if written and others:
            other = others[0]
            raise DriverRefusal(
                f"network di-{other.id[:SHORT_ID]} is already using parent interface {written}",
                hint=f"it is network {other.name}",
            )


def _in_use(why: str) -> DriverRefusal:
    return DriverRefusal(f"error while removing network: {why}", status=403)
