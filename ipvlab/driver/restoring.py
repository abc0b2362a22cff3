"""Networks as they were before their engine restarted: pools held again, parents found or made.

Source: libnetwork ``controller.go``: reservePools, ``drivers/ipvlan/ipvlan_store.go``:
populateNetworks; Docker's own store of pools is gone since 25.0.
"""

from __future__ import annotations

from ipvlab.driver.networks import Networks
from ipvlab.driver.parents import restore_parent
from ipvlab.driver.port import HostPort
from ipvlab.driver.record_forms import NetworkRecord
from ipvlab.driver.records import Records
from ipvlab.driver.state import Network
from ipvlab.errors import DriverRefusal, LabError


def restore_networks(records: Records, networks: Networks, port: HostPort) -> dict[str, Network]:
    """Take in all networks that are written down, in the order of creation; they are returned by id.

    One whose parent cannot be had is listed all the same, and can be removed;
    its containers do not start until the engine restarts with the parent there.
    """
    restored = {}
    for record in records.read_networks():
        network = _hold(record, networks)
        before = network.parent
        try:
            if not network.request.is_config_only:
                restore_parent(port, network)
        except (DriverRefusal, LabError) as refusal:
            network.is_lost = True
            records.faults.append(
                f"could not create ipvlan network for id {network.id[:7]} from persistent state: "
                f"{refusal.what}"
            )
        networks.keep(network)
        restored[network.id] = network
        if network.parent != before:
            records.note_network(network)
    return restored


def _hold(record: NetworkRecord, networks: Networks) -> Network:
    pools = tuple(
        networks.space.restore_pool(pool.config, pool.gateway, is_automatic=pool.is_automatic)
        for pool in record.pools
    )
    return Network(
        name=record.name,
        id=record.id,
        created=record.created,
        request=record.request,
        configs=record.configs,
        options=record.options,
        parent=record.parent,
        pools=pools,
        has_ipv4=record.has_ipv4,
        has_ipv6=record.has_ipv6,
    )
