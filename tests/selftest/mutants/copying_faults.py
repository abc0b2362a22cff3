"""Faults of copying group frames (``fanout``), of sub-interfaces (``vlan_*``) and of switch ports."""

from __future__ import annotations

from tests.selftest.mutants.mutant import Mutant
from tests.selftest.mutants.source import Edit

FAN_OUT_FAULTS = [
    Mutant(
        "fan-out-twice",
        "copies a group frame to each endpoint twice",
        "01-l2-one-host",
        (
            Edit(
                "fanout",
                "clone_redirect(skb, *host_end, 0);",
                "clone_redirect(skb, *host_end, 0), clone_redirect(skb, *host_end, 0);",
            ),
        ),
    ),
    Mutant(
        "fan-out-forgets-siblings",
        "copies a group frame to no endpoint",
        "01-l2-one-host",
        (Edit("fanout", "clone_redirect(skb, *host_end, 0);", ";"),),
    ),
    Mutant(
        "fan-out-forgets-the-wire",
        "keeps an endpoint's broadcast inside the host",
        "01-l2-one-host",
        (Edit("fanout", "return wire ? redirect(wire, 0) : PASS", "return wire ? DROP : PASS"),),
    ),
    Mutant(
        "fan-out-forgets-the-host",
        "keeps a broadcast from the wire away from the parent's own stack",
        "01-l2-one-host",
        (Edit("fanout", "return wire ? redirect(wire, 0) : PASS", "return wire ? redirect(wire, 0) : DROP"),),
    ),
    Mutant(
        "fan-out-ends-after-a-batch",
        "copies a group frame to the first 32 endpoints only",
        "many",
        (Edit("fanout", "tail_call(skb, &tails, 0);", "return wire ? redirect(wire, 0) : PASS;"),),
    ),
    Mutant(
        "sender-hears-itself",
        "copies an endpoint's broadcast back to the endpoint",
        "lab",
        (Edit("fanout", "host_end && *host_end != except", "host_end"),),
    ),
    Mutant(
        "only-broadcast-is-a-group",
        "takes multicast for unicast",
        "01-l2-one-host",
        (Edit("is_group", "*(const u8 *)frame->to & 1", "*(const u8 *)frame->to == 0xff"),),
    ),
]

TAG_FAULTS = [
    Mutant(
        "tag-is-not-stripped",
        "hands a tagged frame to the sub-interface with its tag on",
        "04-trunk-with-router",
        (Edit("vlan_in", "vlan_pop(skb) ? DROP :", ""),),
    ),
    Mutant(
        "tag-is-not-pushed",
        "sends what a sub-interface sends without a tag",
        "04-trunk-with-router",
        (Edit("vlan_out", "vlan_push(skb, ETH_VLAN, tag->vlan) ? DROP :", ""),),
    ),
    Mutant(
        "wrong-tag-is-pushed",
        "tags what a sub-interface sends with the VLAN after its own",
        "04-trunk-with-router",
        (Edit("vlan_out", "ETH_VLAN, tag->vlan", "ETH_VLAN, tag->vlan + 1"),),
    ),
    Mutant(
        "unknown-tag-is-taken",
        "takes a frame of a VLAN that no sub-interface has as an untagged one",
        "04-trunk-with-router",
        (Edit("vlan_in", "if (!link) return PASS;", "if (!link) return vlan_pop(skb) ? DROP : PASS;"),),
    ),
    Mutant(
        "isolated-parent-leaks",
        "lets frames of an isolated parent through its stand-in",
        "03-isolated-networks",
        (Edit("vlan_out", "return DROP;", "return PASS;"),),
    ),
]

SWITCH_FAULTS = [
    Mutant(
        "port-takes-foreign-vlans",
        "lets a tagged frame into a switch port that is no member of its VLAN",
        "15-switch-ports",
        (Edit("switch_in", "!is_member(filter, vlan)", "0"),),
    ),
    Mutant(
        "port-sends-foreign-vlans",
        "lets a frame leave by a switch port that is no member of its VLAN",
        "15-switch-ports",
        (Edit("switch_out", "!is_member(filter, vlan)", "0"),),
    ),
    Mutant(
        "access-port-keeps-the-tag",
        "leaves the tag on what an access port sends",
        "15-switch-ports",
        (Edit("switch_out", "is_tagged && vlan_pop(skb) ? DROP : PASS", "PASS"),),
    ),
    Mutant(
        "access-port-takes-no-vlan",
        "leaves what comes in by an access port in the untagged VLAN",
        "15-switch-ports",
        (Edit("switch_in", "filter->untagged != 1 && vlan_push(skb, ETH_VLAN, filter->untagged)", "0"),),
    ),
    Mutant(
        "trunk-takes-untagged-frames",
        "lets untagged frames into a trunk port without a native VLAN",
        "native",
        (Edit("switch_in", "if (!filter->untagged) return DROP;", "if (!filter->untagged) return PASS;"),),
    ),
    Mutant(
        "vlan-1-leaves-untagged",
        "sends VLAN 1 untagged even by a trunk port that wants it tagged",
        "native",
        (Edit("switch_out", "!is_tagged && vlan_push(skb, ETH_VLAN, vlan) ? DROP : PASS", "PASS"),),
    ),
    Mutant(
        "vlan-1-stays-tagged",
        "keeps the tag of VLAN 1 inside the switch, and at ports that carry every VLAN",
        "native",
        (
            Edit("switch_in", "vlan == 1 && vlan_pop(skb)", "0"),
            Edit("switch_out", "is_filtered ? filter->untagged : 1", "is_filtered ? filter->untagged : 0"),
        ),
    ),
    Mutant(
        "priority-tag-crosses-the-switch",
        "keeps the tag of VLAN 0 inside the switch",
        "lab",
        (Edit("switch_in", "skb->vlan_present && vlan_pop(skb)", "0"),),
    ),
    Mutant(
        "reserved-addresses-cross-the-switch",
        "lets frames to 01:80:c2:00:00:0x into the switch",
        "packets",
        (Edit("switch_in", "frame->to[0] == HTONS(0x0180)", "0"),),
    ),
]
