#include "daemon/control/control.h"

#include <stdlib.h>

static const enum balance_algorithm algorithms[] = {
    [CONF_BALANCE_ROUND_ROBIN] = BALANCE_ROUND_ROBIN,
    [CONF_BALANCE_LEAST_CONNECTIONS] = BALANCE_LEAST_CONNECTIONS,
    [CONF_BALANCE_SOURCE_HASH] = BALANCE_MAGLEV, /* with the source as key */
    [CONF_BALANCE_RANDOM_TWO] = BALANCE_RANDOM_TWO,
    [CONF_BALANCE_MAGLEV] = BALANCE_MAGLEV,
    [CONF_BALANCE_LEAST_TIME] = BALANCE_LEAST_TIME,
};

static const enum target_health initial_health[] = {
    [CONF_INITIAL_UNKNOWN] = TARGET_UNKNOWN,
    [CONF_INITIAL_UP] = TARGET_UP,
    [CONF_INITIAL_DOWN] = TARGET_DOWN,
};

/* One configuration, of as many generations as there are fleets of it. */
struct shared_conf {
	struct conf *conf;
	unsigned users;
};

/* At most. */
static size_t count_targets(const struct conf *conf, const struct overlay *overlay)
{
	size_t n = overlay_count(overlay);
	for (uint32_t i = 0; i < conf->n_pools; i++)
		n += conf->pools[i].n_targets;
	return n;
}

/* The fleet copies what it keeps, so the specs live on one allocation for the call only. */
static struct fleet *build_fleet(
    const struct conf *conf, const struct overlay *overlay, struct fleet *previous)
{
	static struct conf_target merged[CONF_TARGETS_MAX]; /* control thread only */
	struct fleet *fleet = NULL;
	struct fleet_pool_spec *pools = calloc(conf->n_pools + 1, sizeof(*pools));
	struct fleet_target_spec *targets =
	    calloc(count_targets(conf, overlay) + 1, sizeof(*targets));
	if (!pools || !targets)
		goto out;

	struct fleet_target_spec *next = targets;
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		const struct conf_pool *pool = &conf->pools[i];
		pools[i] = (struct fleet_pool_spec){
		    .name = pool->name,
		    .algorithm = algorithms[pool->balance],
		    .hash_balance_factor = pool->hash_balance_factor,
		    .panic_threshold = pool->panic_threshold,
		    .slow_start_us = pool->slow_start_us,
		    .fail_open = pool->fail_open,
		    .checked = pool->health.kind != CONF_HEALTH_NONE,
		    .targets = next,
		    .n_targets = overlay_targets(overlay, pool, merged),
		};
		for (uint32_t t = 0; t < pools[i].n_targets; t++, next++) {
			*next = (struct fleet_target_spec){
			    .text = merged[t].text,
			    .addr = merged[t].addr,
			    .weight = merged[t].weight,
			    .backup = merged[t].backup,
			    .initial = initial_health[pool->health.initial],
			    .max_active = merged[t].max_connections,
			};
		}
	}
	fleet = fleet_new(pools, conf->n_pools, previous);
out:
	free(targets);
	free(pools);
	return fleet;
}

static void let_go(struct proxy_generation *pub)
{
	generation_free((struct generation *)pub);
}

static void put_conf(struct shared_conf *shared)
{
	if (--shared->users > 0)
		return;
	conf_free(shared->conf);
	free(shared);
}

static struct generation *make(struct shared_conf *shared, const struct overlay *overlay,
    uint64_t number, struct fleet *previous)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	if (!generation)
		return NULL;
	generation->fleet = build_fleet(shared->conf, overlay, previous);
	if (!generation->fleet) {
		free(generation);
		return NULL;
	}
	generation->shared = shared;
	shared->users++;
	generation->conf = shared->conf;
	generation->number = number;
	generation->pub = (struct proxy_generation){
	    .conf = shared->conf,
	    .fleet = generation->fleet,
	    .log_fd = -1,
	    .free_fn = let_go,
	    .owner = generation,
	};
	return generation;
}

struct generation *generation_new(
    struct conf *conf, const struct overlay *overlay, uint64_t number, struct fleet *previous)
{
	struct shared_conf *shared = calloc(1, sizeof(*shared));
	struct generation *generation = NULL;
	if (shared) {
		*shared = (struct shared_conf){conf, 0};
		generation = make(shared, overlay, number, previous);
	}
	if (!generation)
		free(shared);
	return generation;
}

struct generation *generation_next(const struct generation *now, const struct overlay *overlay)
{
	return make(now->shared, overlay, now->number, now->fleet);
}

void generation_free(struct generation *generation)
{
	if (!generation)
		return;
	fleet_free(generation->fleet);
	put_conf(generation->shared);
	free(generation);
}
