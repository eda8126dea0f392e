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

static size_t count_targets(const struct conf *conf)
{
	size_t n = 0;
	for (uint32_t i = 0; i < conf->n_pools; i++)
		n += conf->pools[i].n_targets;
	return n;
}

/* The fleet copies what it keeps, so the specs live on one allocation for the call only. */
static struct fleet *build_fleet(const struct conf *conf, struct fleet *previous)
{
	struct fleet *fleet = NULL;
	struct fleet_pool_spec *pools = calloc(conf->n_pools + 1, sizeof(*pools));
	struct fleet_target_spec *targets = calloc(count_targets(conf) + 1, sizeof(*targets));
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
		    .n_targets = pool->n_targets,
		};
		for (uint32_t t = 0; t < pool->n_targets; t++, next++) {
			*next = (struct fleet_target_spec){
			    .text = pool->targets[t].text,
			    .addr = pool->targets[t].addr,
			    .weight = pool->targets[t].weight,
			    .backup = pool->targets[t].backup,
			    .initial = initial_health[pool->health.initial],
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

struct generation *generation_new(struct conf *conf, uint64_t number, struct fleet *previous)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	if (!generation)
		return NULL;
	generation->fleet = build_fleet(conf, previous);
	if (!generation->fleet) {
		free(generation);
		return NULL;
	}
	generation->conf = conf;
	generation->number = number;
	generation->pub = (struct proxy_generation){
	    .conf = conf,
	    .fleet = generation->fleet,
	    .free_fn = let_go,
	    .owner = generation,
	};
	return generation;
}

void generation_free(struct generation *generation)
{
	if (!generation)
		return;
	fleet_free(generation->fleet);
	conf_free(generation->conf);
	free(generation);
}
