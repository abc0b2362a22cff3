"""The ``bpf`` datapath: ipvlan for kernels that have none.

An endpoint is a veth pair whose host end lies beside the parent; sub-interfaces
and isolated parents are veth links with Docker's names, whose other end never
sees a frame, since ``8021q`` and ``dummy`` may be missing as well. Which address belongs to which endpoint is
written here and read by the programs (``ipvlan.c``).
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import AbstractContextManager

from ipvlab.datapath.base import End, Link, PortFilter
from ipvlab.datapath.bpf.detour import Detours
from ipvlab.datapath.bpf.ports import Endpoint, Port
from ipvlab.datapath.bpf.program import CompiledObject, LoadedObject, compiled_object
from ipvlab.datapath.bpf.pump import Pump
from ipvlab.datapath.bpf.tables import Tables
from ipvlab.errors import KernelRefusal, PrivilegeMissing
from ipvlab.linux import messages
from ipvlab.linux.link_settings import LINK_WITH_IPV6, for_link
from ipvlab.linux.namespaces import Namespace
from ipvlab.rules.identifiers import endpoint_link_local
from ipvlab.spec.values import Address, Flag, Interface, Mode

#: Order of the programs on a parent's ingress: tags first (the kernel looks for
#: a sub-interface before it calls ipvlan's rx handler, net/core/dev.c).
VLAN_PRIORITY, PARENT_PRIORITY = 1, 2

#: Interface indexes of a lab start here, clear of links that a kernel makes in every namespace.
FIRST_INDEX = 101


class BpfDatapath:
    """One lab's ipvlan: programs loaded once, maps shared by all hosts of the lab.

    ``compiled`` stands in for the object that ships with ipvlab; tests pass broken ones.
    Raises :class:`PrivilegeMissing` or :class:`KernelUnfit` when made where it cannot work.
    """

    name = "bpf"

    def __init__(self, compiled: CompiledObject | None = None) -> None:
        try:
            self._object = LoadedObject(compiled or compiled_object())
        except PermissionError as error:
            raise PrivilegeMissing(
                f"the bpf datapath may not load its programs ({error.strerror})",
                hint="run as root, for example: sudo ipvlab run …",
            ) from error
        self._tables = Tables(self._object)
        self._next_index = FIRST_INDEX
        self._next_port = 1
        self._hosts: dict[int, int] = {}
        #: Ports by the index of their parent, and by the index of the endpoints they carry.
        self._ports: dict[int, Port] = {}
        self._carriers: dict[int, Port] = {}
        self._classified: set[int] = set()
        #: The ports of each switch that does not look at tags yet; None for one that does.
        self._plain_ports: dict[int, list[int] | None] = {}
        #: Stand-ins that nobody has waited for yet.
        self._stand_ins: list[End] = []
        self._attached: set[tuple[int, str]] = set()
        #: Host ends of endpoints, other ends of stand-ins, taps: links that no user has asked for.
        self._means: set[int] = set()
        self._detours = Detours(self._tables, self._new_means, self._attach)

    def new_index(self) -> int:
        """An interface index that no other link of the lab has; programs tell links by it."""
        self._next_index += 1
        return self._next_index - 1

    def _new_means(self) -> int:
        index = self.new_index()
        self._means.add(index)
        return index

    def is_means(self, index: int) -> bool:
        """Whether a link of a host is there for the datapath's own sake."""
        return index in self._means

    def _host(self, namespace: Namespace) -> int:
        return self._hosts.setdefault(namespace.fd, len(self._hosts) + 1)

    def _attach(
        self, namespace: Namespace, index: int, program: str, direction: int, priority: int = 1
    ) -> None:
        if (index, program) in self._attached:
            return
        if index not in self._classified:
            try:
                namespace.netlink.request(messages.add_clsact(index), f"add clsact to link {index}")
            except KernelRefusal as refusal:
                # The kernel datapath has been at this port of a switch.
                if refusal.errno != errno.EEXIST:
                    raise
            self._classified.add(index)
        fd = self._object.programs[program]
        message = messages.add_program(index, direction, fd, program, priority)
        namespace.netlink.request(message, f"attach {program} to link {index}")
        self._attached.add((index, program))

    def add_vlan(self, host: Namespace, name: str, base: Link, vlan: int, mac: bytes | None = None) -> Link:
        """Create a stand-in for an 802.1Q link: a veth that tags on egress, fed by its base's ingress.

        Raises :class:`KernelRefusal` with EEXIST when the base has that VLAN
        already (net/8021q/vlan.c: register_vlan_dev).
        """
        if self._tables.vlan_link(base.index, vlan) is not None:
            raise KernelRefusal(
                f"add VLAN {vlan} to {base.name} in {host.name}: File exists (EEXIST)", errno=errno.EEXIST
            )
        link = Link(
            name, self.new_index(), mac or base.mac, base.mtu, kind="vlan", below=base.name, vlan=vlan
        )
        self._add_stand_in(host, link)
        self._attach(host, link.index, "vlan_out", messages.EGRESS)
        self._attach(host, base.index, "vlan_in", messages.INGRESS, VLAN_PRIORITY)
        self._tables.set_vlan(base.index, vlan, link.index)
        return link

    def add_isolated(self, host: Namespace, name: str, mac: bytes) -> Link:
        """Create a parent that leads nowhere: the program of its egress finds no link below and drops.

        Without it the other end would hand frames to the host's own stack, and
        the host would hear its containers.
        """
        link = Link(name, self.new_index(), mac, kind="isolated")
        self._add_stand_in(host, link)
        self._attach(host, link.index, "vlan_out", messages.EGRESS)
        return link

    def _add_stand_in(self, host: Namespace, link: Link) -> None:
        """A veth: its MAC can be changed, as that of 8021q and dummy links can, and that of ifb cannot.

        Its other end gives it a carrier and nothing else: programs take every frame
        before it crosses.
        """
        other = self._new_means()
        message = messages.add_veth(
            link.name, link.index, link.mac, host.fd, f"ipv{other}", other, link.mac, link.mtu
        )
        host.netlink.request(message, f"add link {link.name}")
        link.is_up = False
        self._set_up(host, other, messages.IFF_NOARP)
        self._stand_ins.append((host, link.index, (host, other)))

    def remove_link(self, host: Namespace, link: Link) -> None:
        """Delete a sub-interface or isolated parent; its endpoints go with it, wherever they are.

        ipvlan_main.c: ipvlan_device_event, NETDEV_UNREGISTER (K-OBJ-025).
        """
        host.netlink.request(messages.delete_link(link.index), f"delete link {link.name}")
        self._stand_ins = [end for end in self._stand_ins if end[1] != link.index]
        if link.kind == "vlan" and link.vlan is not None:
            below = self._tables.link_below(link.index)
            if below is not None:
                self._tables.delete_vlan(below, link.vlan, link.index)
        port = self._ports.pop(link.index, None)
        if port is not None:
            self._detours.release(port)
            for index in list(port.endpoints):
                endpoint = self._forget_endpoint(port, index)
                message = messages.delete_link(endpoint.host_end)
                host.netlink.request(message, f"delete an endpoint with {link.name}")
            self._tables.delete_port_of(link.index)
            self._tables.delete_port(port.number)

    def _port(self, host: Namespace, parent: Link, mode: Mode, flag: Flag) -> Port:
        port = self._ports.get(parent.index)
        if port is None:
            port = Port(self._next_port, self._host(host), host, parent, mode, flag, parent.mac, parent.mtu)
            self._next_port += 1
            self._attach(host, parent.index, "parent_in", messages.INGRESS, PARENT_PRIORITY)
            self._tables.set_port_of(parent.index, port.number)
            self._ports[parent.index] = port
            for address in parent.addresses:
                if not _is_of_whole_host(address):
                    self._tables.set_local(port.number, address.ip)
        # Adding a slave sets the mode and flags of the whole port (ipvlan_main.c: ipvlan_link_new).
        port.set_mode(self._tables, mode, flag)
        self._detours.prepare(port)
        return port

    def set_mode(self, host: Namespace, parent: Link, mode: Mode, flag: Flag | None) -> None:
        """Change mode and flag of a parent; without a flag it becomes bridge.

        iproute2 always sends the flags along with a mode, so that ``mode l2``
        alone resets them (ip/iplink_ipvlan.c; K-MODE-003).
        """
        port = self._ports[parent.index]
        port.set_mode(self._tables, mode, flag or Flag.BRIDGE)
        self._detours.prepare(port)

    def follow(self) -> list[End]:
        """Let endpoints follow their parents' MAC, MTU and carrier; the links that came up by it.

        In l3 and l3s packets follow the host's netfilter: from now on they go
        through its hooks if rules hang there, and around them if none do. Raises
        :class:`KernelUnfit` where they should and cannot.
        """
        came_up, self._stand_ins = self._stand_ins, []
        came_up += [end for port in self._ports.values() for end in port.follow(self._tables)]
        self._detours.refresh(self._ports.values())
        return came_up

    def expect_rules(self, host: Namespace) -> None:
        """Put the last chain of INPUT in place before a program can turn conntrack on."""
        self._detours.expect_rules(self._host(host), host)

    def held_pump(self) -> AbstractContextManager[Pump]:
        """Keep packets on detours where they are, but for what the holder moves himself."""
        return self._detours.pump.held()

    def add_endpoint(
        self,
        host: Namespace,
        parent: Link,
        container: Namespace,
        name: str,
        mode: Mode,
        flag: Flag,
        addresses: Sequence[Interface],
    ) -> Link:
        """Create an endpoint: up, addressed, known to the programs before its first packet.

        Raises :class:`KernelRefusal` with EADDRINUSE when a sibling has one of
        the addresses (ipvlan_main.c: ipvlan_addr4_validator_event).
        """
        port = self._port(host, parent, mode, flag)
        for address in addresses:
            self._refuse_conflict(port, container, address.ip)
        link = Link(
            name,
            self.new_index(),
            parent.mac,
            parent.mtu,
            has_arp=mode is Mode.L2,
            kind="endpoint",
            below=parent.name,
        )
        endpoint = self._add_pair(host, container, link, port)
        try:
            self._dress(host, container, link, port, endpoint, addresses)
        except BaseException:
            self.remove_endpoint(host, parent, container, link)
            raise
        return link

    def _dress(
        self,
        host: Namespace,
        container: Namespace,
        link: Link,
        port: Port,
        endpoint: Endpoint,
        addresses: Sequence[Interface],
    ) -> None:
        """Make the programs know an endpoint, then set it up and give it its addresses."""
        self._attach(host, endpoint.host_end, "endpoint_in", messages.INGRESS)
        self._tables.set_port_of(endpoint.host_end, port.number)
        self._tables.set_slot(port.number, endpoint.slot, endpoint.host_end)
        port.state(self._tables)
        if any(address.version == 6 for address in addresses):
            container.write_sysctls(for_link(link.name, LINK_WITH_IPV6))
            addresses = [*addresses, endpoint_link_local(link.mac, endpoint.device)]
        if port.has_carrier:
            self._set_up(host, endpoint.host_end, messages.IFF_NOARP)
        self._set_up(container, link.index, 0 if link.has_arp else messages.IFF_NOARP)
        for address in addresses:
            port.learn(self._tables, endpoint, address.ip)
            message = messages.change_address(link.index, address)
            container.netlink.request(message, f"add address {address} to {link.name}")
            link.addresses.append(address)

    def ends(self, host: Namespace, container: Namespace, link: Link) -> list[End]:
        """Both ends of an endpoint's pair: the first that was set up is activated later than the other."""
        return self._carriers[link.index].endpoints[link.index].ends(host)

    def _add_pair(self, host: Namespace, container: Namespace, link: Link, port: Port) -> Endpoint:
        host_end = self._new_means()
        message = messages.add_veth(
            f"ipv{host_end}", host_end, link.mac, container.fd, link.name, link.index, link.mac, link.mtu
        )
        host.netlink.request(message, f"add endpoint {link.name} of {container.name} on {port.parent.name}")
        slot = port.free.pop() if port.free else len(port.slots)
        port.slots[slot : slot + 1] = [host_end]
        endpoint = Endpoint(container, link, host_end, slot, port.next_device, set())
        port.next_device = port.next_device % 0xFFFD + 1
        port.endpoints[link.index] = endpoint
        self._carriers[link.index] = port
        return endpoint

    @staticmethod
    def _set_up(namespace: Namespace, index: int, flags: int) -> None:
        message = messages.set_flags(index, messages.IFF_UP | flags, messages.IFF_UP | messages.IFF_NOARP)
        namespace.netlink.request(message, f"set link {index} up")

    def _refuse_conflict(self, port: Port, container: Namespace, address: Address) -> None:
        if address in port.held:
            raise KernelRefusal(
                f"add address {address} in {container.name}: Address already in use (EADDRINUSE): "
                "Address already assigned to an ipvlan device.",
                errno=errno.EADDRINUSE,
                explanation="Address already assigned to an ipvlan device",
            )

    def remove_endpoint(
        self,
        host: Namespace,
        parent: Link,
        container: Namespace,
        link: Link,
        *,
        goes_with_container: bool = False,
    ) -> None:
        """Forget an endpoint and delete its pair.

        ``goes_with_container`` leaves the deletion to the container's namespace,
        which frees all its links in one go; one by one costs an RCU barrier each.
        """
        port = self._ports[parent.index]
        endpoint = self._forget_endpoint(port, link.index)
        if not port.endpoints:
            self._detours.release(port)
        if not goes_with_container:
            host.netlink.request(messages.delete_link(endpoint.host_end), f"delete endpoint {link.name}")

    def _forget_endpoint(self, port: Port, index: int) -> Endpoint:
        endpoint = port.endpoints.pop(index)
        del self._carriers[index]
        for address in list(endpoint.addresses):
            port.forget(self._tables, endpoint, address)
        self._tables.set_slot(port.number, endpoint.slot, 0)
        self._tables.delete_port_of(endpoint.host_end)
        port.slots[endpoint.slot] = None
        port.free.append(endpoint.slot)
        if not port.endpoints:
            # The last slave takes the port along, and so the numbers (ipvlan_main.c: ipvlan_port_destroy).
            port.next_device = 1
        return endpoint

    def learn_address(self, host: Namespace, link: Link, address: Interface) -> None:
        """Take note of an address: an endpoint's is matched at once, a host's own becomes local.

        ``host`` is the namespace of the host, also for the link of a container.
        """
        port = self._carriers.get(link.index)
        if port is not None:
            self._refuse_conflict(port, host, address.ip)
            port.learn(self._tables, port.endpoints[link.index], address.ip)
            return
        if _is_of_whole_host(address):
            self._tables.set_local(self._host(host), address.ip)
        elif link.index in self._ports:
            self._tables.set_local(self._ports[link.index].number, address.ip)

    def forget_address(self, host: Namespace, link: Link, address: Interface) -> None:
        """Take note that an address is gone."""
        port = self._carriers.get(link.index)
        if port is not None:
            port.forget(self._tables, port.endpoints[link.index], address.ip)
            return
        if _is_of_whole_host(address):
            self._tables.delete_local(self._host(host), address.ip)
        elif link.index in self._ports:
            self._tables.delete_local(self._ports[link.index].number, address.ip)

    def filter_port(self, switch: Namespace, index: int, port: PortFilter | None) -> None:
        """Hang the switch's programs on a port; None is a port that carries every VLAN as it comes.

        A switch looks at tags once a port asks for it.
        """
        plain = self._plain_ports.setdefault(switch.fd, [])
        if plain is None:
            self._tables.set_filter(index, port)
        elif port is None:
            plain.append(index)
        else:
            for other in plain:
                self._tables.set_filter(other, None)
            self._tables.set_filter(index, port)
            self._plain_ports[switch.fd] = None
        self._attach(switch, index, "switch_out", messages.EGRESS)
        self._attach(switch, index, "switch_in", messages.INGRESS)

    def close(self) -> None:
        """Release programs and maps; links die with their namespaces."""
        self._detours.close(self._ports.values())
        self._object.close()


def _is_of_whole_host(address: Interface) -> bool:
    """Whether the host takes an endpoint's packet to it by any parent, not by its own link alone."""
    return address.version == 6 and not address.ip.is_link_local
