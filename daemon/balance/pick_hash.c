/* By a hash: the Maglev table, and whom a client goes to when its target cannot be used. */
#include "daemon/balance/picker.h"
#include "daemon/base/hash.h"

#define HASH_PLACES 32
#define SWEEP       4 /* members looked at with each pick, to know what is in flight */
#define GOLDEN      0x9e3779b97f4a7c15ULL

static void build_table(struct picker *picker)
{
	const struct pool *pool = picker->pool;
	uint32_t n = 0;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		const struct pool_target *from = &pool->targets[i];
		if (picker->tier != TIER_OPEN && from->backup != (picker->tier == TIER_BACKUP))
			continue;
		picker->maglev[n++] = (struct maglev_member){
		    .id = from->target->id, .weight = from->weight, .value = (uint16_t)i};
	}
	maglev_build(picker->table, picker->table_size, picker->maglev, n);
	picker->table_tier = picker->tier;
}

/* In SHARES of the configured one. */
static uint64_t weight_of(const struct picker *picker, uint32_t index)
{
	return (uint64_t)picker->pool->targets[index].weight * picker->share[index];
}

static void count_in_flight(struct picker *picker)
{
	picker->in_flight = picker->weight_sum = picker->swept = 0;
	for (uint32_t i = 0; i < picker->n_members; i++) {
		picker->seen[i] = load_of(member(picker, i));
		picker->in_flight += picker->seen[i];
		picker->weight_sum += weight_of(picker, picker->members[i]);
	}
}

void pick_build_table(struct picker *picker)
{
	if (picker->table_tier != picker->tier)
		build_table(picker);
	if (picker->pool->hash_balance_factor > 0)
		count_in_flight(picker);
}

/* A counter that all workers add to would be exact, and cost each request more than this. */
static void sweep(struct picker *picker)
{
	for (uint32_t step = 0; step < SWEEP && step < picker->n_members; step++) {
		uint32_t i = picker->swept;
		uint32_t load = load_of(member(picker, i));
		picker->in_flight += (uint64_t)load - picker->seen[i];
		picker->seen[i] = load;
		picker->swept = i + 1 < picker->n_members ? i + 1 : 0;
	}
}

/* Has all that hash_balance_factor allows: load + 1 > ceil(factor * (in flight + 1) * share). */
static bool has_its_share(const struct picker *picker, uint32_t index)
{
	uint64_t factor = picker->pool->hash_balance_factor;
	return load_of(picker->pool->targets[index].target) * picker->weight_sum * 100 >=
	       factor * (picker->in_flight + 1) * weight_of(picker, index);
}

/* A target that starts slowly gets its keys back one tenth after the other. */
static bool takes_key(const struct picker *picker, uint32_t index, uint64_t hash)
{
	uint8_t share = picker->share[index];
	return share == SHARES || hash_mix(hash ^ GOLDEN) % SHARES < share;
}

/* The member that scores highest with this key (rendezvous hashing): for the few that the table
 * finds nobody for, when nearly all of it is down or full. */
static struct target *pick_by_score(const struct picker *picker, struct pick *pick, bool bounded)
{
	struct target *best = NULL;
	uint64_t best_score = 0;
	for (uint32_t i = 0; i < picker->n_members; i++) {
		struct target *target = member(picker, i);
		uint64_t score = hash_mix(target->id ^ hash_mix(pick->hash));
		if ((best && score <= best_score) ||
		    (bounded && has_its_share(picker, picker->members[i])) || is_out(pick, target))
			continue;
		best = target;
		best_score = score;
	}
	return best;
}

/* A key has a place in the table, and a second, third... one in case that the target there is not
 * usable, or full: only who must move moves, spread over the others by weight, and comes back. */
static struct target *pick_by_place(const struct picker *picker, struct pick *pick, bool bounded)
{
	for (uint64_t place = 0; place < HASH_PLACES; place++) {
		uint32_t at =
		    (uint32_t)(hash_mix(pick->hash + place * GOLDEN) % picker->table_size);
		uint32_t i = picker->table[at];
		struct target *target = picker->pool->targets[i].target;
		if (takes_key(picker, i, pick->hash) && !(bounded && has_its_share(picker, i)) &&
		    !is_out(pick, target))
			return target;
	}
	return pick_by_score(picker, pick, bounded);
}

struct target *pick_maglev(struct picker *picker, struct pick *pick)
{
	if (picker->pool->hash_balance_factor > 0) {
		sweep(picker);
		struct target *target = pick_by_place(picker, pick, true);
		if (target)
			return target;
	}
	return pick_by_place(picker, pick, false);
}
