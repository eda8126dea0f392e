/* The world of an exploration (explore.c): both nodes with their processes, the wire, the
 * replication channel, and what can happen to them, in ticks.
 *
 * A tick is a microsecond for the machine. The proportions are those of core/fence.c with coarser
 * numbers, and world.c replaces its functions: T = 4, D = 1, W = 3. Elements that give leave
 * (lease, permit) live a jiffy, one tick, longer than they should, those that forbid (peer, claim)
 * a jiffy shorter: what is safe so is safe in between. That the real times keep the inequalities,
 * for every interval, is shown by tests/unit/vrrp/fence_test.c.
 *
 * What is not certain is a choice. All sequences of choices are tried, by running a tick again and
 * again with scripts that count up. Free of charge, at every tick: a packet arrives at once or
 * late, that is after what the next tick brings; the nodes run in either order; a fault ends
 * (SIGCONT, a restart by yoked or systemd, the wire or the channel whole again). Each fault costs
 * one of those that the world has left. A host that freezes loses what arrives meanwhile; its clock
 * runs on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/node.h"

#define T         4          /* the advert interval, in ticks */
#define SILENT    T          /* so long a stopped proxy is believed to run */
#define NOW       (1U << 20) /* the present, always: what is absolute moves instead */
#define WIRE_MAX  12
#define INBOX_MAX 6

enum health { DEAD, STOPPED, RUNNING };

/* What a node has beside its machine and its kernel. */
struct host {
	struct sim_node node;
	uint8_t vrrp, proxy, yoked; /* enum health */
	uint8_t silence;            /* of the stopped proxy, in ticks */
	uint8_t pause;              /* before the next question, in ticks */
	bool frozen;
	bool known_active; /* to yoked, when yoke-vrrp died */
	bool buried;       /* yoked has dealt with that */
};

struct flight {
	struct sim_packet packet;
	uint8_t to;
};

/* What the replication channel holds while it is late: the newest evidence, and orders. */
struct channel {
	bool has_evidence, has_handover;
	uint8_t age;
};

struct world {
	struct sim_world sim;
	struct host hosts[2];
	struct flight wire[WIRE_MAX]; /* arrives in the next tick */
	uint8_t n_wire;
	struct flight now[WIRE_MAX]; /* arrives in this one */
	uint8_t n_now;
	struct channel channels[2]; /* to that node */
	uint8_t sync;               /* enum health: DEAD is lost, STOPPED is late */
	uint8_t faults;             /* left */
	bool cut[2];                /* adverts and claims to that node */
	bool severed;               /* was, once: no adverts and no channel at the same time */
	uint8_t announcer;
};

/* What can fail. The last four are of a moment, not of a tick. */
#define FAULTS(X)                                                 \
	X(KILL_VRRP, "yoke-vrrp is killed")                       \
	X(STOP_VRRP, "yoke-vrrp is stopped")                      \
	X(KILL_PROXY, "yoke-proxy is killed")                     \
	X(STOP_PROXY, "yoke-proxy is stopped")                    \
	X(KILL_YOKED, "yoked is killed")                          \
	X(STOP_YOKED, "yoked is stopped")                         \
	X(KILL_ALL, "all is killed")                              \
	X(STOP_ALL, "all is stopped")                             \
	X(FREEZE, "the host freezes")                             \
	X(POWER, "the host loses its power")                      \
	X(CUT, "no advert arrives here any more")                 \
	X(RESIGN, "the VIP shall move")                           \
	X(CUT_BOTH, "no advert arrives anywhere any more")        \
	X(LOSE_CHANNEL, "the channel is lost")                    \
	X(DELAY_CHANNEL, "the channel is late")                   \
	X(STOP_MIDWAY, "yoke-vrrp is stopped in the midst of it") \
	X(KILL_MIDWAY, "yoke-vrrp is killed in the midst of it")  \
	X(LOSE, "lost")                                           \
	X(DOUBLE, "doubled")

enum fault {
#define X(name, text) name,
	FAULTS(X)
#undef X
	    FAULT_COUNT
};
#define OF_A_NODE  CUT_BOTH    /* the faults below have a node, */
#define OF_A_TICK  STOP_MIDWAY /* and those below come between ticks */
#define ALL_FAULTS ((1U << FAULT_COUNT) - 1)

/* A choice is a number below n; 0 is the usual. */
struct script {
	uint8_t value[64], n[64];
	unsigned len, at;
};

/* The choices, and what is so for the whole exploration. */
struct run {
	bool usual; /* no faults, no other choice than the first */
	bool talk;
	unsigned tick; /* when talking */
	uint8_t priorities[2];
	bool preempt;
	unsigned kinds; /* of faults, bits */
	struct script script;
	const char *broken; /* the first rule that was; or NULL */
	uint64_t dual;      /* how often two leases were seen */
};
extern struct run run;

/* The next script, or false when all were tried. */
bool world_count_up(struct script *script);
/* The nodes start. */
void world_begin(struct world *w, unsigned n_faults, enum sim_rule without);
/* A tick; at its end, in canonical form: times without influence are cleared. */
void world_tick(struct world *w);
/* The number of the only Active, or -1. */
int world_only_active(const struct world *w);
void world_break_rule(const char *text);
