"""Faults of what the program does with an endpoint's frames (``transmit_l2``, ``transmit_l3``)."""

from __future__ import annotations

from tests.selftest.mutants.mutant import Mutant
from tests.selftest.mutants.source import Edit

_LOWER_TTL = """
	if (frame->type == ETH_IPV4) {
		struct ipv4 *routed = (void *)(frame + 1);
		if ((void *)(routed + 1) > (void *)(long)skb->data_end)
			return DROP;
		u32 sum = (routed->middle[1] >> 16) + 1;
		routed->middle[1] = ((routed->middle[1] & 0xffff) - 1) | ((sum & 0xffff) + (sum >> 16)) << 16;
	}
	return redirect_neigh(port->parent, 0, 0, 0)"""

TRANSMIT_FAULTS = [
    Mutant(
        "sibling-unicast-goes-to-the-host",
        "finds no owner for what an L2 endpoint sends to a sibling, and lets the parent take it in",
        "private",
        (Edit("transmit_l2", "owner(skb, frame, number, 0)", "0"),),
    ),
    Mutant(
        "private-l2-forwards",
        "lets a private L2 parent hand unicast to a sibling",
        "private",
        (Edit("transmit_l2", "port->flag == PRIVATE ? DROP :", ""),),
    ),
    Mutant(
        "private-l3-forwards",
        "lets a private L3 parent hand unicast to a sibling",
        "private",
        (Edit("transmit_l3", "port->flag == PRIVATE ? DROP :", ""),),
    ),
    Mutant(
        "private-drops-broadcasts",
        "makes private hide broadcasts from siblings as well",
        "private",
        (
            Edit(
                "transmit_l2",
                "if (is_group(frame)) {",
                "if (is_group(frame)) { if (port->flag == PRIVATE) return DROP;",
            ),
        ),
    ),
    Mutant(
        "vepa-l2-switches-locally",
        "makes a vepa L2 parent hand unicast straight to a sibling",
        "vepa",
        (Edit("transmit_l2", "port->flag != VEPA &&", ""),),
    ),
    Mutant(
        "vepa-l3-switches-locally",
        "makes a vepa L3 parent hand unicast straight to a sibling",
        "vepa",
        (Edit("transmit_l3", "if (port->flag != VEPA)", ""),),
    ),
    Mutant(
        "host-hears-its-containers",
        "hands an endpoint's broadcast to the parent's own stack as well",
        "01-l2-one-host",
        (
            Edit(
                "transmit_l2",
                "return fan_out(",
                "clone_redirect(skb, port->parent, BPF_F_INGRESS); return fan_out(",
            ),
        ),
    ),
    Mutant(
        "host-hears-arp-of-its-containers",
        "hands an endpoint's ARP request to the parent's own stack as well",
        "01-l2-one-host",
        (
            Edit(
                "transmit_l2",
                "return fan_out(",
                "if (frame->type == ETH_ARP) clone_redirect(skb, port->parent, BPF_F_INGRESS); "
                "return fan_out(",
            ),
        ),
    ),
    Mutant(
        "own-mac-leaves-by-the-wire",
        "sends what has the endpoint's own MAC and no sibling's address out, not to the host",
        "lab",
        (Edit("transmit_l2", "redirect(port->parent, BPF_F_INGRESS)", "redirect(port->parent, 0)"),),
    ),
    Mutant(
        "pause-frames-leave",
        "sends PAUSE frames of an endpoint on",
        "packets",
        (Edit("transmit_l2", "frame->type == ETH_PAUSE", "0"),),
    ),
    Mutant(
        "l3-leaks-broadcasts",
        "fans out what an L3 endpoint sends to a group",
        "07-l3-two-subnets",
        (
            Edit(
                "transmit_l3",
                "if (is_group(frame) ||",
                "if (is_group(frame)) return fan_out(skb, number, skb->ifindex, port->parent); if (",
            ),
        ),
    ),
    Mutant(
        "l3-goes-by-mac",
        "lets the MAC decide before the address in L3",
        "packets",
        (Edit("transmit_l3", "port->flag != VEPA", "port->flag != VEPA && !is_group(frame)"),),
    ),
    Mutant(
        "l3-sends-other-ethertypes",
        "hands packets that are not IP to the wire in L3",
        "packets",
        (
            Edit(
                "transmit_l3",
                "(frame->type != ETH_IPV4 && frame->type != ETH_IPV6)",
                "0",
            ),
        ),
    ),
    Mutant(
        "l3-keeps-the-host-away",
        "does not know the host's own addresses in L3",
        "08-l3-between-hosts",
        (Edit("transmit_l3", "is_local(skb, frame, number, port->host)", "0"),),
    ),
    Mutant(
        "l3-skips-the-route-lookup",
        "puts L3 packets on the wire with the MACs that the endpoint wrote",
        "08-l3-between-hosts",
        (
            Edit(
                "transmit_l3",
                "return redirect_neigh(port->parent, 0, 0, 0)",
                "return redirect(port->parent, 0)",
            ),
        ),
    ),
    Mutant(
        "l3-lowers-the-ttl",
        "takes one from the TTL of what leaves an L3 endpoint, as forwarding would",
        "08-l3-between-hosts",
        (Edit("transmit_l3", "return redirect_neigh(port->parent, 0, 0, 0)", _LOWER_TTL),),
    ),
]
