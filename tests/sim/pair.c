/* Two nodes (node.h) on a wire that loses, delays, duplicates and reorders, and with a replication
 * channel that may be late or missing. Each history is random but follows from its seed: nodes are
 * killed, started, stopped and continued, found unfit, told to resign, told that they are warm; the
 * wire is cut one way or both.
 *
 * After the trouble the wire is sound and the nodes are left alone, and then must hold:
 *  - exactly one of the nodes that can serve is Active, within a few Active_Down_Intervals,
 *  - it stays so: no change of state at all in the time that follows,
 *  - who it is follows the failback policy: with preemption the better node; without it, whoever
 *    was alone in holding the VIP when the trouble ended (if it was fit then).
 *  - where both were Active until then, the winner's announcement is the last one that was made.
 * During the trouble: nobody holds the VIP who is not Active, and an operator's resignation moves
 * the VIP where the peer listens, in the time of a claim where the channel tells it.
 *
 * The timeouts of the fence are late or early by a jiffy, whatever is worse. In half of the
 * histories the wire keeps to what the fence assumes: it delays by no more than a claim's beat,
 * never loses two packets of one direction within 4 T (none if T is below 40 ms), and is not cut.
 * There, whatever happens to the processes, two leases are never alive at once.
 *
 * The rules are tested too: without one of them some history must break.
 *
 *	sim_pair [SEED]    one history, told step by step */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "tests/sim/node.h"
#include "vrrp/core/fence.h"

#define HISTORIES         20000
#define LAWLESS_HISTORIES 1000
#define WIRE_MAX          512
#define CHANNEL_MAX       64

struct flight {
	uint64_t at_us; /* when it arrives */
	int to;
	struct sim_packet packet;
};

/* What the replication channel carries, in order. */
struct message {
	uint64_t at_us, said_us;
	bool handover; /* or evidence */
};

struct channel {
	struct message messages[CHANNEL_MAX];
	size_t n;
};

struct node {
	struct sim_node sim;
	bool alive, stopped, fit;
	uint8_t priority;
	uint32_t interval_us;
	uint64_t wake_us;       /* when its loop wants to run next */
	struct channel channel; /* to it */
};

struct world {
	struct sim_world sim;
	uint64_t random;
	struct node nodes[2];
	struct flight wire[WIRE_MAX];
	size_t n_wire;
	bool strict; /* the wire keeps to what the fence assumes */
	uint64_t lost_us[2];
	bool cut[2]; /* packets to that node are lost */
	unsigned loss_percent, duplicate_percent;
	uint64_t delay_us;
	bool has_channel;
	uint64_t channel_delay_us;
	bool when_warm, warm[2];
	unsigned changes;
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
	printf("%10.3f ms  ", (double)(w->sim.now_us - US_PER_SEC) / 1e3);
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

static bool is_lost(struct world *w, const struct flight *flight)
{
	uint64_t pause_us = 4 * (uint64_t)flight->packet.interval_us;
	if (w->cut[flight->to])
		return true;
	if (below(w, 100) >= w->loss_percent)
		return false;
	if (w->strict && w->sim.now_us - w->lost_us[flight->to] < pause_us)
		return false;
	w->lost_us[flight->to] = w->sim.now_us;
	return true;
}

static void transmit(struct world *w, int to, const struct sim_packet *packet)
{
	bool twice = below(w, 100) < w->duplicate_percent;
	for (int copy = 0; copy <= twice; copy++) {
		struct flight flight = {.at_us = w->sim.now_us + below(w, w->delay_us + 1),
		    .to = to,
		    .packet = *packet};
		if (!is_lost(w, &flight) && w->n_wire < WIRE_MAX)
			w->wire[w->n_wire++] = flight;
	}
}

static void say(struct world *w, int to, bool handover)
{
	struct channel *channel = &w->nodes[to].channel;
	uint64_t at_us = w->sim.now_us + below(w, w->channel_delay_us + 1);
	if (!w->has_channel || channel->n == CHANNEL_MAX)
		return;
	if (channel->n && channel->messages[channel->n - 1].at_us > at_us)
		at_us = channel->messages[channel->n - 1].at_us;
	channel->messages[channel->n++] =
	    (struct message){.at_us = at_us, .said_us = w->sim.now_us, .handover = handover};
}

/* ---- a node's view of the world ---- */

static struct world *world_of(struct sim_world *sim)
{
	return (struct world *)sim; /* its first member */
}

static int index_of(const struct world *w, const struct sim_node *node)
{
	return node == &w->nodes[1].sim;
}

static bool runs(const struct node *node)
{
	return node->alive && !node->stopped;
}

static uint64_t until(struct world *w, uint32_t timeout_ms, bool late)
{
	uint64_t jiffy_us = below(w, 4 * US_PER_MS);
	uint64_t end_us = w->sim.now_us + timeout_ms * US_PER_MS;
	return late ? end_us + jiffy_us : end_us - jiffy_us;
}

/* The times of a lease below 40 ms count on whole jiffies (core/fence.h). */
static struct sim_kernel ends_of(struct sim_world *sim, const struct sim_node *node)
{
	struct world *w = world_of(sim);
	uint32_t interval_us = w->nodes[index_of(w, node)].interval_us;
	struct vrrp_fence_times times = vrrp_fence_times(interval_us, node->fsm.active_interval_us);
	uint32_t lease_ms =
	    sim_holds(sim, SIM_RULE_SHORT_LEASE) ? times.lease_ms : 2 * times.lease_ms;
	return (struct sim_kernel){
	    .lease_us = interval_us < 40000 ? w->sim.now_us + lease_ms * US_PER_MS
					    : until(w, lease_ms, true),
	    .permit_us = until(w, times.permit_ms, true),
	    .peer_us = until(w, times.peer_ms, false),
	    .claim_us = until(w, times.claim_ms, false),
	};
}

static void on_sent(struct sim_world *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct world *w = world_of(sim);
	int from = index_of(w, node);
	transmit(w, !from, packet);
	if (packet->kind == SIM_ADVERT && w->nodes[from].alive)
		say(w, !from, packet->priority == 0);
	if (w->strict && sim_node_leased(sim, &w->nodes[0].sim) &&
	    sim_node_leased(sim, &w->nodes[1].sim))
		break_rule(w, "two leases at once");
}

static void on_stepped(
    struct sim_world *sim, struct sim_node *node, enum vrrp_state before, const char *why)
{
	struct world *w = world_of(sim);
	enum vrrp_state after = node->fsm.state;
	w->changes += vrrp_state_outside(after) != vrrp_state_outside(before);
	if (after != before)
		tell(w, "node %d: %s -> %s: %s", index_of(w, node), vrrp_state_name(before),
		    vrrp_state_name(after), why);
}

/* After whatever a node did. */
static void look_at(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	bool active = vrrp_state_outside(node->sim.fsm.state) == VRRP_ACTIVE;
	if (node->sim.announced)
		w->announcer = i;
	node->sim.announced = false;
	if (node->sim.has_vip != active)
		break_rule(w, "the VIP is where no Active is, or the other way round");
	node->wake_us = vrrp_fsm_wake_us(&node->sim.fsm);
}

static void wake(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	node->sim.fsm.preempt =
	    !sim_holds(&w->sim, SIM_RULE_POLICY) || (w->when_warm && w->warm[i]);
	sim_node_wake(&w->sim, &node->sim);
	look_at(w, i);
}

/* An event of the node itself, like a message of the proxy. */
static void order(struct world *w, int i, enum vrrp_event event)
{
	wake(w, i);
	sim_node_order(&w->sim, &w->nodes[i].sim, event);
	look_at(w, i);
}

/* The age of evidence is known roughly, and never too low. */
static void take_message(struct world *w, int i, const struct message *message)
{
	static const struct sim_packet handover = {.kind = SIM_HANDOVER};
	struct node *node = &w->nodes[i];
	uint64_t age_us = w->sim.now_us - message->said_us;
	if (message->handover)
		sim_node_queue(&node->sim, &handover);
	wake(w, i);
	if (!message->handover)
		sim_node_evidence(&w->sim, &node->sim, w->nodes[!i].priority,
		    age_us + below(w, node->interval_us / 4));
	look_at(w, i);
}

/* ---- time ---- */

static void deliver(struct world *w)
{
	for (size_t k = 0; k < w->n_wire;) {
		struct flight flight = w->wire[k];
		if (flight.at_us > w->sim.now_us) {
			k++;
			continue;
		}
		w->wire[k] = w->wire[--w->n_wire];
		struct node *node = &w->nodes[flight.to];
		sim_node_hear(&w->sim, &node->sim, &flight.packet);
		if (!node->alive)
			continue; /* no socket */
		sim_node_queue(&node->sim, &flight.packet);
		if (!node->stopped)
			node->wake_us = w->sim.now_us;
	}
}

/* A node that is stopped reads it later; one that is dead, never. */
static void read_channel(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	struct channel *channel = &node->channel;
	while (!node->stopped && channel->n && channel->messages[0].at_us <= w->sim.now_us) {
		struct message message = channel->messages[0];
		memmove(channel->messages, channel->messages + 1,
		    --channel->n * sizeof(*channel->messages));
		if (node->alive)
			take_message(w, i, &message);
	}
}

static uint64_t next_event(const struct world *w, uint64_t until_us)
{
	uint64_t next = until_us;
	for (size_t k = 0; k < w->n_wire; k++)
		next = w->wire[k].at_us < next ? w->wire[k].at_us : next;
	for (int i = 0; i < 2; i++) {
		const struct channel *channel = &w->nodes[i].channel;
		if (runs(&w->nodes[i]) && w->nodes[i].wake_us < next)
			next = w->nodes[i].wake_us;
		if (runs(&w->nodes[i]) && channel->n && channel->messages[0].at_us < next)
			next = channel->messages[0].at_us;
	}
	return next < w->sim.now_us ? w->sim.now_us : next;
}

static void run_until(struct world *w, uint64_t until_us)
{
	while (!w->broken[0]) {
		w->sim.now_us = next_event(w, until_us);
		deliver(w);
		for (int i = 0; i < 2; i++) {
			read_channel(w, i);
			if (runs(&w->nodes[i]) && w->nodes[i].wake_us <= w->sim.now_us)
				wake(w, i);
		}
		if (w->sim.now_us >= until_us)
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
	sim_node_start(&w->sim, &node->sim, node->priority, node->interval_us);
	sim_node_order(&w->sim, &node->sim, node->fit ? VRRP_EV_STARTUP : VRRP_EV_FAULT);
	look_at(w, i);
}

/* SIGKILL: the kernel takes the address when it likes, the lease when its time has come; the
 * supervisor may say goodbye. */
static void kill_node(struct world *w, int i)
{
	struct node *node = &w->nodes[i];
	bool was_active = vrrp_state_outside(node->sim.fsm.state) == VRRP_ACTIVE;
	bool goodbye = below(w, 2);
	tell(w, "node %d: killed%s", i, goodbye ? ", goodbye said for it" : "");
	node->alive = node->sim.has_vip = false;
	node->sim.n_inbox = 0;
	node->sim.fsm.state = VRRP_INITIALIZE;
	if (was_active && goodbye)
		sim_node_say_leaving(&w->sim, &node->sim);
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
	switch (w->strict ? 8 : below(w, 9)) {
	case 0: w->cut[below(w, 2)] = true; break;
	case 1: w->cut[0] = w->cut[1] = below(w, 2); break;
	case 2: w->loss_percent = (unsigned)below(w, 60); break;
	case 3: w->delay_us = below(w, 40) * US_PER_MS; break;
	case 4: w->has_channel = below(w, 2); break;
	default: disturb_node(w, (int)below(w, 2));
	}
}

static void make_sound(struct world *w)
{
	tell(w, "the wire is sound, the nodes are whole");
	w->was_dual = true;
	for (int i = 0; i < 2; i++)
		w->was_dual &= runs(&w->nodes[i]) && w->nodes[i].sim.fsm.state == VRRP_ACTIVE;
	w->n_wire = 0; /* nothing of an earlier life is still on its way */
	w->cut[0] = w->cut[1] = false;
	w->loss_percent = w->duplicate_percent = 0;
	w->delay_us = 300;
	w->channel_delay_us = 500;
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
	bool a = vrrp_state_outside(w->nodes[0].sim.fsm.state) == VRRP_ACTIVE;
	bool b = vrrp_state_outside(w->nodes[1].sim.fsm.state) == VRRP_ACTIVE;
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
	uint64_t heard_us = w->sim.now_us + w->nodes[holder].interval_us + 2 * w->delay_us;
	return w->nodes[!holder].sim.fsm.timer_us > heard_us ? holder : -1;
}

static void check_settles(struct world *w)
{
	int incumbent = incumbent_of(w);
	uint64_t down_us = longest_down_us(w);
	run_until(w, w->sim.now_us + 4 * down_us + 100 * US_PER_MS);
	int winner = only_active(w);
	if (winner < 0)
		break_rule(w, "not exactly one Active on a sound wire");
	else if (w->when_warm && better(w) >= 0 && winner != better(w))
		break_rule(w, "the better node did not take the VIP back");
	else if (!w->when_warm && incumbent >= 0 && winner != incumbent)
		break_rule(w, "the VIP left its holder without a reason");
	unsigned changes = w->changes;
	run_until(w, w->sim.now_us + 10 * down_us);
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
	while (w->n_wire) /* an advert that comes after the priority 0 would contradict it */
		run_until(w, w->sim.now_us + 100);
	tell(w, "node %d: told to resign, in peace", holder);
	bool lost = w->cut[!holder] = below(w, 2); /* is its priority 0 lost? */
	uint64_t claim_us = vrrp_claim_us(w->nodes[!holder].interval_us);
	order(w, holder, VRRP_EV_RESIGN);
	w->cut[!holder] = false;
	uint64_t planned_us = w->sim.now_us + claim_us + w->channel_delay_us + 2 * US_PER_MS;
	uint64_t deadline =
	    w->has_channel && !lost ? planned_us : w->sim.now_us + down_us + US_PER_MS;
	while (w->sim.now_us < deadline && only_active(w) != !holder && !w->broken[0])
		run_until(w, w->sim.now_us + US_PER_MS);
	if (only_active(w) != !holder)
		break_rule(w, "an order to resign did not move the VIP");
	run_until(w, w->sim.now_us + 2 * down_us);
	holder = only_active(w);
	if (holder < 0)
		break_rule(w, "not exactly one Active after a resignation");
	if (w->broken[0])
		return;
	kill_node(w, holder);
	run_until(w, w->sim.now_us + down_us + 10 * US_PER_MS);
	if (w->nodes[!holder].sim.fsm.state != VRRP_ACTIVE)
		break_rule(w, "nobody took over from a dead Active");
}

static void run_history(struct world *w, uint64_t seed, enum sim_rule without, bool talk)
{
	static const uint32_t intervals_ms[] = {10, 50, 100, 1000};
	memset(w, 0, sizeof(*w));
	w->sim = (struct sim_world){.now_us = US_PER_SEC,
	    .without = without,
	    .ends = ends_of,
	    .sent = on_sent,
	    .stepped = on_stepped};
	w->random = seed * 0x9e3779b97f4a7c15ULL + 0x1234567;
	w->tell = talk;
	for (int k = 0; k < 8; k++)
		random_next(w);
	uint32_t interval_us = intervals_ms[below(w, 4)] * (uint32_t)US_PER_MS;
	w->when_warm = below(w, 2);
	w->strict = below(w, 2);
	w->has_channel = below(w, 2);
	w->channel_delay_us = below(w, 2 * interval_us);
	w->delay_us = w->strict ? vrrp_claim_beat_us(interval_us) : below(w, 5) * US_PER_MS;
	w->loss_percent = w->strict ? (unsigned)below(w, 30) : 0;
	if (w->strict && interval_us < 40000)
		w->loss_percent = 0;
	w->duplicate_percent = (unsigned)below(w, 20);
	for (int i = 0; i < 2; i++) {
		w->nodes[i].fit = true;
		w->nodes[i].interval_us = w->strict || below(w, 8) ? interval_us : 2 * interval_us;
		w->nodes[i].priority = (uint8_t)(1 + below(w, 254));
		w->nodes[i].sim.order = i == 0 ? 1 : -1; /* node 1 has the higher address */
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
		run_until(w, w->sim.now_us + below(w, 6 * interval_us));
		disturb(w);
	}
	make_sound(w);
	check_settles(w);
	check_orders(w);
}

static uint64_t count_broken(
    struct world *w, enum sim_rule without, uint64_t histories, uint64_t *simulated_us)
{
	uint64_t broken = 0;
	for (uint64_t seed = 1; seed <= histories; seed++) {
		run_history(w, seed, without, false);
		*simulated_us += w->sim.now_us;
		if (!w->broken[0])
			continue;
		broken++;
		if (without == SIM_RULE_COUNT)
			printf("seed %" PRIu64 ": %s\n", seed, w->broken);
	}
	return broken;
}

/* The rules that show in histories like these; explore.c has the others. */
static const enum sim_rule shown[] = {SIM_RULE_ATTENTION, SIM_RULE_HOLD, SIM_RULE_POLICY,
    SIM_RULE_LAST_WORD, SIM_RULE_RENEWAL, SIM_RULE_SHORT_LEASE};

int main(int argc, char **argv)
{
	static struct world w;
	uint64_t simulated_us = 0;
	if (argc > 1) {
		run_history(&w, strtoull(argv[1], NULL, 10), SIM_RULE_COUNT, true);
		return w.broken[0] ? 1 : 0;
	}
	int result = 0;
	for (size_t k = 0; k < sizeof(shown) / sizeof(shown[0]); k++) {
		uint64_t found = count_broken(&w, shown[k], LAWLESS_HISTORIES, &simulated_us);
		printf("without a rule, %s: %" PRIu64 " of %d histories break\n",
		    sim_rule_text(shown[k]), found, LAWLESS_HISTORIES);
		if (found == 0)
			result = 1;
	}
	simulated_us = 0;
	uint64_t broken = count_broken(&w, SIM_RULE_COUNT, HISTORIES, &simulated_us);
	printf("%d histories, %.1f hours, %" PRIu64 " broken\n", HISTORIES,
	    (double)simulated_us / 3.6e9, broken);
	return result || broken ? 1 : 0;
}
