#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vrrp/core/fence.h"

#define D      1
#define W      3
#define JIFFY  1
#define LEASE  (2 * T - D - JIFFY)
#define PERMIT (W + 2 * JIFFY)
#define CLAIM  (PERMIT + D + 2 * JIFFY)
#define PEER   (3 * T - W)
#define ANSWER (4 * T)

struct run run;

uint32_t vrrp_claim_beat_us(uint32_t interval_us)
{
	(void)interval_us;
	return D;
}

uint32_t vrrp_claim_us(uint32_t interval_us)
{
	(void)interval_us;
	return W;
}

uint32_t vrrp_answer_us(void)
{
	return ANSWER;
}

uint32_t vrrp_claim_outbid_us(uint32_t interval_us)
{
	(void)interval_us;
	return CLAIM + JIFFY;
}
/* ---- choices ---- */

static const char *fault_text(unsigned fault)
{
	static const char *const texts[FAULT_COUNT] = {
#define X(name, text) [name] = text,
	    FAULTS(X)
#undef X
	};
	return texts[fault];
}

static void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *fmt, ...)
{
	if (!run.talk)
		return;
	va_list args;
	printf("%5u  ", run.tick);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

static unsigned choose(unsigned n)
{
	struct script *script = &run.script;
	if (run.usual || n < 2)
		return 0;
	if (script->at == sizeof(script->value)) {
		fprintf(stderr, "too many choices in one step\n");
		abort();
	}
	if (script->at == script->len) {
		script->value[script->len] = 0;
		script->n[script->len++] = (uint8_t)n;
	}
	return script->value[script->at++];
}

/* The next script, or false when all were tried. */
bool world_count_up(struct script *script)
{
	script->at = 0;
	while (script->len) {
		if (++script->value[script->len - 1] < script->n[script->len - 1])
			return true;
		script->len--;
	}
	return false;
}

/* Perhaps this fault, here and now. */
static bool fails(struct world *w, enum fault fault)
{
	if (!w->faults || !(run.kinds >> fault & 1) || choose(2) == 0)
		return false;
	w->faults--;
	return true;
}

void world_break_rule(const char *text)
{
	tell("BROKEN: %s", text);
	if (!run.broken)
		run.broken = text;
}

static struct world *world_of(struct sim_world *sim)
{
	return (struct world *)sim; /* its first member */
}

static int index_of(const struct world *w, const struct sim_node *node)
{
	return node == &w->hosts[1].node;
}

static bool runs(const struct host *host)
{
	return host->vrrp == RUNNING && !host->frozen;
}

static bool serves(const struct host *host)
{
	return host->proxy == RUNNING && !host->frozen;
}

/* ---- the node's view: kernel times, the wire, pauses ---- */

static struct sim_kernel ends_of(struct sim_world *sim, const struct sim_node *node)
{
	(void)node;
	unsigned lease = sim_holds(sim, SIM_RULE_SHORT_LEASE) ? LEASE : 4 * T;
	unsigned claim = sim_holds(sim, SIM_RULE_LONG_MEMORY) ? CLAIM : PERMIT;
	return (struct sim_kernel){
	    .lease_us = NOW + lease + JIFFY,
	    .permit_us = NOW + PERMIT + JIFFY,
	    .peer_us = NOW + PEER - JIFFY,
	    .claim_us = NOW + claim - JIFFY,
	};
}

static void check_leases(struct world *w)
{
	struct sim_node *a = &w->hosts[0].node, *b = &w->hosts[1].node;
	bool two = sim_node_leased(&w->sim, a) && sim_node_leased(&w->sim, b);
	bool both = sim_node_answers(&w->sim, a) && sim_node_answers(&w->sim, b);
	if (!two && !both)
		return;
	run.dual++;
	if (!w->severed)
		world_break_rule(two ? "two leases at once" : "two nodes answer");
}

static const char *packet_text(const struct sim_packet *packet)
{
	static char text[32];
	snprintf(text, sizeof(text), packet->kind == SIM_CLAIM ? "claim %u%s" : "advert %u%s",
	    packet->priority, packet->flags & 4 ? " of the incumbent" : "");
	return text;
}

static void put(struct flight *list, uint8_t *n, const struct sim_packet *packet, int to)
{
	if (*n == WIRE_MAX) {
		fprintf(stderr, "the wire is full\n");
		abort();
	}
	list[(*n)++] = (struct flight){.packet = *packet, .to = (uint8_t)to};
}

static void send_handover(struct world *w, int from);
static void note_announcement(struct world *w, int i);
static void say_claim(struct world *w, int from, const struct sim_packet *packet);

static void on_sent(struct sim_world *sim, struct sim_node *node, const struct sim_packet *packet)
{
	struct world *w = world_of(sim);
	int from = index_of(w, node);
	check_leases(w);
	bool lost = w->cut[!from] || fails(w, LOSE), twice = !lost && fails(w, DOUBLE);
	bool late = !lost && !twice && choose(2);
	if (run.talk)
		tell("node %d: %s%s%s%s", from, packet_text(packet), late ? ", late" : "",
		    lost ? ", lost" : "", twice ? ", doubled" : "");
	if (!lost && !late)
		put(w->now, &w->n_now, packet, !from);
	if (twice || late)
		put(w->wire, &w->n_wire, packet, !from);
	if (packet->kind == SIM_ADVERT && !packet->priority && w->hosts[from].vrrp != DEAD)
		send_handover(w, from);
	if (packet->kind == SIM_CLAIM && sim_holds(sim, SIM_RULE_BOTH_PATHS))
		say_claim(w, from, packet);
}

static void kill_vrrp(struct world *w, int i)
{
	struct host *host = &w->hosts[i];
	struct sim_kernel kernel = host->node.kernel;
	host->known_active = vrrp_state_outside(host->node.fsm.state) == VRRP_ACTIVE;
	host->node = (struct sim_node){
	    .order = host->node.order, .kernel = kernel, .has_vip = host->node.has_vip};
	host->vrrp = DEAD;
	host->buried = false;
}

/* In the midst of things. */
static bool pauses(struct sim_world *sim, struct sim_node *node)
{
	struct world *w = world_of(sim);
	struct host *host = &w->hosts[index_of(w, node)];
	if (!runs(host))
		return true;
	enum fault fault = fails(w, STOP_MIDWAY)   ? STOP_MIDWAY
			   : fails(w, KILL_MIDWAY) ? KILL_MIDWAY
						   : FAULT_COUNT;
	if (fault == FAULT_COUNT)
		return false;
	tell("node %d: %s", index_of(w, node), fault_text(fault));
	if (fault == STOP_MIDWAY)
		host->vrrp = STOPPED;
	else
		kill_vrrp(w, index_of(w, node));
	return true;
}

static void on_stepped(
    struct sim_world *sim, struct sim_node *node, enum vrrp_state before, const char *why)
{
	struct world *w = world_of(sim);
	if (node->fsm.state != before)
		tell("node %d: %s -> %s: %s", index_of(w, node), vrrp_state_name(before),
		    vrrp_state_name(node->fsm.state), why);
}

static bool is_same(const struct sim_packet *a, const struct sim_packet *b)
{
	return a->kind == b->kind && a->flags == b->flags && a->priority == b->priority;
}

/* Of equal packets in a row, the second says nothing new. */
static void queue(struct sim_node *node, const struct sim_packet *packet)
{
	bool again = node->n_inbox && is_same(&node->inbox[node->n_inbox - 1], packet);
	if (!again && node->n_inbox < INBOX_MAX)
		sim_node_queue(node, packet);
}

/* ---- the replication channel ---- */

static void take_evidence(struct world *w, int to, uint8_t age)
{
	struct host *host = &w->hosts[to];
	if (!runs(host) || !serves(host) || host->node.stage != SIM_ASLEEP || host->node.pending)
		return;
	sim_node_evidence(&w->sim, &host->node, run.priorities[!to], age);
	note_announcement(w, to);
}

/* A question of that node reaches the other one, which says yes or nothing. */
static void ask(struct world *w, int from)
{
	struct host *holder = &w->hosts[!from];
	if (w->sync == DEAD || !serves(&w->hosts[from]) || !serves(holder) || !runs(holder) ||
	    holder->node.fsm.state != VRRP_ACTIVE || !sim_node_leased(&w->sim, &holder->node))
		return;
	w->channels[from].has_evidence = true;
	w->channels[from].age = 0;
}

/* Every half interval, where adverts are missing. */
static void inquire(struct world *w, int i)
{
	struct host *host = &w->hosts[i];
	if (!runs(host) || host->pause || NOW <= host->node.fsm.quiet_us + 3 * T / 2)
		return;
	host->pause = T / 2;
	ask(w, i);
}

/* Claims that are late are nothing worth. A claim is a question, too. */
static void say_claim(struct world *w, int from, const struct sim_packet *packet)
{
	struct host *to = &w->hosts[!from];
	if (w->sync == RUNNING && serves(&w->hosts[from]) && serves(to) && to->vrrp != DEAD)
		queue(&to->node, packet);
	ask(w, from);
}

static void send_handover(struct world *w, int from)
{
	if (serves(&w->hosts[from]) && w->sync != DEAD)
		w->channels[!from].has_handover = true;
}

/* In order: an order to take over is the last word of an Active. */
static void empty_channel(struct world *w, int to)
{
	static const struct sim_packet handover = {.kind = SIM_HANDOVER};
	struct channel channel = w->channels[to];
	if (w->sync != RUNNING)
		return;
	w->channels[to] = (struct channel){0};
	if (channel.has_evidence)
		take_evidence(w, to, channel.age);
	if (channel.has_handover && serves(&w->hosts[to]) && w->hosts[to].vrrp != DEAD) {
		tell("node %d: the VIP is handed to it", to);
		queue(&w->hosts[to].node, &handover);
	}
}

/* ---- what a node does in a tick ---- */

static bool is_fit(const struct world *w, const struct host *host)
{
	if (host->proxy == DEAD)
		return false;
	return host->silence < SILENT || !sim_holds(&w->sim, SIM_RULE_WATCHDOG);
}

/* yoked is gone: yoke-vrrp resigns and ends. */
static void leave_service(struct world *w, int i)
{
	struct host *host = &w->hosts[i];
	if (sim_node_order(&w->sim, &host->node, VRRP_EV_SHUTDOWN) && host->vrrp == RUNNING) {
		kill_vrrp(w, i);
		host->known_active = false;
	}
}

/* An Active that hears it, and goes on being Active, announces itself again. */
static void note_announcement(struct world *w, int i)
{
	struct host *host = &w->hosts[i], *other = &w->hosts[!i];
	if (!host->node.announced)
		return;
	host->node.announced = false;
	w->announcer = (uint8_t)i;
	if (runs(other) && other->node.fsm.state == VRRP_ACTIVE &&
	    host->node.fsm.state != VRRP_ACTIVE)
		w->announcer = (uint8_t)!i;
}

static void run_node(struct world *w, int i)
{
	struct host *host = &w->hosts[i];
	struct vrrp_fsm *fsm = &host->node.fsm;
	bool midway = host->node.stage != SIM_ASLEEP || host->node.pending;
	bool fit = is_fit(w, host),
	     settled = fit ? fsm->state != VRRP_FAULT && fsm->state != VRRP_INITIALIZE
			   : fsm->state == VRRP_FAULT;
	if (!runs(host) || (!midway && !host->node.n_inbox && settled && host->yoked != DEAD &&
			       vrrp_fsm_wake_us(fsm) > NOW))
		return;
	fsm->preempt = run.preempt || !sim_holds(&w->sim, SIM_RULE_POLICY);
	if (!sim_node_wake(&w->sim, &host->node))
		; /* it pauses */
	else if (host->yoked == DEAD)
		leave_service(w, i);
	else if (!fit && fsm->state != VRRP_FAULT)
		sim_node_order(&w->sim, &host->node, VRRP_EV_FAULT);
	else if (fit && fsm->state == VRRP_FAULT)
		sim_node_order(&w->sim, &host->node, VRRP_EV_RECOVERED);
	else if (fit && fsm->state == VRRP_INITIALIZE)
		sim_node_order(&w->sim, &host->node, VRRP_EV_STARTUP);
	note_announcement(w, i);
}

static void deliver(struct world *w, const struct flight *flight)
{
	struct host *host = &w->hosts[flight->to];
	if (host->frozen)
		return;
	sim_node_hear(&w->sim, &host->node, &flight->packet);
	if (host->vrrp != DEAD)
		queue(&host->node, &flight->packet);
}

static void deliver_now(struct world *w)
{
	struct flight list[WIRE_MAX];
	uint8_t n = w->n_now;
	memcpy(list, w->now, sizeof(list));
	w->n_now = 0;
	for (unsigned k = 0; k < n; k++)
		deliver(w, &list[k]);
}

/* Both, until nothing happens any more in this tick. */
static void run_nodes(struct world *w)
{
	int first = 0;
	inquire(w, 0);
	inquire(w, 1);
	struct host *a = &w->hosts[0], *b = &w->hosts[1];
	if (runs(a) && runs(b) && vrrp_fsm_wake_us(&a->node.fsm) <= NOW &&
	    vrrp_fsm_wake_us(&b->node.fsm) <= NOW)
		first = (int)choose(2);
	for (int round = 0; round < 8; round++) {
		run_node(w, first);
		run_node(w, !first);
		deliver_now(w);
		empty_channel(w, 0);
		empty_channel(w, 1);
		if (!a->node.n_inbox && !b->node.n_inbox)
			break;
	}
}

/* ---- repairs, free of charge ---- */

static void start_vrrp(struct world *w, int i)
{
	struct host *host = &w->hosts[i];
	tell("node %d: yoke-vrrp starts", i);
	sim_node_start(&w->sim, &host->node, run.priorities[i], T);
	host->vrrp = RUNNING;
	host->known_active = host->buried = false;
}

/* What yoked does for a yoke-vrrp that is dead, then (perhaps later) its restart. */
static void mind_vrrp(struct world *w, int i)
{
	struct host *host = &w->hosts[i];
	if (host->vrrp != DEAD || choose(2))
		return;
	if (host->buried) {
		start_vrrp(w, i);
		return;
	}
	host->node.has_vip = false;
	host->buried = true;
	if (!host->known_active)
		return;
	tell("node %d: yoked says goodbye for yoke-vrrp", i);
	sim_node_say_leaving(&w->sim, &host->node);
}

static void mend_process(uint8_t *process, const char *name, int i)
{
	if (*process == RUNNING || choose(2))
		return;
	tell("node %d: %s %s", i, name, *process == DEAD ? "starts" : "continues");
	*process = RUNNING;
}

/* systemd ends what is left of the node before it starts it anew. */
static void restart_host(struct world *w, int i)
{
	struct host *host = &w->hosts[i];
	if (choose(2))
		return;
	tell("node %d: starts anew", i);
	host->yoked = host->proxy = RUNNING;
	host->node.has_vip = false;
	start_vrrp(w, i);
}

static void mend_host(struct world *w, int i)
{
	struct host *host = &w->hosts[i];
	if (host->frozen) {
		host->frozen = choose(2);
		if (!host->frozen)
			tell("node %d: thaws", i);
		return;
	}
	if (host->vrrp == STOPPED)
		mend_process(&host->vrrp, "yoke-vrrp", i);
	if (host->yoked == STOPPED)
		mend_process(&host->yoked, "yoked", i);
	if (host->yoked == DEAD) {
		restart_host(w, i);
		return;
	}
	if (host->yoked == RUNNING)
		mind_vrrp(w, i);
	if (host->proxy == STOPPED || host->yoked == RUNNING)
		mend_process(&host->proxy, "yoke-proxy", i);
}

static void mend(struct world *w)
{
	mend_host(w, 0);
	mend_host(w, 1);
	if ((w->cut[0] || w->cut[1]) && choose(2) == 0) {
		tell("adverts arrive again");
		w->cut[0] = w->cut[1] = false;
	}
	if (w->sync != RUNNING && choose(2) == 0) {
		tell("the channel works again");
		w->sync = RUNNING;
	}
}

/* ---- faults ---- */

static void stop(uint8_t *process)
{
	if (*process == RUNNING)
		*process = STOPPED;
}

static void kill_all(struct world *w, int i)
{
	if (w->hosts[i].vrrp != DEAD)
		kill_vrrp(w, i);
	w->hosts[i].proxy = w->hosts[i].yoked = DEAD;
}

static void stop_all(struct host *host)
{
	stop(&host->vrrp);
	stop(&host->proxy);
	stop(&host->yoked);
}

static void lose_power(struct world *w, int i)
{
	kill_all(w, i);
	w->hosts[i].node.kernel = (struct sim_kernel){0};
	w->hosts[i].node.has_vip = false;
}

/* An operator's order. */
static void resign(struct world *w, int i)
{
	struct sim_node *node = &w->hosts[i].node;
	if (!runs(&w->hosts[i]) || node->stage != SIM_ASLEEP || node->pending ||
	    !sim_node_wake(&w->sim, node) || vrrp_state_outside(node->fsm.state) != VRRP_ACTIVE)
		return;
	sim_node_order(&w->sim, node, VRRP_EV_RESIGN);
}

static void change_channel(struct world *w, enum health health)
{
	w->sync = (uint8_t)health;
	if (health == DEAD)
		memset(w->channels, 0, sizeof(w->channels));
}

static void strike(struct world *w, enum fault fault, int i)
{
	struct host *host = &w->hosts[i];
	switch (fault) {
	case KILL_VRRP:
		if (host->vrrp != DEAD)
			kill_vrrp(w, i);
		break;
	case STOP_VRRP: stop(&host->vrrp); break;
	case KILL_PROXY: host->proxy = DEAD; break;
	case STOP_PROXY: stop(&host->proxy); break;
	case KILL_YOKED: host->yoked = DEAD; break;
	case STOP_YOKED: stop(&host->yoked); break;
	case KILL_ALL: kill_all(w, i); break;
	case STOP_ALL: stop_all(host); break;
	case FREEZE: host->frozen = true; break;
	case POWER: lose_power(w, i); break;
	case CUT: w->cut[i] = true; break;
	case CUT_BOTH: w->cut[0] = w->cut[1] = true; break;
	case LOSE_CHANNEL: change_channel(w, DEAD); break;
	case DELAY_CHANNEL: change_channel(w, STOPPED); break;
	case RESIGN: resign(w, i); break;
	default: break;
	}
}

/* None, one or several, anywhere. */
static void fail(struct world *w)
{
	uint8_t places[2 * FAULT_COUNT], n = 0;
	for (unsigned fault = 0; fault < OF_A_TICK; fault++) {
		for (unsigned i = 0; i < (fault < OF_A_NODE ? 2 : 1); i++) {
			if (run.kinds >> fault & 1)
				places[n++] = (uint8_t)(fault << 1 | i);
		}
	}
	while (w->faults) {
		unsigned choice = choose(1U + n);
		if (choice == 0)
			return;
		enum fault fault = places[choice - 1] >> 1;
		int i = places[choice - 1] & 1;
		w->faults--;
		if (fault < OF_A_NODE)
			tell("node %d: %s", i, fault_text(fault));
		else
			tell("%s", fault_text(fault));
		strike(w, fault, i);
	}
}

/* ---- one tick ---- */

static void check_holders(struct world *w)
{
	check_leases(w);
	for (int i = 0; i < 2; i++) {
		struct host *host = &w->hosts[i];
		struct sim_node *node = &host->node;
		if (!runs(host) || node->stage != SIM_ASLEEP || node->pending)
			continue;
		bool active = node->fsm.state == VRRP_ACTIVE;
		if (active && !sim_node_leased(&w->sim, node))
			world_break_rule("a process believes that it is Active, without a lease");
		if (active && host->silence > SILENT)
			world_break_rule("the VIP is with a proxy that is stopped");
		if (node->has_vip && vrrp_state_outside(node->fsm.state) != VRRP_ACTIVE)
			world_break_rule("the address is where no Active is");
	}
}

static uint64_t sink(uint64_t at_us, uint64_t oldest_us)
{
	return at_us == VRRP_NEVER ? at_us : at_us > oldest_us ? at_us - 1 : oldest_us;
}

/* A tick passes: all times move, and those that have no influence any more are cleared. */
static void age_machine(struct vrrp_fsm *fsm, unsigned memory)
{
	bool claims = fsm->state == VRRP_CLAIMANT || fsm->state == VRRP_RECLAIMANT;
	bool active = fsm->state == VRRP_ACTIVE;
	fsm->timer_us = sink(fsm->timer_us, NOW - T);
	fsm->claim_us = claims ? sink(fsm->claim_us, NOW) : NOW;
	fsm->lower_us = sink(fsm->lower_us, NOW);
	fsm->defied = fsm->state == VRRP_CLAIMANT ? (fsm->defied < 3 ? fsm->defied : 3) : 0;
	fsm->sent_us = active ? sink(fsm->sent_us, NOW - 3 * T - 1) : NOW - 3 * T - 1;
	fsm->overdue = fsm->overdue && active;
	fsm->quiet_us = sink(fsm->quiet_us, NOW - memory);
	fsm->evident_us = fsm->trusted_us = NOW - 6 * T; /* what comes in order is newer */
	fsm->awake_us = sink(fsm->awake_us, NOW - 3 * T - 1);
}

static void age(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		struct host *host = &w->hosts[i];
		struct sim_kernel *kernel = &host->node.kernel;
		if (host->vrrp != DEAD)
			age_machine(&host->node.fsm, w->sync == STOPPED ? 6 * T : 2 * T);
		kernel->lease_us = sink(kernel->lease_us, NOW);
		kernel->permit_us = sink(kernel->permit_us, NOW);
		kernel->peer_us = sink(kernel->peer_us, NOW);
		kernel->claim_us = sink(kernel->claim_us, NOW);
		host->pause = host->pause ? host->pause - 1 : 0;
		host->silence = host->proxy == STOPPED && host->silence <= SILENT
				    ? host->silence + 1
				: host->proxy == STOPPED ? host->silence
							 : 0;
		if (w->channels[i].has_evidence && w->channels[i].age < 4 * T)
			w->channels[i].age++;
	}
}

/* A proxy that is dead or stopped carries no channel. */
static void note_severance(struct world *w)
{
	bool speaks = w->sync == RUNNING;
	for (int i = 0; i < 2; i++)
		speaks = speaks && (serves(&w->hosts[i]) || !runs(&w->hosts[i]));
	w->severed = w->severed || ((w->cut[0] || w->cut[1]) && !speaks);
}

void world_tick(struct world *w)
{
	struct flight wire[WIRE_MAX];
	unsigned n = w->n_wire;
	memcpy(wire, w->wire, sizeof(wire));
	w->n_wire = 0;
	fail(w);
	mend(w);
	note_severance(w);
	run_nodes(w);
	for (unsigned k = 0; k < n; k++)
		deliver(w, &wire[k]);
	run_nodes(w);
	check_holders(w);
	age(w);
	run.tick++;
}

void world_begin(struct world *w, unsigned n_faults, enum sim_rule without)
{
	memset(w, 0, sizeof(*w));
	w->sim = (struct sim_world){.now_us = NOW,
	    .without = without,
	    .ends = ends_of,
	    .sent = on_sent,
	    .pauses = pauses,
	    .stepped = on_stepped};
	w->sync = RUNNING;
	w->faults = (uint8_t)n_faults;
	for (int i = 0; i < 2; i++) {
		struct host *host = &w->hosts[i];
		host->proxy = host->yoked = RUNNING;
		host->node.order = i == 0 ? 1 : -1; /* node 1 has the higher address */
		start_vrrp(w, i);
	}
}

int world_only_active(const struct world *w)
{
	bool a = w->hosts[0].node.fsm.state == VRRP_ACTIVE;
	bool b = w->hosts[1].node.fsm.state == VRRP_ACTIVE;
	return a == b ? -1 : b;
}
