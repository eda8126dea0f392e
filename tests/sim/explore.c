/* Everything that can happen to a pair, as far as the bound goes: the real machine of both nodes,
 * and around it a model of the kernels, the processes, the wire and the replication channel
 * (world.h, node.h), in all interleavings of a few faults, breadth first, so that the trace of a
 * violation is the shortest.
 *
 * In every state: never two valid leases, nobody answers for the VIP without one, a process that
 * runs and believes that it is Active has one, the address is nowhere else, the Active's proxy is
 * not stopped for long. From one in sixteen states, if all faults end there: exactly one Active
 * within SETTLE ticks, no change from then on, and neighbours that believe it.
 *
 * What is known to give two leases is that adverts are cut while the channel is lost, late, or
 * without a living proxy: all states with two leases must come after that.
 *
 *	sim_explore                 one fault, then each rule removed: some state must break
 *	sim_explore --faults N      all orders of N faults
 *	sim_explore --without RULE  one rule removed; prints the trace of the violation */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/state.h"

#define SETTLE (14 * T)
#define SAMPLE 15 /* the states whose hash has none of these bits are tried to settle */

/* ---- after the last fault ---- */

static void check_settles(const struct state *state, enum sim_rule without)
{
	struct world w;
	state_unpack(state, without, &w);
	w.faults = 0;
	run.usual = true;
	for (int k = 0; k < SETTLE && !run.broken; k++)
		world_tick(&w);
	int holder = world_only_active(&w);
	if (holder < 0)
		world_break_rule("not exactly one Active on a sound wire");
	else if (!w.severed && w.announcer != holder)
		world_break_rule("the neighbours believe the loser");
	for (int k = 0; k < 4 * T && !run.broken; k++) {
		world_tick(&w);
		if (world_only_active(&w) != holder)
			world_break_rule("no peace on a sound wire");
	}
	run.usual = false;
}

/* ---- exploring ---- */

struct bound {
	unsigned faults, kinds;
	enum sim_rule without;
	size_t most; /* states; 0: all */
};

struct result {
	size_t states;
	unsigned depth;
	uint64_t steps, settled;
	const char *broken;
};

static void show_step(struct world *w, const struct script *script, unsigned depth)
{
	run.script = *script;
	run.script.at = 0;
	run.talk = true;
	run.tick = depth;
	world_tick(w);
	run.talk = false;
}

/* Finds the script that leads from *w to the state with that hash, and goes there. */
static void show_way(struct world *w, uint64_t hash, unsigned depth)
{
	struct state state;
	run.script = (struct script){0};
	do {
		struct world next = *w;
		world_tick(&next);
		state_pack(&next, &state);
		if (state_hash(&state) == hash) {
			show_step(w, &run.script, depth);
			return;
		}
	} while (world_count_up(&run.script));
}

static void show_trace(const struct seen *seen, const struct bound *bound, uint32_t id,
    const struct script *last, bool settles)
{
	uint32_t way[4096], n = 0;
	struct world w;
	struct state state;
	const char *broken = run.broken;
	for (uint32_t at = id; at != 0 && n < 4096; at = seen->parents[at])
		way[n++] = at;
	world_begin(&w, bound->faults, bound->without);
	for (uint32_t k = 0; k < n; k++)
		show_way(&w, seen->hashes[way[n - 1 - k]], k);
	if (settles) {
		printf("       from here on all is whole\n");
		state_pack(&w, &state);
		run.talk = true;
		run.broken = NULL;
		check_settles(&state, bound->without);
		run.talk = false;
	} else {
		show_step(&w, last, n);
	}
	run.broken = broken;
}

/* All that can follow from one state. False: something is broken. */
static bool expand(struct seen *seen, const struct state *from, const struct bound *bound,
    struct layer *next, struct result *result, bool trace)
{
	struct world whole, w;
	struct state state;
	state_unpack(from, bound->without, &whole);
	run.script = (struct script){0};
	do {
		w = whole;
		world_tick(&w);
		result->steps++;
		struct script script = run.script;
		if (run.broken) {
			if (trace)
				show_trace(seen, bound, from->id, &script, false);
			return false;
		}
		state_pack(&w, &state);
		if (!seen_note(seen, &state, from->id))
			continue;
		layer_add(next, &state);
		if (seen->hashes[state.id] & SAMPLE)
			continue;
		result->settled++;
		check_settles(&state, bound->without);
		if (run.broken) {
			if (trace)
				show_trace(seen, bound, state.id, &script, true);
			return false;
		}
	} while (world_count_up(&run.script));
	return true;
}

static struct result explore(const struct bound *bound, bool trace)
{
	struct seen seen = {0};
	struct layer layers[2] = {{0}};
	struct result result = {0};
	struct world w;
	struct state state;
	run.broken = NULL;
	run.dual = 0;
	run.kinds = bound->kinds;
	world_begin(&w, bound->faults, bound->without);
	state_pack(&w, &state);
	seen_note(&seen, &state, 0);
	layer_add(&layers[0], &state);
	bool whole = true;
	for (struct layer *layer = layers, *next = layers + 1; layer->n && whole; result.depth++) {
		next->n = 0;
		for (size_t k = 0; k < layer->n && whole; k++)
			whole = expand(&seen, &layer->states[k], bound, next, &result, trace);
		struct layer *swap = layer;
		layer = next;
		next = swap;
	}
	result.states = seen.n;
	result.broken = run.broken;
	seen_fini(&seen);
	free(layers[0].states);
	free(layers[1].states);
	return result;
}

static double seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- what to explore ---- */

static const struct pair {
	const char *name;
	uint8_t priorities[2];
	bool preempt;
} pairs[] = {
    {"failback manual", {192, 128}, false},
    {"failback when_warm", {192, 128}, true},
    {"equal priorities", {192, 192}, true},
};
#define N_PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static void choose_pair(const struct pair *pair)
{
	memcpy(run.priorities, pair->priorities, sizeof(run.priorities));
	run.preempt = pair->preempt;
}

static bool explore_pair(const struct pair *pair, const struct bound *bound, bool trace)
{
	choose_pair(pair);
	double began = seconds();
	struct result result = explore(bound, trace);
	double took = seconds() - began;
	printf("%s, %u faults: %zu states, %u ticks deep, %" PRIu64 " steps, %" PRIu64
	       " tried to settle, %" PRIu64 " with two leases, %.1f s: %s\n",
	    pair->name, bound->faults, result.states, result.depth, result.steps, result.settled,
	    run.dual, took, result.broken ? result.broken : "whole");
	fflush(stdout);
	return result.broken == NULL;
}

#define KIND(fault) (1U << (fault))

/* For each rule a pair and faults that are enough to show that it is needed: to try these alone is
 * quick. HOLD, POLICY, ATTENTION and LAST_WORD are not about leases: pair.c shows them.
 * PEER does not show: it takes more faults to come behind the claims and the evidence, and guards
 * against peers that know neither.
 */
static const struct witness {
	enum sim_rule rule;
	unsigned pair, faults, kinds;
} witnesses[] = {
    {SIM_RULE_RENEWAL, 0, 1, KIND(STOP_VRRP)},
    {SIM_RULE_PERMIT, 0, 1, KIND(FREEZE)},
    {SIM_RULE_RIVAL, 0, 2, KIND(STOP_MIDWAY) | KIND(STOP_VRRP)},
    {SIM_RULE_SHORT_LEASE, 0, 1, KIND(STOP_VRRP)},
    {SIM_RULE_LONG_MEMORY, 0, 2, KIND(STOP_ALL) | KIND(FREEZE)},
    {SIM_RULE_LEAVING, 0, 1, KIND(KILL_VRRP)},
    {SIM_RULE_FENCE, 0, 1, KIND(STOP_VRRP)},
    {SIM_RULE_CLAIM, 0, 1, KIND(STOP_PROXY)},
    {SIM_RULE_WITHDRAWAL, 0, 1, KIND(STOP_VRRP)},
    {SIM_RULE_OBEDIENCE, 0, 1, KIND(STOP_VRRP)},
    {SIM_RULE_STALL, 0, 2, KIND(STOP_ALL) | KIND(FREEZE)},
    {SIM_RULE_RELEASE, 0, 1, KIND(STOP_PROXY)},
    {SIM_RULE_PATIENCE, 0, 2, KIND(KILL_VRRP) | KIND(STOP_VRRP)},
    {SIM_RULE_WATCHDOG, 0, 1, KIND(STOP_PROXY)},
    {SIM_RULE_EVIDENCE, 0, 1, KIND(CUT)},
    {SIM_RULE_BOTH_PATHS, 2, 1, KIND(CUT_BOTH)},
    {SIM_RULE_CONSENT, 0, 1, KIND(STOP_MIDWAY)},
};
#define N_WITNESSES (sizeof(witnesses) / sizeof(witnesses[0]))

static bool is_needed(const struct witness *witness, bool trace)
{
	struct bound bound = {
	    .faults = witness->faults,
	    .kinds = witness->kinds,
	    .without = witness->rule,
	};
	choose_pair(&pairs[witness->pair]);
	struct result result = explore(&bound, trace);
	printf("without a rule, %s: %s after %zu states (%s)\n", sim_rule_text(witness->rule),
	    result.broken ? result.broken : "NOTHING BREAKS", result.states,
	    pairs[witness->pair].name);
	fflush(stdout);
	return result.broken;
}

static bool explore_pairs(unsigned n_faults)
{
	struct bound bound = {.faults = n_faults, .kinds = ALL_FAULTS, .without = SIM_RULE_COUNT};
	bool whole = true;
	for (size_t k = 0; k < N_PAIRS; k++)
		whole = explore_pair(&pairs[k], &bound, true) && whole;
	return whole;
}

/* The known case is seen: a model that cannot show it could show nothing. */
static bool shows_known_case(void)
{
	struct bound bound = {
	    .faults = 2, .kinds = KIND(CUT) | KIND(LOSE_CHANNEL), .without = SIM_RULE_COUNT};
	return explore_pair(&pairs[0], &bound, true) && run.dual > 0;
}

/* Shows what breaks without it. */
static int show_witness(const char *name)
{
	static const char *const names[SIM_RULE_COUNT] = {
#define X(name, text) [SIM_RULE_##name] = #name,
	    SIM_RULES(X)
#undef X
	};
	for (size_t k = 0; k < N_WITNESSES; k++) {
		if (strcmp(names[witnesses[k].rule], name) == 0)
			return !is_needed(&witnesses[k], true);
	}
	fprintf(stderr, "no such rule: %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--faults") == 0)
		return !explore_pairs((unsigned)strtoul(argv[2], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "--without") == 0)
		return show_witness(argv[2]);
	if (argc != 1) {
		fprintf(stderr, "usage: sim_explore [--faults N | --without RULE]\n");
		return 2;
	}
	bool whole = explore_pairs(1);
	whole = shows_known_case() && whole;
	for (size_t k = 0; k < N_WITNESSES; k++)
		whole = is_needed(&witnesses[k], false) && whole;
	return !whole;
}
