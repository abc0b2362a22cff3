"""The rules of everything around ipvlan: tags, switches, neighbours, routes, and who takes a packet in."""

from __future__ import annotations

from ipvlab.rules.rule import rule

# Tags and switches.
VLAN_OUT = rule(
    "VLAN-OUT",
    "A sub-interface sends its frames through the interface below it, with its VLAN tag.",
    "net/8021q/vlan_dev.c: vlan_dev_hard_start_xmit",
    "K-VLAN-005",
)
VLAN_IN = rule(
    "VLAN-IN",
    "A tagged frame goes to the sub-interface with that VLAN id, untagged, and to nobody else.",
    "net/core/dev.c: __netif_receive_skb_core; net/8021q/vlan_core.c: vlan_do_receive",
    "K-VLAN-004",
)
VLAN_UNKNOWN = rule(
    "VLAN-UNKNOWN",
    "A tagged frame for which there is no sub-interface reaches no socket.",
    "net/core/dev.c: __netif_receive_skb_core",
    "K-VLAN-001",
    "K-VLAN-002",
)
ISOLATED = rule(
    "ISOLATED",
    "An isolated parent leads nowhere: what is sent by it is dropped.",
    "drivers/net/dummy.c: dummy_xmit",
)
LINK_DOWN = rule(
    "LINK-DOWN",
    "A link that is down, or without carrier, carries nothing.",
    "net/core/dev.c: __dev_queue_xmit; net/sched/sch_generic.c: dev_deactivate",
    "K-OBJ-022",
    "K-OBJ-023",
    "K-OBJ-024",
)
WIRE = rule("WIRE", "What one end of a wire sends comes out at the other.", "drivers/net/veth.c: veth_xmit")
SWITCH_KNOWN = rule(
    "SWITCH-KNOWN",
    "The switch has seen that MAC address at one of its ports and sends the frame there only.",
    "net/bridge/br_input.c: br_handle_frame_finish",
)
SWITCH_FLOOD = rule(
    "SWITCH-FLOOD",
    "The switch sends a group frame, or one to a MAC address it has not seen, to every other port.",
    "net/bridge/br_forward.c: br_flood",
)
SWITCH_SAME_PORT = rule(
    "SWITCH-SAME-PORT",
    "A switch sends no frame back out of the port that it came in by, unless that is a hairpin port.",
    "net/bridge/br_forward.c: should_deliver",
    "K-VEPA-003",
)
SWITCH_FILTERED = rule(
    "SWITCH-FILTERED",
    "The switch port is no member of the frame's VLAN, so the frame dies there.",
    "net/bridge/br_vlan.c: __allowed_ingress, br_allowed_egress",
)
SWITCH_RESERVED = rule(
    "SWITCH-RESERVED",
    "Frames to 01:80:c2:00:00:0x stay on their segment.",
    "IEEE 802.1D, 7.12.6; net/bridge/br_input.c: br_handle_frame",
)

# Routing, neighbours and input of any Linux machine.
ROUTED = rule("ROUTED", "The longest matching route decides.", "net/ipv4/fib_trie.c; net/ipv6/route.c")
NO_ROUTE = rule(
    "NO-ROUTE",
    "The sender has no route to the destination.",
    "net/ipv4/route.c: ip_route_output_key_hash_rcu; net/ipv6/route.c: ip6_pol_route",
)
NEIGHBOUR_ASKED = rule(
    "NEIGHBOUR-ASKED",
    "The next hop's MAC address is not known, so everybody on the link is asked for it.",
    "net/ipv4/arp.c: arp_solicit; net/ipv6/ndisc.c: ndisc_solicit",
    "K-L3-003",
)
NO_NEIGHBOUR = rule(
    "NO-NEIGHBOUR",
    "Nobody answered for the next hop, so the packet is dropped.",
    "net/core/neighbour.c: neigh_invalidate",
    "K-L3-024",
)
NEIGHBOUR_NOARP = rule(
    "NEIGHBOUR-NOARP",
    "An endpoint in L3 or L3S asks nobody: it sends to its own MAC address.",
    "net/ipv4/arp.c: arp_constructor; net/ipv6/ndisc.c: ndisc_constructor",
    "K-L3-012",
)
ARP_ANSWERED = rule(
    "ARP-ANSWERED",
    "A machine answers ARP requests for its own addresses, whichever of its links holds them.",
    "net/ipv4/arp.c: arp_process",
    "K-L2R-007",
    "K-L2R-009",
)
ARP_IGNORED = rule(
    "ARP-IGNORED",
    "An ARP request for an address that is not the machine's is not answered.",
    "net/ipv4/arp.c: arp_process",
)
ARP_OFF = rule(
    "ARP-OFF",
    "A link without ARP (an endpoint in L3 or L3S) takes no ARP packet and answers none.",
    "net/ipv4/arp.c: arp_rcv",
    "K-L3-013",
)
NS_ANSWERED = rule(
    "NS-ANSWERED",
    "A machine answers solicitations for the addresses of the link that they came in by.",
    "net/ipv6/ndisc.c: ndisc_recv_ns",
    "K-L2R-010",
    "K-L3-016",
)
NS_IGNORED = rule(
    "NS-IGNORED",
    "A solicitation for an address that the link does not hold is not answered.",
    "net/ipv6/ndisc.c: ndisc_recv_ns",
)
DAD_CONFLICT = rule(
    "DAD-CONFLICT",
    "Somebody defends the address with an advertisement to all nodes, so a new holder may not use it.",
    "net/ipv6/ndisc.c: ndisc_recv_na; net/ipv6/addrconf.c: addrconf_dad_failure",
    "K-L2-012",
)
NEIGHBOUR_LEARNT = rule(
    "NEIGHBOUR-LEARNT",
    "An answer tells the MAC address of the neighbour.",
    "net/ipv4/arp.c: arp_process; net/ipv6/ndisc.c: ndisc_recv_na",
)
OTHER_MAC = rule(
    "OTHER-MAC",
    "A frame to another machine's MAC address is not taken.",
    "net/ipv4/ip_input.c: ip_rcv_core; net/ipv6/ip6_input.c: ip6_rcv_core",
    "K-L2R-003",
    "K-L3-026",
)
LOCAL = rule(
    "LOCAL",
    "The address is the machine's own, so the packet is for its sockets.",
    "net/ipv4/ip_input.c: ip_local_deliver; net/ipv6/ip6_input.c: ip6_input",
)
BROADCAST = rule(
    "BROADCAST",
    "The destination is 255.255.255.255, or the broadcast address of a subnet that the machine is in.",
    "net/ipv4/route.c: ip_route_input_slow",
)
MULTICAST = rule(
    "MULTICAST",
    "The link has joined the group.",
    "net/ipv4/igmp.c: ip_check_mc_rcu; net/ipv6/mcast.c: ipv6_chk_mcast_addr",
)
NOT_JOINED = rule(
    "NOT-JOINED",
    "The link has not joined the group.",
    "net/ipv4/igmp.c: ip_check_mc_rcu; net/ipv6/mcast.c: ipv6_chk_mcast_addr",
)
MARTIAN = rule(
    "MARTIAN",
    "A packet that claims to come from the receiver's own address, or from none, is not believed.",
    "net/ipv4/fib_frontend.c: fib_validate_source; net/ipv4/route.c: ip_route_input_slow",
)
NO_FORWARDING = rule(
    "NO-FORWARDING",
    "The address is not the machine's, and it does not forward.",
    "net/ipv4/route.c: ip_route_input_slow; net/ipv6/ip6_output.c: ip6_forward",
    "K-L2-020",
)
FORWARDED = rule(
    "FORWARDED",
    "The machine forwards, so it sends the packet on with a TTL of one less.",
    "net/ipv4/ip_forward.c: ip_forward; net/ipv6/ip6_output.c: ip6_forward",
    "K-L2R-002",
)
TTL_SPENT = rule(
    "TTL-SPENT",
    "The TTL is used up, so the packet is not forwarded.",
    "net/ipv4/ip_forward.c: ip_forward; net/ipv6/ip6_output.c: ip6_forward",
)
NOT_FORWARDABLE = rule(
    "NOT-FORWARDABLE",
    "Only packets that were sent to the machine's own MAC address, between global addresses, are forwarded.",
    "net/ipv4/ip_forward.c: ip_forward; net/ipv6/ip6_output.c: ip6_forward",
)
NO_IPV6 = rule(
    "NO-IPV6",
    "IPv6 is off on the link.",
    "net/ipv6/ip6_input.c: ip6_rcv_core; net/ipv6/route.c",
    "K-L3S-009",
)
NO_ADDRESS = rule(
    "NO-ADDRESS",
    "The sender has no address of that family to send from.",
    "net/ipv6/ip6_output.c: ip6_dst_lookup_tail; net/ipv4/route.c",
)
FIREWALL = rule(
    "FIREWALL",
    "The scenario's firewall drops echo and UDP at this hook.",
    "net/netfilter/core.c: nf_hook_slow",
)
NOBODY_LISTENS = rule(
    "NOBODY-LISTENS",
    "No protocol of the machine takes frames of this kind.",
    "net/core/dev.c: __netif_receive_skb_core",
)
