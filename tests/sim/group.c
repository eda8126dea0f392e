/* Two nodes, each with a group of virtual routers on segments of their own, and a fake clock. Each
 * history is random but follows from its seed: segments are cut for adverts, cables pulled, nodes
 * killed and started, told to resign; the routers become a group only in the middle of it, so that
 * some are split by then.
 *
 * When the trouble is over, one node must be Active for all of the group and stay so, the other for
 * nothing. During the trouble, once they are a group, nobody becomes Active for one while it hears
 * an Active that it respects for another one; a fault is one of all, and one that ceases to be
 * Active takes the others along.
 *
 * The rules are tested too: without any one of G1 to G4 (core/group.h) some history must fail.
 *
 *	sim_group [SEED]    one history, told step by step */
#include "vrrp/core/group.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "vrrp/core/packet.h"

#define HISTORIES     1000
#define BUG_HISTORIES 400
#define SEGMENTS      3
#define NODES         2
#define WIRE_MAX      256
#define INTERVAL_US   100000U
#define TICK_US       1000U
#define TROUBLE_US    (8 * US_PER_SEC)
#define SETTLE_US     (6 * US_PER_SEC)
#define QUIET_US      (3 * US_PER_SEC)
#define SPLIT_US      (US_PER_SEC + 3 * INTERVAL_US)

enum bug { BUG_NONE, BUG_NO_G1, BUG_NO_G2, BUG_NO_G3, BUG_NO_G4, BUG_COUNT };

struct member {
	struct vrrp_fsm fsm;
	uint64_t heard_us, split_us;
	uint8_t heard_priority;
	bool heard_better, left, cable_pulled;
};

struct node {
	struct member members[SEGMENTS];
	bool alive;
	bool stopped; /* in this tick, being Active for one */
};

struct packet {
	uint64_t at_us;
	int to, segment;
	bool is_claim;
	uint8_t priority, flags;
};

static struct {
	struct node nodes[NODES];
	struct packet wire[WIRE_MAX];
	unsigned n_wire;
	bool cut[SEGMENTS], grouped, verbose, broken;
	enum bug bug;
	uint64_t now_us, random;
} sim;

static const uint8_t priorities[NODES] = {200, 150};

static uint64_t draw(uint64_t n)
{
	sim.random = sim.random * 6364136223846793005U + 1442695040888963407U;
	return (sim.random >> 33) % n;
}

static void tell(int node, int segment, const char *what)
{
	if (sim.verbose)
		printf("%8.3f node %d segment %d: %s\n", (double)sim.now_us / US_PER_SEC, node,
		    segment, what);
}

static bool is_active(const struct member *member)
{
	return vrrp_state_outside(member->fsm.state) == VRRP_ACTIVE;
}

static void put(int from, int segment, bool is_claim, uint8_t priority)
{
	const struct member *member = &sim.nodes[from].members[segment];
	if (sim.cut[segment] || member->cable_pulled || sim.n_wire == WIRE_MAX)
		return;
	sim.wire[sim.n_wire++] = (struct packet){
	    .at_us = sim.now_us + 100 + draw(1000),
	    .to = 1 - from,
	    .segment = segment,
	    .is_claim = is_claim,
	    .priority = priority,
	    .flags = vrrp_fsm_claim_flags(&member->fsm),
	};
}

/* ---- the rules, as the daemon has them ---- */

static void fill_members(const struct node *node, struct vrrp_member out[SEGMENTS])
{
	for (int i = 0; i < SEGMENTS; i++)
		out[i] = (struct vrrp_member){
		    .fsm = &node->members[i].fsm,
		    .heard_us = node->members[i].heard_us,
		    .heard_priority = node->members[i].heard_priority,
		    .heard_better = node->members[i].heard_better,
		};
}

static bool is_held(int n, int segment)
{
	struct vrrp_member members[SEGMENTS];
	if (!sim.grouped || sim.bug == BUG_NO_G3)
		return false;
	fill_members(&sim.nodes[n], members);
	return vrrp_group_objector(members, SEGMENTS, (unsigned)segment, sim.now_us) != SEGMENTS;
}

/* What G3 promises, in other words than it is written. */
static void check_promotion(int n, int segment)
{
	uint64_t resigned_us = 0;
	for (int i = 0; i < SEGMENTS; i++) {
		const struct member *member = &sim.nodes[n].members[i];
		if (member->heard_priority == 0 && member->heard_us > resigned_us)
			resigned_us = member->heard_us;
	}
	for (int i = 0; i < SEGMENTS && sim.grouped; i++) {
		const struct member *member = &sim.nodes[n].members[i];
		bool hears = i != segment && member->fsm.state == VRRP_BACKUP &&
			     member->heard_us != 0 && member->heard_priority != 0 &&
			     sim.now_us - member->heard_us < INTERVAL_US + 2000 &&
			     member->heard_us > resigned_us;
		if (hears) {
			tell(n, segment, "Active, while another one is heard");
			sim.broken = true;
		}
	}
}

static void conclude(int n, int segment, enum vrrp_state before, unsigned actions)
{
	struct member *member = &sim.nodes[n].members[segment];
	bool was_active = vrrp_state_outside(before) == VRRP_ACTIVE;
	if (was_active != is_active(member)) {
		tell(n, segment, was_active ? "not Active any more" : "Active");
		if (!was_active)
			check_promotion(n, segment);
		member->heard_us = 0;
		member->left = member->left || was_active;
		sim.nodes[n].stopped = sim.nodes[n].stopped || was_active;
	}
	if (actions & (VRRP_DO_SEND_ADVERT | VRRP_DO_ACQUIRE))
		put(n, segment, false, member->fsm.priority);
	if (actions & VRRP_DO_SEND_LEAVING)
		put(n, segment, false, 0);
	if (actions & VRRP_DO_SEND_CLAIM)
		put(n, segment, true, member->fsm.priority);
}

static void step(int n, int segment, enum vrrp_event event)
{
	struct member *member = &sim.nodes[n].members[segment];
	enum vrrp_state before = member->fsm.state;
	unsigned actions = vrrp_fsm_step(&member->fsm, event, sim.now_us);
	conclude(n, segment, before, actions);
	if (actions & VRRP_DO_ACQUIRE)
		step(n, segment, VRRP_EV_ACQUIRED);
}

static bool has_fault(const struct node *node, int segment)
{
	bool fault = node->members[segment].cable_pulled;
	for (int i = 0; i < SEGMENTS && sim.grouped && sim.bug != BUG_NO_G1; i++)
		fault = fault || node->members[i].cable_pulled;
	return fault;
}

static void settle(int n)
{
	for (int i = 0; i < SEGMENTS; i++) {
		bool fault = has_fault(&sim.nodes[n], i);
		enum vrrp_state state = sim.nodes[n].members[i].fsm.state;
		if (fault && state != VRRP_FAULT)
			step(n, i, VRRP_EV_FAULT);
		else if (!fault && state == VRRP_FAULT)
			step(n, i, VRRP_EV_RECOVERED);
	}
}

static void lead(int n)
{
	for (int i = 0; i < SEGMENTS; i++) {
		bool left = sim.nodes[n].members[i].left;
		sim.nodes[n].members[i].left = false;
		for (int j = 0; j < SEGMENTS && left && sim.grouped && sim.bug != BUG_NO_G2; j++) {
			if (is_active(&sim.nodes[n].members[j]))
				step(n, j, VRRP_EV_RESIGN);
		}
	}
}

static void mend(int n)
{
	struct vrrp_member members[SEGMENTS];
	fill_members(&sim.nodes[n], members);
	for (int i = 0; i < SEGMENTS && sim.grouped && sim.bug != BUG_NO_G4; i++) {
		struct member *member = &sim.nodes[n].members[i];
		if (!is_active(member) || !vrrp_group_split(members, SEGMENTS, sim.now_us))
			member->split_us = 0;
		else if (member->split_us == 0)
			member->split_us = sim.now_us;
		else if (sim.now_us - member->split_us > SPLIT_US)
			step(n, i, VRRP_EV_RESIGN);
	}
}

/* ---- the world ---- */

static void hear(const struct packet *packet)
{
	int n = packet->to, segment = packet->segment, order = n == 0 ? 1 : -1;
	struct member *member = &sim.nodes[n].members[segment];
	if (!sim.nodes[n].alive || sim.cut[segment] || member->cable_pulled)
		return;
	enum vrrp_state before = member->fsm.state;
	if (packet->is_claim) {
		step(n, segment,
		    vrrp_fsm_classify_claim(&member->fsm, packet->priority, order, packet->flags));
		return;
	}
	unsigned actions =
	    vrrp_fsm_advert(&member->fsm, packet->priority, order, INTERVAL_US, sim.now_us);
	conclude(n, segment, before, actions);
	member->heard_us = sim.now_us;
	member->heard_priority = packet->priority;
	member->heard_better = packet->priority > member->fsm.priority;
}

static void deliver(void)
{
	for (unsigned i = 0; i < sim.n_wire;) {
		struct packet packet = sim.wire[i];
		if (packet.at_us > sim.now_us) {
			i++;
			continue;
		}
		sim.wire[i] = sim.wire[--sim.n_wire];
		hear(&packet);
	}
}

static void start(int n)
{
	sim.nodes[n].alive = true;
	for (int i = 0; i < SEGMENTS; i++) {
		struct member *member = &sim.nodes[n].members[i];
		bool pulled = member->cable_pulled;
		*member = (struct member){.cable_pulled = pulled};
		vrrp_fsm_init(&member->fsm, priorities[n], INTERVAL_US, sim.now_us);
		step(n, i, VRRP_EV_STARTUP);
	}
}

static unsigned count_active(int n)
{
	unsigned count = 0;
	for (int i = 0; i < SEGMENTS; i++)
		count += is_active(&sim.nodes[n].members[i]);
	return count;
}

/* G1 and G2 */
static void check_unison(int n)
{
	unsigned faults = 0;
	for (int i = 0; i < SEGMENTS; i++)
		faults += sim.nodes[n].members[i].fsm.state == VRRP_FAULT;
	if (sim.grouped && faults != 0 && faults != SEGMENTS)
		sim.broken = true;
	if (sim.grouped && sim.nodes[n].stopped && count_active(n) != 0)
		sim.broken = true;
	sim.nodes[n].stopped = false;
}

static void run_node(int n)
{
	if (!sim.nodes[n].alive)
		return;
	for (int i = 0; i < SEGMENTS; i++) {
		struct vrrp_fsm *fsm = &sim.nodes[n].members[i].fsm;
		vrrp_fsm_awake(fsm, sim.now_us);
		bool held = vrrp_fsm_wants(fsm, sim.now_us) && is_held(n, i);
		step(n, i, held ? VRRP_EV_HELD : VRRP_EV_TIMER);
	}
	mend(n);
	settle(n);
	lead(n);
	check_unison(n);
}

static void make_trouble(void)
{
	int n = (int)draw(NODES), segment = (int)draw(SEGMENTS);
	switch (draw(6)) {
	case 0: sim.cut[segment] = true; break;
	case 1: sim.cut[segment] = false; break;
	case 2: sim.nodes[n].members[segment].cable_pulled = true; break;
	case 3: sim.nodes[n].members[segment].cable_pulled = false; break;
	case 4:
		if (sim.nodes[n].alive)
			step(n, segment, VRRP_EV_RESIGN);
		break;
	default:
		if (!sim.nodes[n].alive)
			start(n);
		else if (draw(2))
			sim.nodes[n].alive = false;
	}
}

static void end_trouble(void)
{
	memset(sim.cut, 0, sizeof(sim.cut));
	for (int n = 0; n < NODES; n++) {
		for (int i = 0; i < SEGMENTS; i++)
			sim.nodes[n].members[i].cable_pulled = false;
		if (!sim.nodes[n].alive)
			start(n);
	}
}

static bool is_whole(void)
{
	unsigned first = count_active(0), second = count_active(1);
	return (first == SEGMENTS && second == 0) || (first == 0 && second == SEGMENTS);
}

static void run_until(uint64_t end_us, bool must_be_whole)
{
	for (; sim.now_us < end_us; sim.now_us += TICK_US) {
		if (!must_be_whole && draw(300) == 0)
			make_trouble();
		deliver();
		for (int n = 0; n < NODES; n++)
			run_node(n);
		sim.broken = sim.broken || (must_be_whole && !is_whole());
	}
}

static void settle_down(uint64_t end_us)
{
	for (; sim.now_us < end_us; sim.now_us += TICK_US) {
		deliver();
		for (int n = 0; n < NODES; n++)
			run_node(n);
	}
}

static bool run_history(uint64_t seed, enum bug bug, bool verbose)
{
	memset(&sim, 0, sizeof(sim));
	sim.bug = bug;
	sim.verbose = verbose;
	sim.random = seed * 2654435761U + 1;
	sim.now_us = 1000 * US_PER_SEC;
	for (int n = 0; n < NODES; n++)
		start(n);
	uint64_t begin_us = sim.now_us;
	run_until(begin_us + TROUBLE_US / 2, false);
	end_trouble();
	settle_down(sim.now_us + US_PER_SEC);
	tell(-1, -1, "now they are a group");
	sim.grouped = true;
	if (draw(4) != 0)
		run_until(begin_us + TROUBLE_US, false);
	end_trouble();
	tell(-1, -1, "the trouble is over");
	settle_down(sim.now_us + SETTLE_US);
	run_until(sim.now_us + QUIET_US, true);
	return !sim.broken;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return run_history(strtoull(argv[1], NULL, 10), BUG_NONE, true) ? 0 : 1;
	for (uint64_t seed = 0; seed < HISTORIES; seed++) {
		if (!run_history(seed, BUG_NONE, false)) {
			printf("history %" PRIu64 " breaks a rule\n", seed);
			return 1;
		}
	}
	for (int bug = BUG_NONE + 1; bug < BUG_COUNT; bug++) {
		uint64_t seed = 0;
		while (seed < BUG_HISTORIES && run_history(seed, (enum bug)bug, false))
			seed++;
		printf("without G%d: history %" PRIu64 " fails\n", bug, seed);
		if (seed == BUG_HISTORIES)
			return 1;
	}
	printf("%d histories keep the rules\n", HISTORIES);
	return 0;
}
