#include "daemon/balance/fleet.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct fleet_target_spec at(const char *text)
{
	struct fleet_target_spec spec = {.text = text, .weight = 1};
	CU_ASSERT_TRUE(addr_parse_endpoint(text, &spec.addr));
	return spec;
}

/* A fleet of one pool "web" with these targets, ended by NULL. */
static struct fleet *web(struct fleet *previous, bool checked, const char *const *texts)
{
	struct fleet_target_spec targets[16];
	uint32_t n = 0;
	for (; texts[n]; n++)
		targets[n] = at(texts[n]);
	struct fleet_pool_spec spec = {
	    .name = "web", .checked = checked, .targets = targets, .n_targets = n};
	struct fleet *fleet = fleet_new(&spec, 1, previous);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fleet);
	return fleet;
}

#define WEB(previous, checked, ...) web(previous, checked, (const char *const[]){__VA_ARGS__, NULL})

static struct target *nth(const struct fleet *fleet, uint32_t i)
{
	return fleet->pools[0].targets[i].target;
}

static void finds_pools_and_targets(void)
{
	struct fleet_target_spec a[] = {at("192.0.2.1:80"), at("192.0.2.2:80")};
	struct fleet_target_spec b[] = {at("[2001:db8::1]:80"), at("192.0.2.1:80")};
	b[1].weight = 7;
	b[1].backup = true;
	struct fleet_pool_spec specs[] = {
	    {.name = "a", .targets = a, .n_targets = 2, .fail_open = true},
	    {.name = "b", .targets = b, .n_targets = 2, .algorithm = BALANCE_MAGLEV},
	    {.name = "empty"},
	};
	struct fleet *fleet = fleet_new(specs, 3, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fleet);
	CU_ASSERT_EQUAL(fleet->n_pools, 3);
	CU_ASSERT_PTR_EQUAL(fleet_pool(fleet, "b"), &fleet->pools[1]);
	CU_ASSERT_PTR_NULL(fleet_pool(fleet, "c"));
	CU_ASSERT_TRUE(fleet->pools[0].fail_open);
	CU_ASSERT_EQUAL(fleet->pools[1].algorithm, BALANCE_MAGLEV);
	CU_ASSERT_EQUAL(fleet->pools[1].index, 1);
	CU_ASSERT_EQUAL(fleet->pools[1].targets[1].weight, 7);
	CU_ASSERT_TRUE(fleet->pools[1].targets[1].backup);
	for (uint32_t p = 0; p < 2; p++) {
		for (uint32_t t = 0; t < 2; t++) {
			struct target *target = fleet->pools[p].targets[t].target;
			struct pool *pool = NULL;
			CU_ASSERT_PTR_EQUAL(fleet_target(fleet, target->id, &pool), target);
			CU_ASSERT_PTR_EQUAL(pool, &fleet->pools[p]);
			CU_ASSERT_TRUE(target->slot < fleet->n_slots);
		}
	}
	/* The same address in two pools is two targets. */
	CU_ASSERT_PTR_NOT_EQUAL(
	    fleet->pools[0].targets[0].target, fleet->pools[1].targets[1].target);
	CU_ASSERT_PTR_NULL(fleet_target(fleet, 12345, NULL));
	CU_ASSERT_STRING_EQUAL(fleet->pools[1].targets[0].target->text, "[2001:db8::1]:80");
	fleet_free(fleet);
}

static void an_empty_fleet_is_one(void)
{
	struct fleet *fleet = fleet_new(NULL, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fleet);
	CU_ASSERT_EQUAL(fleet->n_slots, 0);
	CU_ASSERT_PTR_NULL(fleet_pool(fleet, "web"));
	CU_ASSERT_PTR_NULL(fleet_target(fleet, 1, NULL));
	fleet_free(fleet);
	fleet_free(NULL);
}

static void carries_state_over_a_reload(void)
{
	struct fleet *one = WEB(NULL, true, "192.0.2.1:80", "192.0.2.2:80");
	struct target *kept = nth(one, 1), *gone = nth(one, 0);
	target_set_health(&one->pools[0], kept, TARGET_DOWN, "refused", 77);
	target_set_admin(&one->pools[0], kept, TARGET_DRAIN);
	atomic_store(&kept->requests, 5);
	uint64_t gone_id = gone->id;

	struct fleet *two = WEB(one, true, "192.0.2.3:80", "192.0.2.2:80");
	CU_ASSERT_PTR_EQUAL(nth(two, 1), kept);
	CU_ASSERT_EQUAL(atomic_load(&kept->refs), 2);
	CU_ASSERT_PTR_EQUAL(two->pools[0].version, one->pools[0].version);
	CU_ASSERT_EQUAL(nth(two, 0)->health, TARGET_UNKNOWN);
	CU_ASSERT_PTR_NULL(fleet_target(two, gone_id, NULL));
	fleet_free(one);
	CU_ASSERT_EQUAL(atomic_load(&kept->refs), 1);
	CU_ASSERT_EQUAL(kept->health, TARGET_DOWN);
	CU_ASSERT_EQUAL(kept->admin, TARGET_DRAIN);
	CU_ASSERT_EQUAL(kept->since_us, 77);
	CU_ASSERT_STRING_EQUAL(kept->reason, "refused");
	CU_ASSERT_EQUAL(atomic_load(&kept->requests), 5);
	uint64_t before = atomic_load(two->pools[0].version); /* still there */
	target_set_health(&two->pools[0], kept, TARGET_UP, "fine", 78);
	CU_ASSERT_EQUAL(atomic_load(two->pools[0].version), before + 1);
	fleet_free(two);
}

static void an_unchecked_pool_is_up(void)
{
	struct fleet *one = WEB(NULL, true, "192.0.2.1:80");
	target_set_health(&one->pools[0], nth(one, 0), TARGET_DOWN, "refused", 1);
	uint64_t version = atomic_load(one->pools[0].version);
	struct fleet *two = WEB(one, false, "192.0.2.1:80", "192.0.2.2:80");
	CU_ASSERT_EQUAL(nth(two, 0)->health, TARGET_UP);
	CU_ASSERT_EQUAL(nth(two, 1)->health, TARGET_UP);
	CU_ASSERT_TRUE(atomic_load(two->pools[0].version) > version);
	fleet_free(one);
	fleet_free(two);
}

static void slots_are_unique_and_reused(void)
{
	struct fleet *one = WEB(NULL, true, "192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80");
	CU_ASSERT_EQUAL(one->n_slots, 3);
	struct fleet *two = WEB(one, true, "192.0.2.3:80", "192.0.2.4:80");
	CU_ASSERT_EQUAL(nth(two, 0)->slot, nth(one, 2)->slot);
	CU_ASSERT_EQUAL(nth(two, 1)->slot, 3); /* fleet one still lives */
	CU_ASSERT_EQUAL(two->n_slots, 4);
	/* A fleet that has nothing to do with them does not get their numbers either. */
	struct fleet *other = WEB(NULL, true, "192.0.2.1:80");
	CU_ASSERT_EQUAL(nth(other, 0)->slot, 4);
	fleet_free(other);
	fleet_free(one);
	struct fleet *three = WEB(two, true, "192.0.2.3:80", "192.0.2.5:80", "192.0.2.6:80");
	CU_ASSERT_EQUAL(nth(three, 1)->slot, 0);
	CU_ASSERT_EQUAL(nth(three, 2)->slot, 1);
	fleet_free(two);
	fleet_free(three);
}

static void a_hundred_reloads_use_few_slots(void)
{
	struct fleet *fleet = WEB(NULL, true, "192.0.2.1:80", "192.0.2.2:80");
	for (unsigned i = 0; i < 100; i++) {
		char text[ADDR_TEXT_MAX];
		snprintf(text, sizeof(text), "192.0.2.7:%u", 1000 + i);
		struct fleet *next = WEB(fleet, true, text, "192.0.2.2:80");
		CU_ASSERT_TRUE(next->n_slots <= 3);
		fleet_free(fleet);
		fleet = next;
	}
	fleet_free(fleet);
}

static void many_slots(void)
{
	enum { N = 1000 };
	static struct fleet_target_spec targets[N];
	static char texts[N][ADDR_TEXT_MAX];
	static bool seen[N];
	for (unsigned i = 0; i < N; i++) {
		snprintf(texts[i], ADDR_TEXT_MAX, "10.0.%u.%u:80", i / 250, i % 250 + 1);
		targets[i] = at(texts[i]);
	}
	struct fleet_pool_spec spec = {.name = "web", .targets = targets, .n_targets = N};
	struct fleet *fleet = fleet_new(&spec, 1, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fleet);
	CU_ASSERT_EQUAL(fleet->n_slots, N);
	for (unsigned i = 0; i < N; i++) {
		CU_ASSERT_FALSE(seen[nth(fleet, i)->slot]);
		seen[nth(fleet, i)->slot] = true;
	}
	fleet_free(fleet);
}

static void states(void)
{
	static const struct {
		enum target_health health;
		enum target_admin admin;
		bool usable, sticky;
		const char *name;
	} cases[] = {
	    {TARGET_UNKNOWN, TARGET_READY, true, true, "unknown"},
	    {TARGET_UP, TARGET_READY, true, true, "up"},
	    {TARGET_DOWN, TARGET_READY, false, false, "down"},
	    {TARGET_UNKNOWN, TARGET_DRAIN, false, true, "draining"},
	    {TARGET_UP, TARGET_DRAIN, false, true, "draining"},
	    {TARGET_DOWN, TARGET_DRAIN, false, false, "draining"},
	    {TARGET_UNKNOWN, TARGET_DISABLED, false, false, "disabled"},
	    {TARGET_UP, TARGET_DISABLED, false, false, "disabled"},
	    {TARGET_DOWN, TARGET_DISABLED, false, false, "disabled"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct target target = {
		    .health = (uint8_t)cases[i].health, .admin = (uint8_t)cases[i].admin};
		CU_ASSERT_EQUAL(target_usable(&target), cases[i].usable);
		CU_ASSERT_EQUAL(target_keeps_sticky(&target), cases[i].sticky);
		CU_ASSERT_STRING_EQUAL(target_state_name(&target), cases[i].name);
	}
}

static void changes_bump_the_version(void)
{
	struct fleet *fleet = WEB(NULL, true, "192.0.2.1:80", "192.0.2.2:80");
	struct pool *pool = &fleet->pools[0];
	struct target *target = nth(fleet, 0);
	uint64_t version = atomic_load(pool->version);
	uint32_t up, total;
	CU_ASSERT_TRUE(target_set_health(pool, target, TARGET_UP, "HTTP 200", 10));
	CU_ASSERT_EQUAL(atomic_load(pool->version), version + 1);
	CU_ASSERT_FALSE(target_set_health(pool, target, TARGET_UP, "HTTP 204", 20));
	CU_ASSERT_EQUAL(atomic_load(pool->version), version + 1);
	CU_ASSERT_EQUAL(target->since_us, 10);
	CU_ASSERT_STRING_EQUAL(target->reason, "HTTP 204");
	pool_count(pool, &up, &total);
	CU_ASSERT_EQUAL(up, 1);
	CU_ASSERT_EQUAL(total, 2);
	CU_ASSERT_TRUE(target_set_admin(pool, target, TARGET_DRAIN));
	CU_ASSERT_FALSE(target_set_admin(pool, target, TARGET_DRAIN));
	CU_ASSERT_EQUAL(atomic_load(pool->version), version + 2);
	pool_count(pool, &up, &total);
	CU_ASSERT_EQUAL(up, 0);

	char much[TARGET_REASON_MAX * 2];
	memset(much, 'x', sizeof(much));
	much[sizeof(much) - 1] = '\0';
	target_set_health(pool, target, TARGET_DOWN, much, 30);
	CU_ASSERT_EQUAL(strlen(target->reason), TARGET_REASON_MAX - 1);
	target_set_health(pool, target, TARGET_UP, NULL, 40);
	CU_ASSERT_STRING_EQUAL(target->reason, "");
	fleet_free(fleet);
}

UNIT_MAIN("balance/fleet", UNIT(finds_pools_and_targets), UNIT(an_empty_fleet_is_one),
    UNIT(carries_state_over_a_reload), UNIT(an_unchecked_pool_is_up),
    UNIT(slots_are_unique_and_reused), UNIT(a_hundred_reloads_use_few_slots), UNIT(many_slots),
    UNIT(states), UNIT(changes_bump_the_version))
