/* One node of a simulated pair: the real machine (vrrp/core/fsm.h), around it a model of its
 * kernel, which keeps the sets of the fence (vrrp/core/fence.h), and of its shell, which does
 * things in the order of vrrp/daemon/instance.c. What lies between the nodes, and what happens to
 * them, is of the simulations: pair.c makes random histories, explore.c tries everything.
 *
 * Each rule of the election can be removed, so that a simulation shows that it is needed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vrrp/core/fsm.h"

/* Name, and what is so without the rule. The first are of the kernel. */
#define SIM_RULES(X)                                                            \
	X(RENEWAL, "each advert renews the lease, also when it is over")        \
	X(PERMIT, "the lease goes to who has not claimed")                      \
	X(PEER, "the lease goes to who hears an Active")                        \
	X(RIVAL, "the lease goes to who hears another claim")                   \
	X(SHORT_LEASE, "the lease is longer than the peer's patience")          \
	X(LONG_MEMORY, "a claim is forgotten before its permit has ended")      \
	X(LEAVING, "a priority 0 that leaves does not end the lease")           \
	X(FENCE, "the addresses answer without a lease")                        \
	X(CLAIM, "a Backup acquires without the time that a claim needs")       \
	X(WITHDRAWAL, "claimants do not listen to each other")                  \
	X(OBEDIENCE, "who is refused believes that it is Active")               \
	X(STALL, "silence counts while one does not listen")                    \
	X(RELEASE, "who resigns keeps the lease")                               \
	X(PATIENCE, "who starts does not wait")                                 \
	X(WATCHDOG, "a proxy that is stopped is not noticed")                   \
	X(EVIDENCE, "what the peer says on another path does not matter")       \
	X(BOTH_PATHS, "claims go by the wire only")                             \
	X(LAST_WORD, "an Active that yields is silent, and the winner with it") \
	X(CONSENT, "an Active that is silent is overridden")                    \
	X(ATTENTION, "an Active does not listen")                               \
	X(HOLD, "who has resigned does not wait")                               \
	X(POLICY, "everybody preempts")

enum sim_rule {
#define X(name, text) SIM_RULE_##name,
	SIM_RULES(X)
#undef X
	    SIM_RULE_COUNT
};

enum sim_kind { SIM_ADVERT, SIM_CLAIM, SIM_HANDOVER };

struct sim_packet {
	uint8_t kind;  /* enum sim_kind */
	uint8_t flags; /* of a claim */
	uint8_t priority;
	uint32_t interval_us;
};

/* Until when the elements of the fence's sets are alive. */
struct sim_kernel {
	uint64_t lease_us, permit_us, peer_us, claim_us;
};

/* How far a wake-up has come. A process can be stopped between any two stages, and between any two
 * of its actions. */
enum sim_stage { SIM_ASLEEP, SIM_READING, SIM_READ, SIM_TIMED };

#define SIM_INBOX_MAX 64

struct sim_node {
	struct vrrp_fsm fsm;
	struct sim_kernel kernel;
	int order; /* of the peer's address against ours */
	bool has_vip, announced;
	enum sim_stage stage;
	unsigned pending; /* VRRP_DO_* not yet performed */
	bool acquired, refused;
	struct sim_packet inbox[SIM_INBOX_MAX];
	size_t n_inbox;
};

/* What a node sees of the world. */
struct sim_world {
	uint64_t now_us;
	enum sim_rule without; /* SIM_RULE_COUNT: all rules hold */
	/* The ends of elements that begin to live now. */
	struct sim_kernel (*ends)(struct sim_world *world, const struct sim_node *node);
	/* A packet has left the node: advert or claim. */
	void (*sent)(
	    struct sim_world *world, struct sim_node *node, const struct sim_packet *packet);
	/* Is the process stopped (or dead) at this point? Then sim_node_wake goes on from here.
	 * NULL: never. */
	bool (*pauses)(struct sim_world *world, struct sim_node *node);
	/* The machine was stepped. */
	void (*stepped)(struct sim_world *world, struct sim_node *node, enum vrrp_state before,
	    const char *why);
};

/* A new process on a kernel that has a fresh fence. */
void sim_node_start(
    struct sim_world *world, struct sim_node *node, uint8_t priority, uint32_t interval_us);
/* The kernel's part of receiving; also while no process runs. */
void sim_node_hear(struct sim_world *world, struct sim_node *node, const struct sim_packet *packet);
/* The process's part: to be read by its next wake-up. What does not fit is lost. */
void sim_node_queue(struct sim_node *node, const struct sim_packet *packet);
/* A wake-up, or the rest of one. False: the process pauses. */
bool sim_node_wake(struct sim_world *world, struct sim_node *node);
/* After a wake-up: an event of the node itself. */
bool sim_node_order(struct sim_world *world, struct sim_node *node, enum vrrp_event event);
bool sim_node_evidence(
    struct sim_world *world, struct sim_node *node, uint8_t priority, uint64_t age_us);
/* Priority 0; yoked sends it, too. */
void sim_node_say_leaving(struct sim_world *world, struct sim_node *node);

bool sim_node_leased(const struct sim_world *world, const struct sim_node *node);
bool sim_node_answers(const struct sim_world *world, const struct sim_node *node);

bool sim_holds(const struct sim_world *world, enum sim_rule rule);
const char *sim_rule_text(enum sim_rule rule);
