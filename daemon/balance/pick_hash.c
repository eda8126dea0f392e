/* By a hash: the Maglev table, and whom a client goes to when its target cannot be used. */
#include "daemon/balance/picker.h"
#include "daemon/base/hash.h"

#define HASH_PLACES 32
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

void pick_build_table(struct picker *picker)
{
	if (picker->table_tier != picker->tier)
		build_table(picker);
}

/* The member that scores highest with this client (rendezvous hashing): for the few clients that
 * the table finds nobody for, when nearly all of it is down. */
static struct target *pick_by_score(const struct picker *picker, struct pick *pick)
{
	struct target *best = NULL;
	uint64_t best_score = 0;
	for (uint32_t i = 0; i < picker->n_members; i++) {
		struct target *target = member(picker, i);
		uint64_t score = hash_mix(target->id ^ hash_mix(pick->hash));
		if ((best && score <= best_score) || is_out(pick, target))
			continue;
		best = target;
		best_score = score;
	}
	return best;
}

/* A client has a place in the table, and a second, third... one in case that the target there is
 * not usable: only who must move moves, spread over the others by weight, and comes back later. */
struct target *pick_source_hash(const struct picker *picker, struct pick *pick)
{
	for (uint64_t place = 0; place < HASH_PLACES; place++) {
		uint32_t at =
		    (uint32_t)(hash_mix(pick->hash + place * GOLDEN) % picker->table_size);
		uint32_t i = picker->table[at];
		struct target *target = picker->pool->targets[i].target;
		if (picker->is_member[i] && !is_out(pick, target))
			return target;
	}
	return pick_by_score(picker, pick);
}
