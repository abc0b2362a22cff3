"""Access and trunk ports of switches: bridge VLAN filtering, or programs where the kernel lacks it."""

from __future__ import annotations

import errno

from ipvlab.datapath.base import PortFilter
from ipvlab.datapath.bpf.datapath import BpfDatapath
from ipvlab.errors import EnvironmentUnfit, KernelRefusal, KernelUnfit, LabError
from ipvlab.linux import classic, ipvlan_messages, messages
from ipvlab.linux.ipvlan_messages import BRIDGE_VLAN_PVID, BRIDGE_VLAN_UNTAGGED
from ipvlab.linux.namespaces import Namespace

#: What travels untagged inside a switch; a bridge gives it to every new port (br_vlan.c: default_pvid).
NATIVE = 1
LAST_VLAN = 4094
BRIDGE_GROUP = b"\x01\x80\xc2\x00\x00\x00"


class VlanSwitches:
    """The switches of one lab, by their namespaces; a switch looks at tags once a port asks for it."""

    def __init__(self) -> None:
        #: Plain ports of switches where no port has asked for tags yet.
        self._plain: dict[int, list[int]] = {}
        self._filtering: set[int] = set()
        self._programs: BpfDatapath | None = None

    def filter_port(self, switch: Namespace, index: int, port: PortFilter | None) -> None:
        """Make a port filter and tag as asked; None carries every VLAN as it comes.

        Raises :class:`KernelUnfit` where neither the bridge nor BPF can do it.
        """
        if self._programs is None:
            _keep_bridge_group(switch, index)
        if self._programs is not None:
            self._filter_by_programs(self._programs, switch, index, port)
        elif port is None and switch.fd not in self._filtering:
            self._plain.setdefault(switch.fd, []).append(index)
        else:
            try:
                self._filter_by_bridge(switch, index, port)
            except KernelRefusal as refusal:
                if refusal.errno != errno.EOPNOTSUPP:
                    raise
                self._programs = _load_programs()
                self._filter_by_programs(self._programs, switch, index, port)

    def _filter_by_bridge(self, switch: Namespace, index: int, port: PortFilter | None) -> None:
        words = f"set VLANs of port {index}"
        if port is None:
            switch.netlink.request(_plain_vlans(index), words)
            return
        if switch.fd not in self._filtering:
            body = switch.netlink.get(messages.get_link(index), f"read port {index}")
            bridge = ipvlan_messages.read_bridge(body)
            if bridge is None:
                raise LabError(f"link {index} of {switch.name} is no port of a bridge")
            for plain in self._plain.get(switch.fd, []):
                switch.netlink.request(_plain_vlans(plain), f"set VLANs of port {plain}")
            switch.netlink.request(ipvlan_messages.filter_vlans(bridge), "filter VLANs")
            self._plain.pop(switch.fd, None)
            self._filtering.add(switch.fd)
        vlans = port_vlans(port)
        if NATIVE not in vlans:
            away = ipvlan_messages.change_port_vlans(index, [(NATIVE, NATIVE, 0)], is_new=False)
            switch.netlink.request(away, words)
        message = ipvlan_messages.change_port_vlans(index, [(vlan, vlan, vlans[vlan]) for vlan in vlans])
        switch.netlink.request(message, words)

    def _filter_by_programs(
        self, programs: BpfDatapath, switch: Namespace, index: int, port: PortFilter | None
    ) -> None:
        for plain in self._plain.pop(switch.fd, []):
            programs.filter_port(switch, plain, None)
        programs.filter_port(switch, index, port)

    def close(self) -> None:
        """Release programs, if any were needed."""
        if self._programs is not None:
            self._programs.close()


def _keep_bridge_group(switch: Namespace, index: int) -> None:
    """Drop what is for bridges, as 802.1D has it; without STP a bridge would forward it (br_handle_frame).

    The other fifteen reserved addresses it drops itself. A kernel without cls_bpf lets
    this one pass: of no importance to anybody but spanning trees.
    """
    try:
        switch.netlink.request(messages.add_clsact(index), f"add clsact to port {index}")
    except KernelRefusal as refusal:
        # EEXIST: the port was given another filter, and keeps BPDUs already.
        if refusal.errno in (errno.EEXIST, errno.EOPNOTSUPP, errno.ENOENT):
            return
        raise
    try:
        switch.netlink.request(classic.drop_frames_to(BRIDGE_GROUP, index), f"keep BPDUs from port {index}")
    except KernelRefusal as refusal:
        if refusal.errno not in (errno.EOPNOTSUPP, errno.ENOENT):
            raise


def _load_programs() -> BpfDatapath:
    """What the first port that asks for tags needs on a kernel without CONFIG_BRIDGE_VLAN_FILTERING."""
    try:
        return BpfDatapath()
    except EnvironmentUnfit as unfit:
        raise KernelUnfit(
            "access and trunk ports need bridge VLAN filtering, which this kernel lacks, "
            f"or BPF programs: {unfit.what}",
            hint="leave `access`, `trunk` and `native` out, or run as root on a kernel with cls_bpf",
        ) from unfit


def port_vlans(port: PortFilter) -> dict[int, int]:
    """A port's VLANs and their bits: what comes untagged belongs to the access or native one."""
    vlans = dict.fromkeys(sorted(port.trunk), 0)
    untagged = port.access or port.native
    if untagged:
        vlans[untagged] = BRIDGE_VLAN_PVID | BRIDGE_VLAN_UNTAGGED
    return vlans


def _plain_vlans(index: int) -> bytearray:
    """Every VLAN as it comes: the native one untagged, all others tagged."""
    untagged = (NATIVE, NATIVE, BRIDGE_VLAN_PVID | BRIDGE_VLAN_UNTAGGED)
    return ipvlan_messages.change_port_vlans(index, [untagged, (NATIVE + 1, LAST_VLAN, 0)])
