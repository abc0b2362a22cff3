"""The rules of ipvlan: what an endpoint sends, what a parent receives (the driver of Linux 6.12)."""

from __future__ import annotations

from ipvlab.rules.rule import rule

_CORE = "drivers/net/ipvlan/ipvlan_core.c: "

# What an endpoint in L2 sends.
L2_SIBLING = rule(
    "L2-SIBLING",
    "A frame to the parent's own MAC whose address is a sibling's is handed to the sibling; it never "
    "reaches the parent or the wire, and its TTL stays.",
    _CORE + "ipvlan_xmit_mode_l2",
    "K-L2-001",
)
L2_PRIVATE = rule(
    "L2-PRIVATE",
    "In private a unicast frame to a sibling is dropped where it is sent.",
    _CORE + "ipvlan_xmit_mode_l2",
    "K-PRV-001",
    "K-PRV-002",
)
L2_OWN_MAC = rule(
    "L2-OWN-MAC",
    "A frame to the parent's own MAC whose address no endpoint owns is handed to the parent's stack, "
    "as if it had come from the wire.",
    _CORE + "ipvlan_xmit_mode_l2: dev_forward_skb",
    "K-L2-005",
    "K-L2-006",
    "K-L2-014",
)
L2_FAN_OUT = rule(
    "L2-FAN-OUT",
    "A group frame goes to every other endpoint of the parent that listens, and out of the parent; the "
    "parent's own stack does not get it. Private and vepa change nothing of that.",
    _CORE + "ipvlan_process_multicast",
    "K-L2-007",
    "K-L2-008",
    "K-L2-009",
    "K-L2-010",
    "K-L2-011",
    "K-PRV-003",
    "K-VEPA-002",
)
L2_PAUSE = rule(
    "L2-PAUSE",
    "A flow control frame to a group is dropped.",
    _CORE + "ipvlan_multicast_enqueue",
    "K-L2-015",
)
L2_OUT = rule(
    "L2-OUT",
    "A frame to another machine's MAC leaves by the parent, whatever address is in it, a sibling's included.",
    _CORE + "ipvlan_xmit_mode_l2: dev_queue_xmit",
    "K-L2-002",
    "K-L2-003",
    "K-L2-004",
    "K-PRV-006",
)
L2_VEPA = rule(
    "L2-VEPA",
    "In vepa every unicast frame leaves by the parent, one to a sibling or to the parent's own address too; "
    "only a switch port that sends it back can help.",
    _CORE + "ipvlan_xmit_mode_l2",
    "K-VEPA-001",
    "K-VEPA-004",
)

# What an endpoint in L3 or L3S sends.
L3_SIBLING = rule(
    "L3-SIBLING",
    "A packet to a sibling's address is handed to it directly, whatever its subnet and its MAC addresses; "
    "its TTL stays.",
    _CORE + "ipvlan_xmit_mode_l3",
    "K-L3-001",
    "K-L3-019",
    "K-L3-026",
)
L3_PRIVATE = rule(
    "L3-PRIVATE",
    "In private a packet to a sibling's address is dropped where it is sent.",
    _CORE + "ipvlan_xmit_mode_l3",
    "K-PRV-005",
)
L3_GROUP = rule(
    "L3-GROUP",
    "In L3 and L3S no frame to a group MAC leaves an endpoint: no broadcast, no multicast, no solicitation.",
    _CORE + "ipvlan_process_outbound",
    "K-L3-010",
    "K-L3-025",
)
L3_NO_IP = rule(
    "L3-NO-IP",
    "In L3 and L3S a frame that is no IP packet and not for a sibling is dropped.",
    _CORE + "ipvlan_process_outbound",
    "K-L3-025",
)
L3_ROUTED = rule(
    "L3-ROUTED",
    "The host routes the packet as if it had made it itself, out of the parent; the TTL stays.",
    _CORE + "ipvlan_process_v4_outbound, ipvlan_process_v6_outbound",
    "K-L3-002",
    "K-L3-008",
    "K-VEPA-005",
)
L3_ON_LINK = rule(
    "L3-ON-LINK",
    "The host has no IPv4 route by the parent for it, so it takes the destination to be on "
    "the parent's link.",
    "net/ipv4/route.c: ip_route_output_key_hash_rcu",
    "K-L3-004",
    "K-L3-006",
)
L3_LOCAL = rule(
    "L3-LOCAL",
    "The host finds that the address is its own and takes the packet in by lo; the way back does not exist, "
    "since nothing of the host leads into its endpoints.",
    "net/ipv4/route.c: ip_route_output_key_hash_rcu; net/ipv6/route.c: ip6_route_output",
    "K-L3-007",
    "K-HOST-003",
)
L3_NO_ROUTE6 = rule(
    "L3-NO-ROUTE6",
    "The host has no IPv6 route for it, and for IPv6 none is made up.",
    _CORE + "ipvlan_route_v6_outbound",
    "K-L3-005",
    "K-L3-027",
)
L3_BROADCAST = rule(
    "L3-BROADCAST",
    "The host takes the destination for a broadcast address, and ipvlan sends none.",
    _CORE + "ipvlan_process_v4_outbound",
    "K-L3-011",
)

# What arrives from the wire at a parent.
RX_ENDPOINT = rule(
    "RX-ENDPOINT",
    "A frame from the wire goes to the endpoint that owns its address.",
    _CORE + "ipvlan_handle_mode_l3",
    "K-L2R-001",
    "K-L2R-008",
    "K-L2R-012",
    "K-L2R-017",
    "K-ADR-006",
)
RX_PARENT = rule(
    "RX-PARENT",
    "A frame from the wire whose address no endpoint owns goes to the parent's own stack.",
    _CORE + "ipvlan_handle_mode_l3",
    "K-L2R-001",
    "K-L2R-013",
    "K-L2R-018",
    "K-ADR-009",
)
RX_FAN_OUT = rule(
    "RX-FAN-OUT",
    "In L2 a group frame from the wire goes to every endpoint that listens and to the parent's stack.",
    _CORE + "ipvlan_handle_mode_l2",
    "K-L2R-004",
    "K-L2R-005",
    "K-L2R-006",
    "K-L2R-007",
    "K-L2R-010",
    "K-L2R-015",
)
RX_REFLECTED = rule(
    "RX-REFLECTED",
    "A group frame that one of the parent's own endpoints sent and that the switch sent back is not "
    "copied to the endpoints again; the parent's stack gets it.",
    _CORE + "ipvlan_external_frame",
    "K-L2R-014",
    "K-L2R-016",
)
RX_L3_OWNER = rule(
    "RX-L3-OWNER",
    "In L3 a frame whose address an endpoint owns goes to that endpoint alone, whatever its MAC; so the "
    "parent never answers ARP for it.",
    _CORE + "ipvlan_handle_mode_l3",
    "K-L3-013",
    "K-L3-015",
    "K-L3-017",
    "K-L3-021",
)
RX_L3_GROUP = rule(
    "RX-L3-GROUP",
    "In L3 broadcasts and multicasts from the wire reach the parent's stack only.",
    _CORE + "ipvlan_handle_mode_l3",
    "K-L3-014",
    "K-L3-016",
)
RX_L3S_PARENT = rule(
    "RX-L3S-PARENT",
    "In L3S every frame from the wire goes to the parent's stack first: MAC, tag and ARP are the "
    "parent's matter.",
    "drivers/net/ipvlan/ipvlan_core.c: ipvlan_handle_frame",
    "K-L3S-008",
    "K-L3S-010",
)
L3S_DIVERT = rule(
    "L3S-DIVERT",
    "In L3S the host's IP input, after PREROUTING, finds the endpoint that owns the address and delivers to "
    "its sockets through the host's INPUT hook; the endpoint's own hooks see nothing.",
    "drivers/net/ipvlan/ipvlan_l3s.c: ipvlan_l3_rcv, ipvlan_nf_input",
    "K-L3S-002",
    "K-L3S-004",
    "K-L3S-011",
)
HOST_NOT_DOWN = rule(
    "HOST-NOT-DOWN",
    "What a host itself sends by a parent goes to the wire and is never handed to the parent's endpoints.",
    _CORE + "ipvlan_handle_frame (receive path only)",
    "K-HOST-001",
    "K-HOST-002",
    "K-L2R-020",
)
