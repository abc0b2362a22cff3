// SPDX-License-Identifier: Apache-2.0
/*
 * The programs of ipvlan.c, with a note of every helper that hands a frame on.
 *
 * A test run tells a verdict, and "redirected" without saying where to. Here each
 * call of such a helper is written to a map first. The source itself is included
 * as it is, so that nothing in it exists for the sake of tests; a function-like
 * macro that names itself is expanded once only, so the helper is called as ever.
 */
enum { TO_LINK = 1, TO_PEER, TO_NEIGHBOUR, COPY, SET_TYPE, PUSH, POP };

static __attribute__((always_inline)) inline void note(unsigned int what, unsigned int where, unsigned int how);

#define redirect(index, flags) (note(TO_LINK, index, flags), redirect(index, flags))
#define redirect_peer(index, flags) (note(TO_PEER, index, flags), redirect_peer(index, flags))
#define redirect_neigh(index, next, size, flags) \
	(note(TO_NEIGHBOUR, index, flags), redirect_neigh(index, next, size, flags))
#define clone_redirect(skb, index, flags) (note(COPY, index, flags), clone_redirect(skb, index, flags))
#define change_type(skb, type) (note(SET_TYPE, type, 0), change_type(skb, type))
#define vlan_push(skb, protocol, vlan) (note(PUSH, vlan, protocol), vlan_push(skb, protocol, vlan))
#define vlan_pop(skb) (note(POP, 0, 0), vlan_pop(skb))

#include "ipvlan.c"

#undef vlan_push

#define CALLS 256
#define MMAPABLE 1024

struct record {
	u32 count;
	struct {
		u32 what, where, how;
	} calls[CALLS];
};

struct map record SEC("maps") = {BPF_MAP_TYPE_ARRAY, 4, sizeof(struct record), 1, MMAPABLE};

static __attribute__((always_inline)) inline void note(unsigned int what, unsigned int where, unsigned int how)
{
	u32 first = 0;
	struct record *log = map_lookup(&record, &first);

	if (!log)
		return;
	u32 at = log->count;
	if (at < CALLS) {
		log->calls[at].what = what;
		log->calls[at].where = where;
		log->calls[at].how = how;
	}
	log->count = at + 1;
}

static long (*change_tail)(struct __sk_buff *, u32, u64) = (void *)38;

#define IS_TAGGED 0x8000
#define LOST (-2)

/*
 * A test run takes no tag with a frame, and no IP frame shorter than its header.
 * These find both in the frame's mark: they cut the frame, tag it as the kernel
 * does on receipt (beside the frame, not in it), and go on.
 */
#define POSED(program)                                                                  \
	SEC("tc/posed_" #program)                                                       \
	__attribute__((flatten)) int posed_##program(struct __sk_buff *skb)             \
	{                                                                               \
		u32 pose = skb->mark;                                                   \
                                                                                        \
		skb->mark = 0;                                                          \
		if (pose >> 16 && change_tail(skb, pose >> 16, 0))                      \
			return LOST;                                                    \
		if (pose & IS_TAGGED && vlan_push(skb, ETH_VLAN, pose & 0xfff))         \
			return LOST;                                                    \
		return program(skb);                                                    \
	}

POSED(endpoint_in)
POSED(parent_in)
POSED(tap_in)
POSED(vlan_in)
POSED(vlan_out)
POSED(switch_in)
POSED(switch_out)
