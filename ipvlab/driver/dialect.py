"""What differs between Docker's documents and its engines: one row a dialect, and nowhere else.

A rule that all dialects share is not in this table. Each field says where the
rule is written: moby's file and the release that changed it, or the documents.
The releases read are v26.1.5, v28.2.2 and docker-v29.7.2; ``DN/`` stands for
``libnetwork/`` (``daemon/libnetwork/`` since 29.0).
"""

from __future__ import annotations

import dataclasses
from enum import Enum

from ipvlab.spec.values import Dialect


class Announcing(Enum):
    """Which addresses an endpoint announces when it starts."""

    NEVER = 0
    #: Those that another MAC of the lab had before.
    MOVED = 1
    EVERY = 2


@dataclasses.dataclass(frozen=True, slots=True)
class DialectRow:
    """The answers of one dialect to the questions on which documents and engines disagree."""

    dialect: Dialect

    # Families of a network
    #: An IPv6 subnet enables IPv6 without ``--ipv6``, and a network with only such subnets has no
    #: IPv4. Documents only; in engines such a subnet is stored and not used (S7, S8, D-IPAM-031, 033).
    subnets_choose_families: bool
    #: ``--ipv4=false`` and the options ``com.docker.network.enable_ipv4`` and ``enable_ipv6`` count
    #: (28.0, API 1.48; ``daemon/network.go``: createNetwork; D-OPT-013 to 015). Before, IPv4 stays on.
    has_family_switches: bool
    #: IPv6 without a subnet takes a unique local /64 (27.0, ``daemon.go``: deriveULABaseNetwork;
    #: D-IPAM-030). Before, no predefined pool is of that family.
    has_ula_pools: bool

    # Gateways (section 1.5)
    #: An L2 network with a parent reserves a gateway for a subnet that names none
    #: (up to 28.5; 29.0 dropped it, ``DN/drivers/ipvlan``: GetSkipGwAlloc; S2, D-IPAM-012).
    reserves_l2_gateway: bool
    #: L3, L3S and isolated networks reserve one too, that nobody routes through (up to 27.5;
    #: D-IPAM-011, 013).
    reserves_useless_gateway: bool
    #: That unwritten gateway is the first free address of the ``--ip-range`` (engines; D-IPAM-016), not
    #: of the subnet (documents).
    takes_gateway_from_range: bool
    #: ``network inspect`` shows an unwritten gateway of a written subnet (29.0 shows what is reserved,
    #: which for ipvlan is nothing; section 6.1).
    shows_implicit_gateway: bool
    #: ``network inspect`` shows a subnet of a family that is off (up to 28.5; section 6.1).
    shows_unused_subnets: bool

    # Parents
    #: ``--internal`` with a parent attaches to that parent (engines, D-OPT-011) or to an isolated one
    #: (documents).
    internal_keeps_parent: bool
    #: An L3 network without a parent has a default route, so that its own subnets reach each other
    #: (documents, and engines up to 26.0.0; S6, D-JOIN-009, 011).
    routes_l3_without_parent: bool

    # Order of checks at create (section 1.3)
    #: The driver's options are checked before the address pools (28.0 to 28.5), not after them (D-OPT-018).
    checks_options_before_pools: bool
    #: ``--config-from`` is resolved before a swarm scope is refused (28.0, ``DN/controller.go``: NewNetwork).
    reads_config_before_scope: bool
    #: The two ``com.docker.network.advertise_addr_*`` options are checked (28.0, ``DN/network_unix.go``).
    checks_advertising: bool

    # Address pools (section 3)
    #: ``--subnet 0.0.0.0/24`` and ``::/64`` ask for a pool of that size (29.0, ``defaultipam``: RequestPool).
    sizes_automatic_pools: bool
    #: An automatic pool that was given back is the next one to be given (27.0); before, the search goes on
    #: where it ended (v26.1.5 ``DN/ipam/allocator.go``: updatePredefinedStartIndex).
    reuses_pools_at_once: bool
    #: The refusal of an overlapping pool (403; 26: allocator.go returns the bare error).
    pool_overlaps: str
    #: The refusal when no automatic pool is left, and its status; ``{family}`` is ``IPv4`` or ``IPv6``.
    pools_exhausted: str
    pools_exhausted_status: int
    #: The null address driver has an IPv6 pool, which ipvlan then refuses as empty (27.0, ``ipams/null``).
    null_ipam_has_ipv6: bool
    #: The status of ``ipv4 pool is empty`` (400 since 28.0, an untyped error before).
    empty_pool_status: int

    # Names and texts at create and rm
    #: The refusal of a blank name; ``{name}`` is the name (26: ErrInvalidName quotes it).
    blank_name: str
    #: How ``--config-from`` calls what a user specified (29.0 hyphenates it).
    user_specified: str
    #: The refusal of ``network rm`` while in use: ``{network}``, ``{id}`` and ``{endpoints}``, which is
    #: ``name:"c" id:"0123456789ab"`` and so on (28.2, ``DN/error.go``: ActiveEndpointsError).
    network_in_use: str

    # Joining (sections 3.4, 4)
    #: What precedes the text of an error at container start (28.1; section 1.4).
    start_prefix: str
    #: The refusal of a static address in no subnet; ``{address}`` (29.1; D-IPAM-022).
    address_outside: str
    #: A static address is taken on a network with written subnets only (25.0 to 29.0; D-IPAM-034).
    wants_written_subnet: bool
    #: A static IPv6 address in a written subnet is accepted and ignored while the network's IPv6 is off
    #: (up to 29.0; S9, D-IPAM-032).
    ignores_unused_ipv6: bool
    #: ``gw-priority`` and the option ``endpoint.ifname`` count (28.0, API 1.48; D-OPT-022, D-JOIN-015).
    has_endpoint_wishes: bool
    #: The option ``endpoint.sysctls`` counts (27.0; D-OPT-023).
    has_endpoint_sysctls: bool
    #: An L3 network's ``default dev`` competes with other networks for the default route (28.0,
    #: ``DN/sandbox.go``; section 4.3). Before, only gateways did, and a second default failed.
    l3_competes_for_default: bool
    #: Which addresses an L2 endpoint announces (29.3, ``DN/osl/interface_linux.go``: it looks for the MAC
    #: on the link; before, an ipvlan endpoint had none recorded and was silent; D-JOIN-019, 020). The
    #: documents say nothing of it. Their labs are as quiet as they were, but for an address that changes
    #: hands: whether it is reached would else depend on how long ago a neighbour had asked for it.
    announcing: Announcing

    # Names (section 4.5)
    #: A name that the first of several networks knows without an address of the family is looked
    #: for on the next ones (engines up to 27.5), and not just answered as empty.
    seeks_family_on_next_network: bool
    #: The host's nameservers are asked from the container's namespace (engines up to 27.5), save those
    #: that are reached from the host only; resolvconf.go: TransformForIntNS.
    asks_nameservers_in_container: bool
    #: ``resolv.conf`` says so where the host has no nameserver (28.0 and later).
    notes_missing_nameservers: bool
    #: How ``/etc/hosts`` writes the two networks that end in zeros (etchosts.go; ``fe00::0`` up to 27.5).
    hosts_zeros: str


#: What the documents promise. Where they are silent it is as 29 does.
DOCS = DialectRow(
    dialect=Dialect.DOCS,
    subnets_choose_families=True,
    has_family_switches=True,
    has_ula_pools=True,
    reserves_l2_gateway=True,
    reserves_useless_gateway=False,
    takes_gateway_from_range=False,
    shows_implicit_gateway=False,
    shows_unused_subnets=True,
    internal_keeps_parent=False,
    routes_l3_without_parent=True,
    checks_options_before_pools=False,
    reads_config_before_scope=True,
    checks_advertising=True,
    sizes_automatic_pools=True,
    reuses_pools_at_once=True,
    pool_overlaps="invalid pool request: Pool overlaps with other one on this address space",
    pools_exhausted="all predefined address pools have been fully subnetted",
    pools_exhausted_status=400,
    null_ipam_has_ipv6=True,
    empty_pool_status=400,
    blank_name="invalid name: name is empty",
    user_specified="user-specified",
    network_in_use="network {network} has active endpoints ({endpoints})",
    start_prefix="failed to set up container networking: ",
    address_outside="no configured subnet contains IP address {address}",
    wants_written_subnet=False,
    ignores_unused_ipv6=False,
    has_endpoint_wishes=True,
    has_endpoint_sysctls=True,
    l3_competes_for_default=True,
    announcing=Announcing.MOVED,
    seeks_family_on_next_network=False,
    asks_nameservers_in_container=False,
    notes_missing_nameservers=True,
    hosts_zeros="::",
)

#: What 29.7 does.
DOCKER_29 = dataclasses.replace(
    DOCS,
    dialect=Dialect.DOCKER_29,
    subnets_choose_families=False,
    reserves_l2_gateway=False,
    takes_gateway_from_range=True,
    shows_implicit_gateway=True,
    shows_unused_subnets=False,
    internal_keeps_parent=True,
    routes_l3_without_parent=False,
    announcing=Announcing.EVERY,
)

#: What 28.2 does, by its differences from 29.7.
DOCKER_28 = dataclasses.replace(
    DOCKER_29,
    dialect=Dialect.DOCKER_28,
    reserves_l2_gateway=True,
    shows_implicit_gateway=False,
    shows_unused_subnets=True,
    checks_options_before_pools=True,
    sizes_automatic_pools=False,
    user_specified="user specified",
    address_outside="no configured subnet or ip-range contain the IP address {address}",
    wants_written_subnet=True,
    ignores_unused_ipv6=True,
    announcing=Announcing.NEVER,
)

#: What 26.1 does, by its differences from 28.2.
DOCKER_26 = dataclasses.replace(
    DOCKER_28,
    dialect=Dialect.DOCKER_26,
    has_family_switches=False,
    has_ula_pools=False,
    reserves_useless_gateway=True,
    checks_options_before_pools=False,
    reads_config_before_scope=False,
    checks_advertising=False,
    reuses_pools_at_once=False,
    pool_overlaps="Pool overlaps with other one on this address space",
    pools_exhausted=(
        "could not find an available, non-overlapping {family} address pool "
        "among the defaults to assign to the network"
    ),
    pools_exhausted_status=404,
    null_ipam_has_ipv6=False,
    empty_pool_status=500,
    blank_name="invalid name: {name}",
    network_in_use="network {network} id {id} has active endpoints",
    start_prefix="",
    has_endpoint_wishes=False,
    has_endpoint_sysctls=False,
    l3_competes_for_default=False,
    seeks_family_on_next_network=True,
    asks_nameservers_in_container=True,
    notes_missing_nameservers=False,
    hosts_zeros="::0",
)

ROWS: dict[Dialect, DialectRow] = {row.dialect: row for row in (DOCS, DOCKER_26, DOCKER_28, DOCKER_29)}


def find_row(dialect: Dialect) -> DialectRow:
    """The row of a dialect."""
    return ROWS[dialect]
