// SPDX-License-Identifier: Apache-2.0
/*
 * An ipvlan of our own, as tc programs on veth pairs.
 *
 * An endpoint is a veth pair: one end in the container, the other (its *host
 * end*) beside the parent in the host's namespace. Frames that a container
 * sends arrive on the ingress of the host end (endpoint_in); frames from the
 * wire arrive on the ingress of the parent (parent_in). Both decide by address,
 * as drivers/net/ipvlan/ipvlan_core.c does, and hand the frame on.
 *
 * Interface indexes are unique in the whole lab (ipvlab chooses them), so one
 * copy of these programs and maps serves every host of a lab.
 *
 * Only the stable __sk_buff of the uapi is used: no CO-RE, no BTF, no libbpf.
 */
#include <linux/bpf.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static __attribute__((always_inline)) inline
#define HTONS(x) ((u16)__builtin_bswap16(x))
#define HTONL(x) ((u32)__builtin_bswap32(x))

#define PASS (-1) /* TC_ACT_UNSPEC: the next filter, then the stack */
#define DROP 2    /* TC_ACT_SHOT */

#define PACKET_HOST 0
#define PACKET_OTHERHOST 3

#define ETH_IPV4 HTONS(0x0800)
#define ETH_ARP HTONS(0x0806)
#define ETH_VLAN HTONS(0x8100)
#define ETH_IPV6 HTONS(0x86dd)
#define ETH_PAUSE HTONS(0x8808)

#define ICMPV6 58
#define NEIGHBOUR_SOLICITATION 135

enum { L2, L3, L3S };
enum { BRIDGE, PRIVATE, VEPA };

static void *(*map_lookup)(void *, const void *) = (void *)1;
static long (*tail_call)(void *, void *, u32) = (void *)12;
static long (*clone_redirect)(struct __sk_buff *, u32, u64) = (void *)13;
static long (*vlan_push)(struct __sk_buff *, u16, u16) = (void *)18;
static long (*vlan_pop)(struct __sk_buff *) = (void *)19;
static long (*redirect)(u32, u64) = (void *)23;
static long (*change_type)(struct __sk_buff *, u32) = (void *)32;
static long (*pull)(struct __sk_buff *, u32) = (void *)39;
static long (*redirect_neigh)(u32, void *, int, u64) = (void *)152;
static long (*redirect_peer)(u32, u64) = (void *)155;

struct map {
	u32 type, key_size, value_size, max_entries, flags;
};

/* One ipvlan port: what a parent has once it carries endpoints. */
struct port {
	u32 parent; /* interface index */
	u32 host;   /* number of the host in the lab */
	u32 slots;  /* length of its row in the map of slots, holes included */
	u8 mode, flag;
	u8 mac[6];
	u32 tap;    /* the link by which packets go through the host's netfilter */
	u32 hooked; /* which packets do */
};

/* Bits of hooked: what leaves, and what arrives (l3s only), by family. */
#define OUT4 1
#define OUT6 2
#define IN4 4
#define IN6 8

struct address4 {
	u32 scope; /* a port or a host */
	u32 address;
};

struct address6 {
	u32 scope;
	u32 address[4];
};

struct slot {
	u32 port, number;
};

struct tag {
	u32 index;
	u32 vlan;
};

/* A port of a switch that looks at tags: VLAN 1 is what travels untagged inside. */
struct filter {
	u16 untagged; /* VLAN of untagged frames; 0: none are taken */
	u16 is_filtered;
	u8 member[512];
};

#define ELASTIC 1 /* BPF_F_NO_PREALLOC: an idle lab stays small */

struct map port_of SEC("maps") = {BPF_MAP_TYPE_HASH, 4, 4, 65536, ELASTIC};
struct map ports SEC("maps") = {BPF_MAP_TYPE_HASH, 4, sizeof(struct port), 16384, ELASTIC};
struct map slots SEC("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct slot), 4, 65536, ELASTIC};
struct map owners4 SEC("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct address4), 4, 131072, ELASTIC};
struct map owners6 SEC("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct address6), 4, 131072, ELASTIC};
struct map locals4 SEC("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct address4), 4, 65536, ELASTIC};
struct map locals6 SEC("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct address6), 4, 65536, ELASTIC};
struct map vlans SEC("maps") = {BPF_MAP_TYPE_HASH, sizeof(struct tag), 4, 16384, ELASTIC};
struct map tags SEC("maps") = {BPF_MAP_TYPE_HASH, 4, sizeof(struct tag), 16384, ELASTIC};
struct map filters SEC("maps") = {BPF_MAP_TYPE_HASH, 4, sizeof(struct filter), 4096, ELASTIC};
struct map tails SEC("maps") = {BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0};

struct ethernet {
	u16 to[3], from[3], type;
};

struct arp {
	u8 fixed[8];
	u8 sender_mac[6];
	u16 sender[2];
	u8 target_mac[6];
	u16 target[2];
};

struct ipv4 {
	u8 version_length, tos;
	u16 total_length;
	u32 middle[2];
	u32 from, to;
};

struct ipv6 {
	u32 flow;
	u16 payload;
	u8 next_header, hop_limit;
	u32 from[4], to[4];
};

struct solicitation {
	u8 type, code;
	u16 checksum;
	u32 reserved;
	u32 target[4];
};

/* Headers up to the target of a neighbour solicitation. */
#define HEADERS (sizeof(struct ethernet) + sizeof(struct ipv6) + sizeof(struct solicitation))

INLINE struct ethernet *headers(struct __sk_buff *skb)
{
	u32 wanted = skb->len < HEADERS ? skb->len : HEADERS;

	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end)
		pull(skb, wanted);
	struct ethernet *frame = (void *)(long)skb->data;
	return (void *)(frame + 1) > (void *)(long)skb->data_end ? 0 : frame;
}

INLINE int is_group(const struct ethernet *frame)
{
	return *(const u8 *)frame->to & 1;
}

INLINE int is_same(const u16 *a, const u16 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/*
 * Which address of the frame decides (ipvlan_get_L3_hdr, ipvlan_addr_lookup):
 * the target of an ARP packet, the destination of an IP packet; for a
 * solicitation without a source (duplicate address detection) its target. With
 * by_source, the sender's side of the same: is this frame one of our own? Without
 * by_target, the destination whatever the message is, as a route look-up reads it.
 */
INLINE int key_of(struct __sk_buff *skb, struct ethernet *frame, int by_source, int by_target,
		  struct address4 *key4, struct address6 *key6)
{
	void *end = (void *)(long)skb->data_end;

	if (frame->type == ETH_IPV4) {
		struct ipv4 *packet = (void *)(frame + 1);
		if ((void *)(packet + 1) > end)
			return 0;
		u32 header = (packet->version_length & 15) * 4;
		u32 total = HTONS(packet->total_length);
		if (packet->version_length >> 4 != 4 || header < 20 || total < header ||
		    total > skb->len - sizeof(*frame))
			return 0;
		key4->address = by_source ? packet->from : packet->to;
		return 4;
	}
	if (frame->type == ETH_ARP) {
		struct arp *packet = (void *)(frame + 1);
		if ((void *)(packet + 1) > end)
			return 0;
		u16 *address = by_source ? packet->sender : packet->target;
		key4->address = address[0] | (u32)address[1] << 16;
		return 4;
	}
	if (frame->type == ETH_IPV6) {
		struct ipv6 *packet = (void *)(frame + 1);
		if ((void *)(packet + 1) > end || *(u8 *)packet >> 4 != 6)
			return 0;
		u32 *address = by_source ? packet->from : packet->to;
		if (packet->next_header == ICMPV6 && by_target &&
		    !(packet->from[0] | packet->from[1] | packet->from[2] | packet->from[3])) {
			struct solicitation *message = (void *)(packet + 1);
			if ((void *)(message + 1) > end || message->type != NEIGHBOUR_SOLICITATION)
				return 0;
			address = message->target;
		}
		key6->address[0] = address[0];
		key6->address[1] = address[1];
		key6->address[2] = address[2];
		key6->address[3] = address[3];
		return 6;
	}
	return 0;
}

/* The host end of the endpoint of a port that owns the deciding address, or 0. */
INLINE u32 owner(struct __sk_buff *skb, struct ethernet *frame, u32 port, int by_source)
{
	struct address4 key4 = {.scope = port};
	struct address6 key6 = {.scope = port};
	u32 *found = 0;
	int version = key_of(skb, frame, by_source, 1, &key4, &key6);

	if (version == 4)
		found = map_lookup(&owners4, &key4);
	else if (version == 6)
		found = map_lookup(&owners6, &key6);
	return found ? *found : 0;
}

/* Whether an IP packet is for an address of the host itself (K-L3-007). */
INLINE int is_local(struct __sk_buff *skb, struct ethernet *frame, u32 port, u32 host)
{
	struct address4 key4 = {.scope = port};
	struct address6 key6 = {.scope = host};
	int version = key_of(skb, frame, 0, 0, &key4, &key6);

	/*
	 * IPv4 looks among the parent's addresses only, IPv6 among all of the host's, but for
	 * link-local ones, which are those of their link alone (rt6_need_strict).
	 */
	if (version == 4)
		return map_lookup(&locals4, &key4) != 0;
	if ((key6.address[0] & HTONL(0xffc00000)) == HTONL(0xfe800000))
		key6.scope = port;
	if (version == 6)
		return map_lookup(&locals6, &key6) != 0;
	return 0;
}

/* Hand a frame to the endpoint behind a host end, as ordinary ingress there. */
INLINE int deliver(struct __sk_buff *skb, u32 host_end)
{
	/*
	 * One to a group or with a foreign MAC goes the longer way, on which its kind is read off its
	 * MAC again. The endpoint's taps see a foreign one, and its stack drops it (OTHERHOST).
	 */
	if (skb->pkt_type != PACKET_HOST)
		return redirect(host_end, 0);
	return redirect_peer(host_end, 0);
}

enum { NEXT, EXCEPT, PORT, WIRE };

INLINE int fan_out(struct __sk_buff *skb, u32 port, u32 except, u32 wire)
{
	skb->cb[NEXT] = 0;
	skb->cb[EXCEPT] = except;
	skb->cb[PORT] = port;
	skb->cb[WIRE] = wire;
	tail_call(skb, &tails, 0);
	return DROP;
}

#define BATCH 32

/*
 * Copy a group frame to every endpoint of a port but one, then let it go on: to
 * the wire for a frame from an endpoint, to the host's stack for one from the
 * wire (ipvlan_process_multicast). A row of slots is walked a batch a time, by
 * tail calls, so that the verifier has little to walk and old kernels suffice.
 */
SEC("tc/fanout") int fanout(struct __sk_buff *skb)
{
	struct slot at = {.port = skb->cb[PORT], .number = skb->cb[NEXT]};
	struct port *port = map_lookup(&ports, &at.port);
	u32 except = skb->cb[EXCEPT], wire = skb->cb[WIRE];
	u32 count = port ? port->slots : 0;

	for (int i = 0; i < BATCH; i++, at.number++) {
		if (at.number >= count)
			return wire ? redirect(wire, 0) : PASS;
		u32 *host_end = map_lookup(&slots, &at);
		if (host_end && *host_end != except)
			clone_redirect(skb, *host_end, 0);
	}
	skb->cb[NEXT] = at.number;
	tail_call(skb, &tails, 0);
	return DROP;
}

INLINE int transmit_l2(struct __sk_buff *skb, struct ethernet *frame, u32 number, struct port *port)
{
	/* The local test is "to == from", not "to == the port's MAC" (ipvlan_xmit_mode_l2). */
	if (port->flag != VEPA && is_same(frame->to, frame->from)) {
		u32 host_end = owner(skb, frame, number, 0);
		if (!host_end)
			return redirect(port->parent, BPF_F_INGRESS);
		return port->flag == PRIVATE ? DROP : deliver(skb, host_end);
	}
	if (is_group(frame)) {
		if (frame->type == ETH_PAUSE)
			return DROP;
		return fan_out(skb, number, skb->ifindex, port->parent);
	}
	return redirect(port->parent, 0);
}

INLINE int transmit_l3(struct __sk_buff *skb, struct ethernet *frame, u32 number, struct port *port)
{
	/* The address comes before the MAC (ipvlan_xmit_mode_l3). */
	if (port->flag != VEPA) {
		u32 host_end = owner(skb, frame, number, 0);
		if (host_end)
			return port->flag == PRIVATE ? DROP : deliver(skb, host_end);
	}
	if (is_group(frame) || (frame->type != ETH_IPV4 && frame->type != ETH_IPV6))
		return DROP;
	/* Netfilter has work to do in the host: ipvlab sends the packet on as the host's own. */
	if (port->hooked & (frame->type == ETH_IPV4 ? OUT4 : OUT6))
		return redirect(port->tap, 0);
	if (is_local(skb, frame, number, port->host))
		return redirect(port->parent, BPF_F_INGRESS);
	/* The same route lookup as ipvlan_process_v4_outbound: bound to the parent, TTL untouched. */
	return redirect_neigh(port->parent, 0, 0, 0);
}

/* What a container sends: the ingress of the host end of its endpoint. */
SEC("tc/endpoint_in") int endpoint_in(struct __sk_buff *skb)
{
	u32 index = skb->ifindex;
	u32 *number = map_lookup(&port_of, &index);
	struct port *port = number ? map_lookup(&ports, number) : 0;
	struct ethernet *frame = headers(skb);

	if (!port || !frame)
		return DROP;
	return port->mode == L2 ? transmit_l2(skb, frame, *number, port) : transmit_l3(skb, frame, *number, port);
}

/* What arrives from the wire: the ingress of the parent (ipvlan_handle_frame). */
SEC("tc/parent_in") int parent_in(struct __sk_buff *skb)
{
	u32 index = skb->ifindex;
	u32 *number = map_lookup(&port_of, &index);
	struct port *port = number ? map_lookup(&ports, number) : 0;
	struct ethernet *frame = headers(skb);

	if (!port || !frame)
		return PASS;
	/* In l3s the parent's stack looks first, and drops a foreign MAC or a tag that nobody took. */
	if (port->mode == L3S &&
	    (skb->pkt_type == PACKET_OTHERHOST || (skb->vlan_present && (skb->vlan_tci & 0xfff))))
		return PASS;
	if (port->mode == L2 && is_group(frame)) {
		/* Reflected frames of our own endpoints are not fanned out again (ipvlan_external_frame). */
		if (frame->type == ETH_PAUSE ||
		    (is_same(frame->from, (u16 *)port->mac) && owner(skb, frame, *number, 1)))
			return PASS;
		return fan_out(skb, *number, 0, 0);
	}
	/* In l3s the handler takes nothing: MAC, ARP and ND of the group kind are the parent's matter. */
	if (port->mode == L3S && frame->type == ETH_ARP)
		return PASS;
	if (port->mode == L3S && port->hooked & (frame->type == ETH_IPV4 ? IN4 : frame->type == ETH_IPV6 ? IN6 : 0))
		return PASS;
	u32 host_end = owner(skb, frame, *number, 0);
	return host_end ? deliver(skb, host_end) : PASS;
}

/* What has passed the host's PREROUTING and INPUT: the ingress of a port's tap (ipvlan_nf_input). */
SEC("tc/tap_in") int tap_in(struct __sk_buff *skb)
{
	u32 index = skb->ifindex;
	u32 *number = map_lookup(&port_of, &index);
	struct ethernet *frame = headers(skb);
	u32 host_end = number && frame ? owner(skb, frame, *number, 0) : 0;

	if (!host_end)
		return DROP;
	change_type(skb, PACKET_HOST);
	return redirect_peer(host_end, 0);
}

/* Tagged frames on the ingress of a link that carries sub-interfaces. */
SEC("tc/vlan_in") int vlan_in(struct __sk_buff *skb)
{
	struct tag key = {.index = skb->ifindex, .vlan = skb->vlan_tci & 0xfff};

	if (!skb->vlan_present)
		return PASS;
	u32 *link = map_lookup(&vlans, &key);
	if (!link)
		return PASS;
	u32 index = *link;
	return vlan_pop(skb) ? DROP : redirect(index, BPF_F_INGRESS);
}

/* What a sub-interface sends leaves tagged by the link below it. */
SEC("tc/vlan_out") int vlan_out(struct __sk_buff *skb)
{
	u32 index = skb->ifindex;
	struct tag *tag = map_lookup(&tags, &index);

	if (!tag)
		return DROP;
	u32 below = tag->index;
	return vlan_push(skb, ETH_VLAN, tag->vlan) ? DROP : redirect(below, 0);
}

INLINE int is_member(const struct filter *filter, u32 vlan)
{
	return filter->member[vlan >> 3 & 511] >> (vlan & 7) & 1;
}

/* A frame enters a switch: learn which VLAN it is of, and drop what the port may not send. */
SEC("tc/switch_in") int switch_in(struct __sk_buff *skb)
{
	u32 index = skb->ifindex;
	struct filter *filter = map_lookup(&filters, &index);
	struct ethernet *frame = headers(skb);

	if (!frame)
		return DROP;
	/* 01:80:c2:00:00:0x stays on its segment (802.1D reserved addresses). */
	if (frame->to[0] == HTONS(0x0180) && frame->to[1] == HTONS(0xc200) && (frame->to[2] & HTONS(0xfff0)) == 0)
		return DROP;
	/* No port of this switch asks for tags, so it does not look at them (br_allowed_ingress). */
	if (!filter)
		return PASS;
	u32 vlan = skb->vlan_present ? skb->vlan_tci & 0xfff : 0;
	/* To take a tag off brings up the one below it (skb_vlan_pop), and the frame would be of that VLAN. */
	u32 is_nested = frame->type == ETH_VLAN;
	if (vlan) {
		if (filter->is_filtered && !is_member(filter, vlan))
			return DROP;
		if (is_nested)
			return PASS;
		if (vlan == 1 && vlan_pop(skb))
			return DROP;
		return PASS;
	}
	if (skb->vlan_present && vlan_pop(skb))
		return DROP;
	if (!filter->is_filtered)
		return !is_nested ? PASS : vlan_push(skb, ETH_VLAN, 1) ? DROP : redirect(index, BPF_F_INGRESS);
	if (!filter->untagged)
		return DROP;
	if (filter->untagged != 1 && vlan_push(skb, ETH_VLAN, filter->untagged))
		return DROP;
	if (is_nested && filter->untagged == 1 && vlan_push(skb, ETH_VLAN, 1))
		return DROP;
	/*
	 * To push where a tag stands beside the frame makes its header longer, and older kernels (6.1)
	 * go on with four bytes less of the frame (skb_vlan_push, cls_bpf_classify). So it comes in anew.
	 */
	return is_nested ? redirect(index, BPF_F_INGRESS) : PASS;
}

/* A frame leaves a switch: tagged or untagged as the port wants its VLAN, or not at all. */
SEC("tc/switch_out") int switch_out(struct __sk_buff *skb)
{
	u32 index = skb->ifindex;
	struct filter *filter = map_lookup(&filters, &index);
	u32 is_tagged = skb->vlan_present;
	u32 vlan = is_tagged ? skb->vlan_tci & 0xfff : 1;
	if (!filter)
		return PASS;
	u32 is_filtered = filter->is_filtered;

	if (vlan == (is_filtered ? filter->untagged : 1))
		return is_tagged && vlan_pop(skb) ? DROP : PASS;
	if (!is_filtered)
		return PASS;
	if (!is_member(filter, vlan))
		return DROP;
	return !is_tagged && vlan_push(skb, ETH_VLAN, vlan) ? DROP : PASS;
}

char terms[] SEC("license") = "Apache-2.0"; /* no helper used here asks for GPL */
