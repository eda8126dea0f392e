/* Two state machines on a wire that loses, delays, duplicates and reorders, with a fake clock. Each
 * history is random but follows from its seed: nodes are killed, started, stopped and continued,
 * found unfit, told to resign, told that they are warm; the wire is cut one way or both.
 *
 * After the trouble the wire is sound and the nodes are left alone, and then must hold:
 *  - exactly one of the nodes that can serve is Active, within a few Active_Down_Intervals,
 *  - it stays so: no change of state at all in the time that follows,
 *  - who it is follows the failback policy: with preemption the better node; without it, whoever
 *    was alone in holding the VIP when the trouble ended (if it was fit then).
 *  - where both were Active until then, the winner's announcement is the last one that was made.
 * During the trouble: nobody holds the VIP who is not Active, and an operator's resignation moves
 * the VIP where the peer listens.
 *
 * Beside each machine stands its kernel with the sets of the fence (vrrp/core/fence.h), whose
 * timeouts are late or early by a jiffy, whatever is worse. In half of the histories the wire keeps
 * to what the fence assumes: it delays by no more than a claim's beat, never loses two packets of
 * one direction within 4 T (none if T is below 40 ms), and is not cut. There, whatever happens to
 *the processes, two leases are never alive at once.
 *
 * The rules are tested too: with a bug planted in the wiring some history must break one.
 *
 *	sim_pair [SEED]    one history, told step by step */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "vrrp/core/fence.h"
#include "vrrp/core/fsm.h"

#define HISTORIES     20000
#define BUG_HISTORIES 1000
#define WIRE_MAX      512
#define INBOX_MAX     512

enum bug {
	BUG_NONE,
	BUG_DEAF_ACTIVE,
	BUG_NO_HOLD,
	BUG_ALWAYS_PREEMPTS,
	BUG_SILENT_LOSER,
	BUG_RENEWS_ALWAYS,
	BUG_LONG_LEASE,
	BUG_OVERRIDES,
	BUG_DEAF_KERNEL,
	BUG_COUNT
};

struct packet {
	uint64_t at_us; /* when it arrives */
	int to;
	bool is_claim;
	uint8_t flags; /* of a claim */
	uint8_t priority;
	uint32_t interval_us;
};

/* Until when the elements of the fence's sets are alive. */
struct kernel {
	uint64_t lease_us, permit_us, peer_us, claim_us;
};

struct node {
	struct vrrp_fsm fsm;
	struct kernel kernel;
	bool alive, stopped, fit, has_vip;
	uint8_t priority;
	uint32_t interval_us;
	uint64_t wake_us; /* when its loop wants to run next */
	struct packet inbox[INBOX_MAX];
	size_t n_inbox;
};

struct world {
	uint64_t now_us, random;
	struct node nodes[2];
	struct packet wire[WIRE_MAX];
	size_t n_wire;
	bool strict; /* the wire keeps to what the fence assumes */
	uint64_t lost_us[2];
	bool cut[2]; /* packets to that node are lost */
	unsigned loss_percent, duplicate_percent;
	uint64_t delay_us;
	bool when_warm, warm[2];
	unsigned changes;
	enum bug bug;
	bool tell;
	int announcer; /* who announced the VIP last */
	bool was_dual; /* both were Active when the wire became sound */
	char broken[160];
};

static void tell(const struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(const struct world *w, const char *fmt, ...)
{
	if (!w->tell)
		return;
	va_list args;
	printf("%10.3f ms  ", (double)(w->now_us - US_PER_SEC) / 1e3);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

static void break_rule(struct world *w, const char *text)
{
	tell(w, "BROKEN: %s", text);
	if (!w->broken[0])
		snprintf(w->broken, sizeof(w->broken), "%s", text);
}

static uint64_t random_next(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random * 0x2545f4914f6cdd1dULL >> 11;
}

static uint64_t below(struct world *w, uint64_t n)
{
	return random_next(w) % n;
}

/* ---- the wire ---- */

static void put_on_wire(struct world *w, const struct packet *packet)
{
	if (w->n_wire < WIRE_MAX)
		w->wire[w->n_wire++] = *packet;
}

static bool is_lost(struct world *w, const struct packet *packet)
{
	if (w->cut[packet->to])
		return true;
	if (below(w, 100) >= w->loss_percent)
		return false;
	if (w->strict && w->now_us - w->lost_us[packet->to] < 4 * (uint64_t)packet->interval_us)
		return false;
	w->lost_us[packet->to] = w->now_us;
	return true;
}

static void transmit(struct world *w, const struct packet *packet)
{
	bool twice = below(w, 100) < w->duplicate_percent;
	for (int copy = 0; copy <= twice; copy++) {
		struct packet sent = *packet;
		sent.at_us = w->now_us + below(w, w->delay_us + 1);
		if (!is_lost(w, &sent))
			put_on_wire(w, &sent);
	}
}

/* ---- a node's kernel: what the fence's rules do ---- */

static uint64_t until(struct world *w, uint32_t timeout_ms, bool late)
{
	uint64_t jiffy_us = below(w, 4 * US_PER_MS), end_us = w->now_us + timeout_ms * US_PER_MS;
	return late ? end_us + jiffy_us : end_us - jiffy_us;
}

static struct vrrp_fence_times times_of(const struct node *node)
{
	return vrrp_fence_times(node->interval_us, node->fsm.active_interval_us);
}

static void check_leases(struct world *w)
{
	if (w->strict && w->nodes[0].kernel.lease_us > w->now_us &&
	    w->nodes[1].kernel.lease_us > w->now_us)
		break_rule(w, "two leases at once");
}

static bool may_renew(const struct world *w, const struct kernel *k)
{
	return k->lease_us > w->now_us || w->bug == BUG_RENEWS_ALWAYS;
}

static bool may_acquire(const struct world *w, const struct kernel *k)
{
	if (w->bug == BUG_DEAF_KERNEL)
		return true;
	return k->permit_us > w->now_us && k->peer_us <= w->now_us && k->claim_us <= w->now_us;
}

/* False: refused. */
static bool send_advert(struct world *w, int from)
{
	struct node *node = &w->nodes[from];
	struct packet packet = {
	    .to = !from, .priority = node->priority, .interval_us = node->interval_us};
	if (!may_renew(w, &node->kernel) && !may_acquire(w, &node->kernel))
		return false;
	uint32_t lease_ms = times_of(node).lease_ms;
	if (w->bug == BUG_LONG_LEASE)
		lease_ms *= 2;
	node->kernel.lease_us = until(w, lease_ms, true);
	transmit(w, &packet);
	check_leases(w);
	return true;
}

static void release(struct world *w, int i)
{
	w->nodes[i].kernel.lease_us = w->nodes[i].kernel.permit_us = 0;
}

static void send_leaving(struct world *w, int from)
{
	struct packet packet = {.to = !from, .interval_us = w->nodes[from].interval_us};
	release(w, from);
	transmit(w, &packet);
}

static void send_claim(struct world *w, int from, bool overrides)
{
	struct node *node = &w->nodes[from];
	struct packet packet = {.to = !from,
	    .is_claim = true,
	    .flags = vrrp_fsm_claim_flags(&node->fsm),
	    .priority = node->priority,
	    .interval_us = node->interval_us};
	if (overrides)
		node->kernel.peer_us = 0;
	node->kernel.permit_us = until(w, times_of(node).permit_ms, true);
	transmit(w, &packet);
}

/* Also while the processes are stopped or dead. */
static void hear(struct world *w, const struct packet *packet)
{
	struct node *node = &w->nodes[packet->to];
	if (packet->is_claim)
		node->kernel.claim_us = until(w, times_of(node).claim_ms, false);
	else
		node->kernel.peer_us =
		    packet->priority ? until(w, times_of(node).peer_ms, false) : 0;
}

/* ---- a node's shell ---- */

static void step(struct world *w, int i, enum vrrp_event event);

/* False: an advert was refused. */
static bool perform(struct world *w, int i, unsigned actions)
{
	struct node *node = &w->nodes[i];
	bool sent = true;
	if (actions & VRRP_DO_REMOVE_VIP)
		node->has_vip = false;
	if (actions & VRRP_DO_SEND_ADVERT)
		sent = send_advert(w, i);
	if (actions & VRRP_DO_RELEASE)
		release(w, i);
	if (actions & VRRP_DO_SEND_LEAVING)
		send_leaving(w, i);
	if (actions & (VRRP_DO_SEND_CLAIM | VRRP_DO_OVERRIDE))
		send_claim(w, i, actions & VRRP_DO_OVERRIDE);
	if (actions & VRRP_DO_ACQUIRE)
		sent = send_advert(w, i);
	if (!sent)
		return false;
	if (actions & VRRP_DO_ADD_VIP)
		node->has_vip = true;
	if (actions & VRRP_DO_ANNOUNCE)
		w->announcer = i;
	return true;
}

static void conclude(
    struct world *w, int i, enum vrrp_state before, unsigned actions, const char *why)
{
	struct node *node = &w->nodes[i];
	if (w->bug == BUG_SILENT_LOSER && (actions & VRRP_DO_REMOVE_VIP))
		actions &= ~(unsigned)VRRP_DO_SEND_ADVERT;
	if (w->bug == BUG_OVERRIDES && (actions & VRRP_DO_ACQUIRE))
		actions |= VRRP_DO_OVERRIDE;
	if (node->fsm.state != before) {
		w->changes += vrrp_state_outside(node->fsm.state) != vrrp_state_outside(before);
		tell(w, "node %d: %s -> %s: %s", i, vrrp_state_name(before),
		    vrrp_state_name(node->fsm.state), why);
	}
	bool sent = perform(w, i, actions);
	if (!sent) {
		tell(w, "node %d: the kernel refuses its advert", i);
		step(w, i, VRRP_EV_REFUSED);
	} else if (actions & VRRP_DO_ACQUIRE) {
		step(w, i, VRRP_EV_ACQUIRED);
	}
	if (node->has_vip != (vrrp_state_outside(node->fsm.state) == VRRP_ACTIVE))
		break_rule(w, "the VIP is where no Active is, or the other way round");
}

static void step(struct world *w, int i, enum vrrp_event event)
{
	struct node *node = &w->nodes[i];
	enum vrrp_state before = node->fsm.state;
	unsigned actions = vrrp_fsm_step(&node->fsm, event, w->now_us);
	if (actions && event == VRRP_EV_RESIGN && w->bug == BUG_NO_HOLD)
		node->fsm.timer_us = w->now_us;
	conclude(w, i, before, actions, vrrp_event_name(event));
}

static void read_inbox(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	for (size_t k = 0; k < node->n_inbox; k++) {
		const struct packet *packet = &node->inbox[k];
		enum vrrp_state before = node->fsm.state;
		if (w->bug == BUG_DEAF_ACTIVE && before == VRRP_ACTIVE)
			continue;
		/* Node 1 has the higher address. */
		int order = i == 0 ? 1 : -1;
		unsigned actions = packet->is_claim
				       ? vrrp_fsm_step(&node->fsm,
					     vrrp_fsm_classify_claim(&node->fsm, packet->priority,
						 order, packet->flags),
					     w->now_us)
				       : vrrp_fsm_advert(&node->fsm, packet->priority, order,
					     packet->interval_us, w->now_us);
		char why[32];
		snprintf(why, sizeof(why), "%s, priority %u", packet->is_claim ? "claim" : "advert",
		    packet->priority);
		conclude(w, i, before, actions, why);
	}
	node->n_inbox = 0;
}

/* What the real shell does at each wake-up, in its order. */
static void wake(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	node->fsm.preempt = w->bug == BUG_ALWAYS_PREEMPTS || (w->when_warm && w->warm[i]);
	if (vrrp_fsm_awake(&node->fsm, w->now_us))
		tell(w, "node %d: was stalled", i);
	read_inbox(w, i);
	enum vrrp_state before = node->fsm.state;
	conclude(w, i, before, vrrp_fsm_recheck(&node->fsm, w->now_us), "recheck");
	step(w, i, VRRP_EV_TIMER);
	node->wake_us = vrrp_fsm_wake_us(&node->fsm);
}

/* An event of the node itself, like a message of the proxy. */
static void order(struct world *w, int i, enum vrrp_event event)
{
	wake(w, i);
	step(w, i, event);
	w->nodes[i].wake_us = vrrp_fsm_wake_us(&w->nodes[i].fsm);
}

static bool runs(const struct node *node)
{
	return node->alive && !node->stopped;
}

/* ---- time ---- */

static void deliver(struct world *w)
{
	for (size_t k = 0; k < w->n_wire;) {
		struct packet packet = w->wire[k];
		if (packet.at_us > w->now_us) {
			k++;
			continue;
		}
		w->wire[k] = w->wire[--w->n_wire];
		struct node *node = &w->nodes[packet.to];
		hear(w, &packet);
		if (!node->alive)
			continue; /* no socket */
		if (node->n_inbox < INBOX_MAX)
			node->inbox[node->n_inbox++] = packet;
		if (!node->stopped)
			node->wake_us = w->now_us;
	}
}

static uint64_t next_event(const struct world *w, uint64_t until_us)
{
	uint64_t next = until_us;
	for (size_t k = 0; k < w->n_wire; k++)
		next = w->wire[k].at_us < next ? w->wire[k].at_us : next;
	for (int i = 0; i < 2; i++) {
		if (runs(&w->nodes[i]) && w->nodes[i].wake_us < next)
			next = w->nodes[i].wake_us;
	}
	return next < w->now_us ? w->now_us : next;
}

static void run_until(struct world *w, uint64_t until_us)
{
	while (!w->broken[0]) {
		w->now_us = next_event(w, until_us);
		deliver(w);
		for (int i = 0; i < 2; i++) {
			if (runs(&w->nodes[i]) && w->nodes[i].wake_us <= w->now_us)
				wake(w, i);
		}
		if (w->now_us >= until_us)
			return;
	}
}

/* ---- what happens to nodes ---- */

static void start(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	tell(w, "node %d: starts", i);
	node->alive = true;
	node->stopped = false;
	node->n_inbox = 0;
	node->kernel = (struct kernel){0};
	vrrp_fsm_init(&node->fsm, node->priority, node->interval_us, w->now_us);
	step(w, i, node->fit ? VRRP_EV_STARTUP : VRRP_EV_FAULT);
	node->wake_us = vrrp_fsm_wake_us(&node->fsm);
}

/* SIGKILL: the kernel takes the address when it likes, the lease when its time has come; the
 * supervisor may say goodbye. */
static void kill_node(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	bool was_active = node->fsm.state == VRRP_ACTIVE;
	bool goodbye = below(w, 2);
	tell(w, "node %d: killed%s", i, goodbye ? ", goodbye said for it" : "");
	node->alive = node->has_vip = false;
	node->fsm.state = VRRP_INITIALIZE;
	if (was_active && goodbye)
		send_leaving(w, i);
}

static void set_fit(struct world *w, int i, bool fit)
{
	tell(w, "node %d: %s", i, fit ? "fit" : "unfit");
	w->nodes[i].fit = fit;
	order(w, i, fit ? VRRP_EV_RECOVERED : VRRP_EV_FAULT);
}

static void disturb_node(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	if (!node->alive) {
		start(w, i);
		return;
	}
	if (node->stopped) {
		tell(w, "node %d: continues", i);
		node->stopped = false;
		wake(w, i);
		return;
	}
	switch (below(w, 6)) {
	case 0: kill_node(w, i); break;
	case 1:
		tell(w, "node %d: stopped", i);
		node->stopped = true;
		break;
	case 2: set_fit(w, i, !node->fit); break;
	case 3:
		tell(w, "node %d: told to resign", i);
		order(w, i, VRRP_EV_RESIGN);
		break;
	case 4: w->warm[i] = !w->warm[i]; break;
	default: order(w, i, VRRP_EV_SHUTDOWN); node->alive = false;
	}
}

static void disturb(struct world *w)
{
	switch (w->strict ? 7 : below(w, 8)) {
	case 0: w->cut[below(w, 2)] = true; break;
	case 1: w->cut[0] = w->cut[1] = below(w, 2); break;
	case 2: w->loss_percent = (unsigned)below(w, 60); break;
	case 3: w->delay_us = below(w, 40) * US_PER_MS; break;
	default: disturb_node(w, (int)below(w, 2));
	}
}

static void make_sound(struct world *w)
{
	tell(w, "the wire is sound, the nodes are whole");
	w->was_dual = true;
	for (int i = 0; i < 2; i++)
		w->was_dual &= runs(&w->nodes[i]) && w->nodes[i].fsm.state == VRRP_ACTIVE;
	w->n_wire = 0; /* nothing of an earlier life is still on its way */
	w->cut[0] = w->cut[1] = false;
	w->loss_percent = w->duplicate_percent = 0;
	w->delay_us = 300;
	w->warm[0] = w->warm[1] = true;
	for (int i = 0; i < 2; i++) {
		struct node *node = &w->nodes[i];
		if (node->stopped) {
			node->stopped = false;
			wake(w, i);
		}
		if (!node->alive) {
			node->fit = true;
			start(w, i);
		} else if (!node->fit) {
			set_fit(w, i, true);
		}
	}
}

/* ---- rules ---- */

static int only_active(const struct world *w)
{
	bool a = w->nodes[0].fsm.state == VRRP_ACTIVE, b = w->nodes[1].fsm.state == VRRP_ACTIVE;
	return a == b ? -1 : b;
}

/* Equal priorities: the higher address, but nobody preempts an equal. */
static int better(const struct world *w)
{
	if (w->nodes[0].priority == w->nodes[1].priority)
		return -1;
	return w->nodes[1].priority > w->nodes[0].priority;
}

static uint64_t longest_down_us(const struct world *w)
{
	uint32_t a = w->nodes[0].interval_us, b = w->nodes[1].interval_us;
	return 4 * (uint64_t)(a > b ? a : b);
}

/* Who alone holds the VIP, unless the other is just about to lose its patience: what it waits for
 * may have been lost before the wire was sound. */
static int incumbent_of(const struct world *w)
{
	int holder = only_active(w);
	if (holder < 0)
		return -1;
	uint64_t heard_us = w->now_us + w->nodes[holder].interval_us + 2 * w->delay_us;
	return w->nodes[!holder].fsm.timer_us > heard_us ? holder : -1;
}

static void check_settles(struct world *w)
{
	int incumbent = incumbent_of(w);
	uint64_t down_us = longest_down_us(w);
	run_until(w, w->now_us + 4 * down_us + 100 * US_PER_MS);
	int winner = only_active(w);
	if (winner < 0)
		break_rule(w, "not exactly one Active on a sound wire");
	else if (w->when_warm && better(w) >= 0 && winner != better(w))
		break_rule(w, "the better node did not take the VIP back");
	else if (!w->when_warm && incumbent >= 0 && winner != incumbent)
		break_rule(w, "the VIP left its holder without a reason");
	unsigned changes = w->changes;
	run_until(w, w->now_us + 10 * down_us);
	if (w->changes != changes)
		break_rule(w, "no peace on a sound wire");
	if (w->was_dual && winner >= 0 && w->announcer != winner)
		break_rule(w, "the neighbours believe the loser");
}

/* From peace: the operator moves the VIP; then the holder dies. */
static void check_orders(struct world *w)
{
	int holder = only_active(w);
	if (holder < 0 || w->broken[0])
		return;
	uint64_t down_us = longest_down_us(w);
	tell(w, "node %d: told to resign, in peace", holder);
	w->cut[!holder] = below(w, 2); /* is its priority 0 lost? */
	order(w, holder, VRRP_EV_RESIGN);
	w->cut[!holder] = false;
	uint64_t deadline = w->now_us + down_us + US_PER_MS;
	while (w->now_us < deadline && only_active(w) != !holder && !w->broken[0])
		run_until(w, w->now_us + US_PER_MS);
	if (only_active(w) != !holder)
		break_rule(w, "an order to resign did not move the VIP");
	run_until(w, w->now_us + 2 * down_us);
	holder = only_active(w);
	if (holder < 0)
		break_rule(w, "not exactly one Active after a resignation");
	if (w->broken[0])
		return;
	kill_node(w, holder);
	run_until(w, w->now_us + down_us + 10 * US_PER_MS);
	if (w->nodes[!holder].fsm.state != VRRP_ACTIVE)
		break_rule(w, "nobody took over from a dead Active");
}

static void run_history(struct world *w, uint64_t seed, enum bug bug, bool talk)
{
	static const uint32_t intervals_ms[] = {10, 50, 100, 1000};
	memset(w, 0, sizeof(*w));
	w->now_us = US_PER_SEC;
	w->random = seed * 0x9e3779b97f4a7c15ULL + 0x1234567;
	w->bug = bug;
	w->tell = talk;
	for (int k = 0; k < 8; k++)
		random_next(w);
	uint32_t interval_us = intervals_ms[below(w, 4)] * (uint32_t)US_PER_MS;
	w->when_warm = below(w, 2);
	w->strict = bug >= BUG_RENEWS_ALWAYS || (bug == BUG_NONE && below(w, 2));
	w->delay_us = w->strict ? vrrp_claim_beat_us(interval_us) : below(w, 5) * US_PER_MS;
	w->loss_percent = w->strict ? (unsigned)below(w, 30) : 0;
	if (w->strict && interval_us < 40000)
		w->loss_percent = 0;
	w->duplicate_percent = (unsigned)below(w, 20);
	for (int i = 0; i < 2; i++) {
		w->nodes[i].fit = true;
		w->nodes[i].interval_us = w->strict || below(w, 8) ? interval_us : 2 * interval_us;
		w->nodes[i].priority = (uint8_t)(1 + below(w, 254));
	}
	if (below(w, 10) == 0)
		w->nodes[1].priority = w->nodes[0].priority;
	tell(w, "priorities %u and %u, every %u and %u us, failback %s", w->nodes[0].priority,
	    w->nodes[1].priority, w->nodes[0].interval_us, w->nodes[1].interval_us,
	    w->when_warm ? "when_warm" : "manual");
	start(w, 0);
	if (below(w, 2))
		start(w, 1);
	for (uint64_t n = below(w, 20); n > 0 && !w->broken[0]; n--) {
		run_until(w, w->now_us + below(w, 6 * interval_us));
		disturb(w);
	}
	make_sound(w);
	check_settles(w);
	check_orders(w);
}

static uint64_t count_broken(struct world *w, enum bug bug, uint64_t histories)
{
	uint64_t broken = 0;
	for (uint64_t seed = 1; seed <= histories; seed++) {
		run_history(w, seed, bug, false);
		if (!w->broken[0])
			continue;
		broken++;
		if (bug == BUG_NONE)
			printf("seed %" PRIu64 ": %s\n", seed, w->broken);
	}
	return broken;
}

int main(int argc, char **argv)
{
	static struct world w;
	static const char *const bugs[BUG_COUNT] = {
	    [BUG_DEAF_ACTIVE] = "an Active that does not listen",
	    [BUG_NO_HOLD] = "a resigned node that does not wait",
	    [BUG_ALWAYS_PREEMPTS] = "preemption against the policy",
	    [BUG_SILENT_LOSER] = "an Active that yields without a last advert",
	    [BUG_RENEWS_ALWAYS] = "each advert renews the lease, also when it is over",
	    [BUG_LONG_LEASE] = "a lease longer than the peer's patience",
	    [BUG_OVERRIDES] = "a claimant that overrides an Active who is silent",
	    [BUG_DEAF_KERNEL] = "a lease for whoever wants it",
	};
	if (argc > 1) {
		run_history(&w, strtoull(argv[1], NULL, 10), BUG_NONE, true);
		return w.broken[0] ? 1 : 0;
	}
	int result = 0;
	for (int bug = 1; bug < BUG_COUNT; bug++) {
		uint64_t found = count_broken(&w, (enum bug)bug, BUG_HISTORIES);
		printf("planted: %s: %" PRIu64 " of %d histories break a rule\n", bugs[bug], found,
		    BUG_HISTORIES);
		if (found == 0)
			result = 1;
	}
	uint64_t broken = count_broken(&w, BUG_NONE, HISTORIES);
	printf("%d histories, %" PRIu64 " broken\n", HISTORIES, broken);
	return result || broken ? 1 : 0;
}
