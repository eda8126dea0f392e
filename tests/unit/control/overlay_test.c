/* Changes of targets at run time, over reloads: against a model that keeps nothing but lists, in random
 * histories; and their limits. */
#include "daemon/control/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define POOLS     3
#define ADDRESSES 12
#define HISTORIES 2000
#define STEPS     60

static const char *const pool_names[POOLS] = {"web", "web-2", "sql"};

/* A target as the model has it. */
struct seen {
	bool there;
	uint16_t weight;
	bool backup;
	uint32_t max;
};

/* The model of a pool: what the file says, and what was changed, by address. */
struct model_pool {
	bool in_file; /* the pool itself */
	struct seen file[ADDRESSES];
	enum { SAME, ADDED, CHANGED, REMOVED } change[ADDRESSES];
	struct seen now[ADDRESSES], then[ADDRESSES]; /* of a change; of the file at that moment */
};

struct world {
	uint64_t random;
	unsigned wrong;
	struct model_pool pools[POOLS];
	struct overlay *overlay, *peer;
	struct conf conf;
	struct conf_pool conf_pools[POOLS];
	struct conf_target conf_targets[POOLS][ADDRESSES];
	char texts[ADDRESSES][ADDR_TEXT_MAX];
};

static unsigned below(struct world *world, unsigned n)
{
	world->random = world->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(world->random >> 33) % n;
}

static struct conf_target target_of(struct world *world, unsigned a, const struct seen *seen)
{
	struct conf_target target = {.text = world->texts[a],
	    .weight = seen->weight,
	    .backup = seen->backup,
	    .max_connections = seen->max};
	addr_parse_endpoint(world->texts[a], &target.addr);
	return target;
}

static bool equal(const struct seen *a, const struct seen *b)
{
	return a->weight == b->weight && a->backup == b->backup && a->max == b->max;
}

static struct seen some(struct world *world)
{
	return (struct seen){
	    true, (uint16_t)(1 + below(world, 3)), below(world, 4) == 0, below(world, 2)};
}

static void write_conf(struct world *world)
{
	world->conf.pools = world->conf_pools;
	world->conf.n_pools = 0;
	for (unsigned p = 0; p < POOLS; p++) {
		const struct model_pool *model = &world->pools[p];
		if (!model->in_file)
			continue;
		struct conf_pool *pool = &world->conf_pools[world->conf.n_pools++];
		*pool =
		    (struct conf_pool){.name = pool_names[p], .targets = world->conf_targets[p]};
		for (unsigned a = 0; a < ADDRESSES; a++) {
			if (model->file[a].there)
				pool->targets[pool->n_targets++] =
				    target_of(world, a, &model->file[a]);
		}
	}
}

static const struct conf_pool *conf_pool_of(const struct world *world, unsigned p)
{
	for (uint32_t i = 0; i < world->conf.n_pools; i++) {
		if (strcmp(world->conf.pools[i].name, pool_names[p]) == 0)
			return &world->conf.pools[i];
	}
	return NULL;
}

/* What the pool should have. */
static struct seen wanted(const struct model_pool *pool, unsigned a)
{
	struct seen none = {0};
	if (!pool->in_file)
		return none;
	if (!pool->file[a].there)
		return pool->change[a] == ADDED ? pool->now[a] : none;
	if (pool->change[a] == REMOVED)
		return none;
	if (pool->change[a] == CHANGED && equal(&pool->then[a], &pool->file[a]))
		return pool->now[a];
	return pool->file[a];
}

static void reload(struct world *world)
{
	for (unsigned p = 0; p < POOLS; p++) {
		struct model_pool *pool = &world->pools[p];
		pool->in_file = p == 0 || below(world, 8) > 0;
		for (unsigned a = 0; a < ADDRESSES; a++) {
			if (below(world, 4) == 0)
				pool->file[a] = below(world, 2) ? some(world) : (struct seen){0};
			bool file = pool->in_file && pool->file[a].there;
			bool stays = (pool->change[a] == ADDED && pool->in_file && !file) ||
				     (pool->change[a] == CHANGED && file &&
					 equal(&pool->then[a], &pool->file[a])) ||
				     (pool->change[a] == REMOVED && file);
			if (!stays)
				pool->change[a] = SAME;
		}
	}
	write_conf(world);
}

static bool is_as_wanted(struct world *world, const struct overlay *overlay)
{
	static struct conf_target got[CONF_TARGETS_MAX];
	bool good = true;
	for (unsigned p = 0; p < POOLS && good; p++) {
		const struct conf_pool *conf = conf_pool_of(world, p);
		uint32_t n = conf ? overlay_targets(overlay, conf, got) : 0, found = 0;
		for (unsigned a = 0; a < ADDRESSES; a++) {
			struct seen want = wanted(&world->pools[p], a);
			struct conf_target one;
			bool there = conf && overlay_target(overlay, conf, world->texts[a], &one);
			good = good && there == want.there &&
			       (!there || (one.weight == want.weight && one.backup == want.backup &&
					      one.max_connections == want.max &&
					      strcmp(one.text, world->texts[a]) == 0));
			for (uint32_t i = 0; i < n; i++)
				found += want.there && strcmp(got[i].text, world->texts[a]) == 0 &&
					 got[i].weight == want.weight &&
					 addr_equal(&got[i].addr, &one.addr);
		}
		size_t all = 0;
		for (unsigned a = 0; a < ADDRESSES; a++)
			all += wanted(&world->pools[p], a).there;
		good = good && found == all && n == all;
	}
	return good;
}

static void step(struct world *world)
{
	unsigned p = below(world, POOLS), a = below(world, ADDRESSES);
	struct model_pool *pool = &world->pools[p];
	const struct conf_pool *conf = conf_pool_of(world, p);
	struct err err;
	unsigned what = below(world, 8);
	if (what == 0) {
		reload(world);
		if (!is_as_wanted(world, world->overlay))
			world->wrong++;
		overlay_settle(world->overlay, &world->conf);
		overlay_settle(world->peer, &world->conf);
	} else if (conf && what < 3) {
		CU_ASSERT_EQUAL(overlay_remove(world->overlay, conf, world->texts[a], &err), 0);
		pool->change[a] = pool->file[a].there ? REMOVED : SAME;
	} else if (conf) {
		struct seen seen = some(world);
		struct conf_target target = target_of(world, a, &seen);
		CU_ASSERT_EQUAL(overlay_set(world->overlay, conf, &target, &err), 0);
		pool->now[a] = seen;
		pool->then[a] = pool->file[a];
		pool->change[a] = !pool->file[a].there           ? ADDED
				  : equal(&seen, &pool->file[a]) ? SAME
								 : CHANGED;
	}
}

static void tell(struct world *world)
{
	for (size_t i = 0; i < overlay_count(world->overlay); i++) {
		if (overlay_at(world->overlay, i)->untold)
			CU_ASSERT_EQUAL(
			    overlay_take(world->peer, overlay_at(world->overlay, i)), 0);
	}
	overlay_told(world->overlay);
}

static void random_histories_are_as_the_model(void)
{
	static struct world world;
	unsigned wrong = 0;
	for (unsigned seed = 1; seed <= HISTORIES; seed++) {
		memset(&world, 0, sizeof(world));
		world.random = seed;
		world.overlay = overlay_new();
		world.peer = overlay_new();
		for (unsigned a = 0; a < ADDRESSES; a++)
			snprintf(world.texts[a], sizeof(world.texts[a]),
			    a % 2 ? "192.0.2.%u:80" : "[2001:db8::%x]:80", a + 1);
		reload(&world);
		for (unsigned i = 0; i < STEPS && wrong == 0; i++) {
			step(&world);
			if (below(&world, 3) == 0)
				tell(&world);
			wrong += !is_as_wanted(&world, world.overlay);
		}
		tell(&world);
		wrong += world.wrong + !is_as_wanted(&world, world.peer);
		overlay_settle(world.overlay, &world.conf);
		wrong += !is_as_wanted(&world, world.overlay);
		for (size_t i = 0; i < overlay_count(world.overlay); i++)
			wrong += overlay_at(world.overlay, i)->kind == OVERLAY_NONE;
		overlay_free(world.overlay);
		overlay_free(world.peer);
		if (wrong > 0) {
			printf("seed %u\n", seed);
			break;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void fill(struct overlay *overlay, struct conf_pool *pool, unsigned n, int last)
{
	struct err err = {""};
	for (unsigned i = 0; i < n; i++) {
		char text[ADDR_TEXT_MAX];
		struct conf_target target = {.text = text, .weight = 1};
		snprintf(text, sizeof(text), "192.0.%u.%u:80", i >> 8, i & 255);
		addr_parse_endpoint(text, &target.addr);
		CU_ASSERT_EQUAL(overlay_set(overlay, pool, &target, &err), i == n - 1 ? last : 0);
	}
}

static void a_pool_takes_so_many_targets(void)
{
	struct conf_target one = {.text = "192.0.2.200:1", .weight = 1};
	struct conf_pool pool = {.name = "web", .targets = &one, .n_targets = 1};
	struct overlay *overlay = overlay_new();
	static struct conf_target out[CONF_TARGETS_MAX];
	struct err err;
	fill(overlay, &pool, CONF_TARGETS_MAX, -ENOSPC);
	CU_ASSERT_EQUAL(overlay_targets(overlay, &pool, out), CONF_TARGETS_MAX);
	/* One goes, one may come. */
	CU_ASSERT_EQUAL(overlay_remove(overlay, &pool, one.text, &err), 0);
	fill(overlay, &pool, CONF_TARGETS_MAX, 0);
	CU_ASSERT_EQUAL(overlay_set(overlay, &pool, &one, &err), -ENOSPC);
	/* A file that names more than there is room for wins. */
	static struct conf_target many[CONF_TARGETS_MAX];
	static char texts[CONF_TARGETS_MAX][ADDR_TEXT_MAX];
	for (unsigned i = 0; i < CONF_TARGETS_MAX; i++) {
		snprintf(texts[i], sizeof(texts[i]), "198.51.%u.%u:80", i >> 8, i & 255);
		many[i] = (struct conf_target){.text = texts[i], .weight = 2};
	}
	pool.targets = many;
	pool.n_targets = CONF_TARGETS_MAX;
	CU_ASSERT_EQUAL(overlay_targets(overlay, &pool, out), CONF_TARGETS_MAX);
	CU_ASSERT_STRING_EQUAL(out[CONF_TARGETS_MAX - 1].text, texts[CONF_TARGETS_MAX - 1]);
	overlay_free(overlay);
}

static void there_are_so_many_changes(void)
{
	struct overlay *overlay = overlay_new();
	char names[OVERLAY_MAX / 1000 + 1][8];
	struct conf_pool pool = {0};
	struct err err;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unsigned left = OVERLAY_MAX - i * 1000;
		snprintf(names[i], sizeof(names[i]), "p%u", i);
		pool.name = names[i];
		fill(overlay, &pool, left < 1000 ? left : 1000, 0);
	}
	CU_ASSERT_EQUAL(overlay_count(overlay), OVERLAY_MAX);
	struct conf_target more = {.text = "203.0.113.1:80", .weight = 1};
	CU_ASSERT_EQUAL(overlay_set(overlay, &pool, &more, &err), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "put them into the file"));
	struct overlay_change change = {
	    .pool = "p", .text = "203.0.113.1:80", .kind = OVERLAY_ADDED};
	CU_ASSERT_EQUAL(overlay_take(overlay, &change), -ENOSPC);
	CU_ASSERT_EQUAL(overlay_count(overlay), OVERLAY_MAX);
	/* What there is can still be changed. */
	struct conf_target first = {.text = "192.0.0.0:80", .weight = 9};
	CU_ASSERT_EQUAL(overlay_set(overlay, &pool, &first, &err), 0);
	overlay_free(overlay);
}

UNIT_MAIN("overlay", UNIT(random_histories_are_as_the_model), UNIT(a_pool_takes_so_many_targets),
    UNIT(there_are_so_many_changes))
