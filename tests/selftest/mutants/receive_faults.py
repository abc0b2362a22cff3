"""Faults of what the program does with frames from the wire, and of finding the owner of an address."""

from __future__ import annotations

from tests.selftest.mutants.mutant import Mutant
from tests.selftest.mutants.source import Edit

RECEIVE_FAULTS = [
    Mutant(
        "l3-hears-broadcasts",
        "fans out group frames from the wire in every mode",
        "08-l3-between-hosts",
        (Edit("parent_in", "port->mode == L2 && is_group(frame)", "is_group(frame)"),),
    ),
    Mutant(
        "reflected-broadcasts-come-twice",
        "fans out again what a reflective relay brings back",
        "vepa",
        (
            Edit(
                "parent_in",
                "(is_same(frame->from, (u16 *)port->mac) && owner(skb, frame, *number, 1))",
                "0",
            ),
        ),
    ),
    Mutant(
        "reflection-is-told-by-mac-alone",
        "takes every group frame with the parent's MAC for a reflected one",
        "vepa",
        (Edit("parent_in", "&& owner(skb, frame, *number, 1)", ""),),
    ),
    Mutant(
        "l3s-swallows-arp",
        "hands ARP for an endpoint's address to the endpoint in L3S",
        "routed",
        (Edit("parent_in", "port->mode == L3S && frame->type == ETH_ARP", "0"),),
    ),
    Mutant(
        "private-shuts-the-wire-out",
        "makes private drop unicast from the wire",
        "private",
        (
            Edit(
                "parent_in",
                "return host_end ?",
                "if (host_end && port->flag == PRIVATE) return DROP; return host_end ?",
            ),
        ),
    ),
    Mutant(
        "unicast-from-the-wire-goes-to-the-host",
        "finds no owner for unicast from the wire",
        "01-l2-one-host",
        (Edit("parent_in", "u32 host_end = owner(skb, frame, *number, 0)", "u32 host_end = 0"),),
    ),
    Mutant(
        "unknown-unicast-is-flooded",
        "copies unicast for nobody's address to every endpoint",
        "lab",
        (
            Edit(
                "parent_in",
                "return host_end ? deliver(skb, host_end) : PASS",
                "if (!host_end && !is_group(frame)) return fan_out(skb, *number, 0, 0); "
                "return host_end ? deliver(skb, host_end) : PASS",
            ),
        ),
    ),
    Mutant(
        "pause-frames-are-copied",
        "fans out PAUSE frames from the wire",
        "lab",
        (Edit("parent_in", "frame->type == ETH_PAUSE ||", ""),),
    ),
    Mutant(
        "priority-tag-is-a-tag",
        "passes endpoints in L3S over for frames of VLAN 0",
        "lab",
        (Edit("parent_in", "(skb->vlan_present && (skb->vlan_tci & 0xfff))", "skb->vlan_present"),),
    ),
    Mutant(
        "foreign-mac-is-taken",
        "hands over a frame with another machine's MAC as if it were the endpoint's",
        "lab",
        (
            Edit(
                "deliver",
                "skb->pkt_type != PACKET_HOST",
                "skb->pkt_type != PACKET_HOST && skb->pkt_type != PACKET_OTHERHOST",
            ),
        ),
    ),
    Mutant(
        "foreign-mac-is-diverted",
        "hands endpoints in L3S what the parent's stack would drop for its MAC",
        "packets",
        (Edit("parent_in", "skb->pkt_type == PACKET_OTHERHOST", "0"),),
    ),
    Mutant(
        "unclaimed-host-end-is-passed-on",
        "lets frames of a link that belongs to no port go up to the host",
        "packets",
        (Edit("endpoint_in", "return DROP;", "return PASS;"),),
    ),
]

ADDRESS_FAULTS = [
    Mutant(
        "ipv6-is-not-demultiplexed",
        "knows owners of IPv4 addresses only",
        "10-ipv6-only",
        (Edit("key_of", "frame->type == ETH_IPV6", "0"),),
    ),
    Mutant(
        "arp-is-not-demultiplexed",
        "gives no ARP packet an owner",
        "01-l2-one-host",
        (Edit("key_of", "frame->type == ETH_ARP", "0"),),
    ),
    Mutant(
        "solicitations-go-by-target",
        "reads the target of a solicitation that has a source, not its destination",
        "routed",
        (
            Edit(
                "key_of",
                "u32 *address = by_source ? packet->from : packet->to; if (packet->next_header == ICMPV6 &&",
                "u32 *address = by_source ? packet->from : packet->to; "
                "struct solicitation *early = (void *)(packet + 1); "
                "if (packet->next_header == ICMPV6 && (void *)(early + 1) <= end &&"
                " early->type == NEIGHBOUR_SOLICITATION)"
                " address = early->target; else if (packet->next_header == ICMPV6 &&",
            ),
        ),
    ),
    Mutant(
        "dad-has-no-target",
        "gives a solicitation without a source no owner",
        "packets",
        (Edit("key_of", "message->type != NEIGHBOUR_SOLICITATION", "1"),),
    ),
    Mutant(
        "other-versions-are-taken",
        "reads an IPv4 address in a packet that is no IPv4",
        "packets",
        (Edit("key_of", "packet->version_length >> 4 != 4 ||", ""),),
    ),
    Mutant(
        "short-headers-are-taken",
        "reads an IPv4 address in a packet whose header ends before it",
        "packets",
        (Edit("key_of", "header < 20 ||", ""),),
    ),
    Mutant(
        "truncated-packets-are-taken",
        "believes the length of an IPv4 packet that is longer than its frame",
        "packets",
        (Edit("key_of", "total > skb->len - sizeof(*frame)", "0"),),
    ),
]
