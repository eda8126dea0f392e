/* A million picks of each kind against the distribution that is promised. Fixed seeds: what passes
 * once passes always. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "tests/unit/balance/bed.h"

#define PICKS 1000000

static const uint16_t six_weights[] = {1, 2, 3, 4, 10, 20};

static struct fleet *weighted(struct fleet_pool_spec spec, const uint16_t *weights, uint32_t n)
{
	prepare(n);
	for (uint32_t i = 0; i < n; i++)
		specs[i].weight = weights[i];
	return fleet_with(spec, n);
}

/* The sum of (seen - expected)^2 / expected. Of n targets it is n - 1 on average with a variance of
 * twice that, if each pick is a throw of the dice. */
static double chi_square(const uint64_t *seen, const double *share, uint32_t n)
{
	double sum = 0, all = 0, shares = 0;
	for (uint32_t i = 0; i < n; i++) {
		all += (double)seen[i];
		shares += share[i];
	}
	for (uint32_t i = 0; i < n; i++) {
		double expected = all * share[i] / shares;
		if (expected > 0)
			sum +=
			    ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
		else
			CU_ASSERT_EQUAL(seen[i], 0);
	}
	return sum;
}

/* Dice are off by so much in one of a million runs, about. */
static double chi_square_limit(uint32_t n)
{
	double degrees = n - 1;
	return degrees + 5 * sqrt(2 * degrees) + 10;
}

/* Picks without anything in flight. */
static void count_picks(struct fleet *fleet, struct picker *picker, uint64_t *seen)
{
	memset(seen, 0, fleet->pools[0].n_targets * sizeof(*seen));
	for (uint64_t i = 0; i < PICKS; i++)
		seen[index_of(fleet, choose(picker, hash_mix(i), NULL, 0))]++;
}

/* In turn, as exactly as integers allow; by hash, as the dice and the rounding of the table do. */
static void an_idle_pool_is_served_by_weight(void)
{
	static const enum balance_algorithm algorithms[] = {
	    BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS, BALANCE_MAGLEV};
	for (size_t a = 0; a < sizeof(algorithms) / sizeof(algorithms[0]); a++) {
		struct fleet *fleet =
		    weighted((struct fleet_pool_spec){.algorithm = algorithms[a]}, six_weights, 6);
		struct picker *picker = picker_of(fleet, 1);
		uint64_t seen[6];
		count_picks(fleet, picker, seen);
		for (uint32_t i = 0; i < 6; i++) {
			double share = PICKS * six_weights[i] / 40., off = (double)seen[i] - share;
			double slack = algorithms[a] == BALANCE_MAGLEV ? share * 0.03 : 2;
			CU_ASSERT_TRUE(off <= slack && off >= -slack);
		}
		picker_free(picker);
		fleet_free(fleet);
	}
}

/* Half of a hundred targets go and come back: who stays is served by weight all the time. */
static void loss_and_return(void)
{
	enum { N = 100 };
	static const enum balance_algorithm algorithms[] = {
	    BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS, BALANCE_MAGLEV};
	for (size_t a = 0; a < sizeof(algorithms) / sizeof(algorithms[0]); a++) {
		uint16_t weights[N];
		uint64_t before[N], during[N], after[N];
		double all[N], left[N];
		for (uint32_t i = 0; i < N; i++) {
			weights[i] = (uint16_t)(10 + i % 7);
			all[i] = weights[i];
			left[i] = i % 2 ? weights[i] : 0;
		}
		struct fleet *fleet =
		    weighted((struct fleet_pool_spec){.algorithm = algorithms[a]}, weights, N);
		struct picker *picker = picker_of(fleet, 1);
		count_picks(fleet, picker, before);
		for (uint32_t i = 0; i < N; i += 2)
			set_down(fleet, i);
		count_picks(fleet, picker, during);
		for (uint32_t i = 0; i < N; i += 2)
			set_up(fleet, i);
		count_picks(fleet, picker, after);
		/* The table has 163 entries a target: each share is rounded by up to one of them. */
		double rounding = algorithms[a] == BALANCE_MAGLEV ? PICKS / N / 163. / 163. * N : 0;
		double limit = chi_square_limit(N) + rounding;
		printf("\n    chi-square %.1f, %.1f, %.1f ", chi_square(before, all, N),
		    chi_square(during, left, N), chi_square(after, all, N));
		CU_ASSERT_TRUE(chi_square(before, all, N) <= limit);
		CU_ASSERT_TRUE(chi_square(during, left, N) <= limit);
		CU_ASSERT_TRUE(chi_square(after, all, N) <= limit);
		if (algorithms[a] == BALANCE_MAGLEV)
			CU_ASSERT_EQUAL(memcmp(before, after, sizeof(before)), 0);
		picker_free(picker);
		fleet_free(fleet);
	}
}

/* ---- two of many ---- */

/* The first of the two is taken in a tie, so the shares are those of the dice alone. */
static void an_idle_pool_by_two_dice(void)
{
	static const enum balance_algorithm algorithms[] = {BALANCE_RANDOM_TWO, BALANCE_LEAST_TIME};
	static const double share[] = {1, 2, 3, 4, 10, 20};
	for (size_t a = 0; a < 2; a++) {
		struct fleet *fleet =
		    weighted((struct fleet_pool_spec){.algorithm = algorithms[a]}, six_weights, 6);
		struct picker *picker = picker_of(fleet, 7);
		uint64_t seen[6];
		for (uint32_t i = 0; i < 6; i++)
			picker_observe(picker, nth(fleet, i), 1000, 0);
		count_picks(fleet, picker, seen);
		printf("\n    chi-square %.1f ", chi_square(seen, share, 6));
		CU_ASSERT_TRUE(chi_square(seen, share, 6) <= chi_square_limit(6));
		set_down(fleet, 5);
		count_picks(fleet, picker, seen);
		CU_ASSERT_EQUAL(seen[5], 0);
		CU_ASSERT_TRUE(chi_square(seen, share, 5) <= chi_square_limit(5));
		picker_free(picker);
		fleet_free(fleet);
	}
}

#define FLIGHT 400 /* requests at a time, each as long as the others */

/* Who has a place at *at (NULL: nowhere) goes to one at `target`. */
static void move_to(struct target **at, struct target *target)
{
	if (*at)
		target_leave(*at);
	*at = target;
	if (target)
		target_enter(target);
}

/* The load of who has most over its fair share, at any time of a million picks. */
static double worst_load(enum balance_algorithm algorithm, const uint16_t *weights, uint32_t n)
{
	static struct target *flight[FLIGHT];
	struct fleet *fleet =
	    weighted((struct fleet_pool_spec){.algorithm = algorithm}, weights, n);
	struct picker *picker = picker_of(fleet, 3);
	double worst = 0, weight_sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		weight_sum += weights[i];
		picker_observe(picker, nth(fleet, i), 1000, 0);
	}
	memset(flight, 0, sizeof(flight));
	for (uint32_t at = 0; at < PICKS; at++) {
		struct target **slot = &flight[at % FLIGHT];
		move_to(slot, NULL);
		move_to(slot, choose(picker, hash_mix(at), NULL, 0));
		double fair = FLIGHT * weights[index_of(fleet, *slot)] / weight_sum;
		if (atomic_load(&(*slot)->active) / fair > worst)
			worst = atomic_load(&(*slot)->active) / fair;
	}
	for (uint32_t i = 0; i < FLIGHT; i++)
		move_to(&flight[i], NULL);
	picker_free(picker);
	fleet_free(fleet);
	return worst;
}

/* 20 requests at each of 20 on average: of one die some have twice as many, of two nobody has. */
static void two_dice_bound_the_load(void)
{
	uint16_t weights[20];
	for (uint32_t i = 0; i < 20; i++)
		weights[i] = (uint16_t)(4 + i % 3);
	double one = worst_load(BALANCE_MAGLEV, weights, 20);
	double two = worst_load(BALANCE_RANDOM_TWO, weights, 20);
	double timed = worst_load(BALANCE_LEAST_TIME, weights, 20);
	printf("\n    worst load %.2f of the fair one; least_time %.2f; one die %.2f ", two, timed,
	    one);
	CU_ASSERT_TRUE(one > 1.7);
	CU_ASSERT_TRUE(two < 1.3);
	CU_ASSERT_TRUE(timed < 1.3);
}

/* ---- who answers late ---- */

#define RING 65536 /* microseconds ahead */

struct event {
	struct event *next;
	struct target *target;
	uint64_t began_us;
};

/* A request each 50 us, a million of them, of which target i answers in took_us[i], or fails at once
 * where that is 0. Returns how many each got. */
static void run_timed(
    enum balance_algorithm algorithm, const uint64_t *took_us, uint32_t n, uint64_t *seen)
{
	static struct event *ring[RING];
	prepare(n);
	struct fleet *fleet = fleet_of(algorithm, n, false);
	struct picker *picker = picker_of(fleet, 1);
	memset(seen, 0, n * sizeof(*seen));
	for (uint64_t now_us = 1; now_us < PICKS * 50ULL; now_us++) {
		struct event *event = ring[now_us % RING];
		ring[now_us % RING] = NULL;
		while (event) {
			struct event *done = event;
			event = event->next;
			picker_observe(picker, done->target, now_us - done->began_us, now_us);
			move_to(&done->target, NULL);
			free(done);
		}
		if (now_us % 50 != 0)
			continue;
		struct pick pick = {.hash = now_us, .now_us = now_us};
		struct target *target = picker_pick(picker, &pick);
		uint32_t i = index_of(fleet, target);
		seen[i]++;
		if (took_us[i] == 0) {
			picker_observe(picker, target, PICKER_FAILED, now_us);
			continue;
		}
		struct event *begun = calloc(1, sizeof(*begun));
		CU_ASSERT_PTR_NOT_NULL_FATAL(begun);
		begun->began_us = now_us;
		move_to(&begun->target, target);
		/* Some jitter: no two are alike. */
		uint64_t at_us = now_us + took_us[i] + hash_mix(now_us) % (took_us[i] / 4);
		begun->next = ring[at_us % RING];
		ring[at_us % RING] = begun;
	}
	for (uint32_t i = 0; i < RING; i++) {
		while (ring[i]) {
			struct event *rest = ring[i];
			ring[i] = rest->next;
			move_to(&rest->target, NULL);
			free(rest);
		}
	}
	picker_free(picker);
	fleet_free(fleet);
}

/* Four equal ones, and with one of them ten times as slow as the others, or failing at once. */
static void least_time_avoids_the_slow(void)
{
	static const uint64_t equal[] = {1000, 1000, 1000, 1000},
			      slow[] = {1000, 1000, 10000, 1000}, failing[] = {1000, 1000, 0, 1000};
	uint64_t seen[4];
	run_timed(BALANCE_LEAST_TIME, equal, 4, seen);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_TRUE(seen[i] > PICKS / 5 && seen[i] < PICKS * 3 / 10);
	run_timed(BALANCE_ROUND_ROBIN, slow, 4, seen);
	CU_ASSERT_TRUE(seen[2] > PICKS * 24 / 100);
	run_timed(BALANCE_LEAST_CONNECTIONS, slow, 4, seen);
	printf(
	    "\n    ten times as slow: least_connections %.2f %%, ", (double)seen[2] * 100 / PICKS);
	CU_ASSERT_TRUE(seen[2] < PICKS / 10);
	run_timed(BALANCE_LEAST_TIME, slow, 4, seen);
	printf("least_time %.2f %%, ", (double)seen[2] * 100 / PICKS);
	CU_ASSERT_TRUE(seen[2] > 0 && seen[2] < PICKS / 100);
	run_timed(BALANCE_LEAST_TIME, failing, 4, seen);
	printf("failing %.3f %% ", (double)seen[2] * 100 / PICKS);
	CU_ASSERT_TRUE(seen[2] > 0 && seen[2] < PICKS / 1000);
}

/* Nobody knows how long the third one takes: it is asked once a while, not flooded. */
static void least_time_tries_what_it_does_not_know(void)
{
	prepare(3);
	struct fleet *fleet = fleet_of(BALANCE_LEAST_TIME, 3, false);
	struct picker *picker = picker_of(fleet, 1);
	struct target *silent = nth(fleet, 2);
	unsigned asked = 0;
	for (uint64_t now_us = 1; now_us < 10000000; now_us += 100) {
		struct pick pick = {.now_us = now_us};
		struct target *target = picker_pick(picker, &pick);
		asked += target == silent;
		if (target != silent)
			picker_observe(picker, target, 1000 + now_us % 100, now_us);
	}
	CU_ASSERT_TRUE(asked >= 9 && asked <= 11);
	/* It answers, as soon as the others: it has its part. */
	unsigned had = 0;
	picker_observe(picker, silent, 1000, 10000000);
	for (uint64_t now_us = 10000000; now_us < 20000000; now_us += 100) {
		struct pick pick = {.now_us = now_us};
		struct target *target = picker_pick(picker, &pick);
		had += target == silent;
		picker_observe(picker, target, 1000 + now_us % 100, now_us);
	}
	CU_ASSERT_TRUE(had > 20000 && had < 50000);
	/* What was heard goes on in the next configuration. */
	picker_observe(picker, silent, 100000000, 20000000);
	struct picker *next = picker_of(fleet, 2);
	picker_inherit(next, picker);
	for (uint64_t i = 0; i < 1000; i++) {
		struct pick pick = {.now_us = 20000000};
		CU_ASSERT_PTR_NOT_EQUAL(picker_pick(next, &pick), silent);
	}
	picker_free(next);
	picker_free(picker);
	fleet_free(fleet);
}

/* ---- slow start ---- */

#define SLOW_US 10000000ULL
#define UP_US   1000000000ULL

static void set_up_at(struct fleet *fleet, uint32_t i, uint64_t now_us)
{
	target_set_health(&fleet->pools[0], nth(fleet, i), TARGET_UP, "test", now_us);
}

static void count_picks_at(
    struct fleet *fleet, struct picker *picker, uint64_t now_us, uint64_t *seen)
{
	memset(seen, 0, fleet->pools[0].n_targets * sizeof(*seen));
	for (uint64_t i = 0; i < PICKS; i++) {
		struct pick pick = {.hash = hash_mix(i), .now_us = now_us};
		seen[index_of(fleet, picker_pick(picker, &pick))]++;
	}
}

/* Three targets, of which the last one has just come up: a tenth of its weight of 2, and a tenth more
 * with each tenth of the time. Nothing but the clock tells the picker. */
static void slow_start_by_tenths(void)
{
	static const uint16_t weights[] = {1, 3, 2};
	static const uint32_t tenths[] = {0, 1, 2, 5, 9, 10};
	for (int a = 0; a < BALANCE_COUNT; a++) {
		struct fleet *fleet =
		    weighted((struct fleet_pool_spec){.algorithm = (enum balance_algorithm)a,
				 .slow_start_us = SLOW_US},
			weights, 3);
		struct picker *picker = picker_of(fleet, 1);
		uint64_t seen[3];
		set_down(fleet, 2);
		count_picks_at(fleet, picker, UP_US - 1, seen);
		CU_ASSERT_EQUAL(seen[2], 0);
		set_up_at(fleet, 2, UP_US);
		for (size_t k = 0; k < sizeof(tenths) / sizeof(tenths[0]); k++) {
			uint64_t now_us = UP_US + SLOW_US / 10 * tenths[k];
			for (uint32_t i = 0; i < 3; i++)
				picker_observe(picker, nth(fleet, i), 1000, now_us);
			count_picks_at(fleet, picker, now_us, seen);
			double share[] = {1, 3, 0.2 * (tenths[k] ? tenths[k] : 1)};
			/* By hash its keys go to the others by these' weights. */
			double limit = a == BALANCE_MAGLEV ? 200 : chi_square_limit(3);
			if (a == BALANCE_MAGLEV) {
				double gone = 2 - share[2];
				share[0] += gone / 4;
				share[1] += gone * 3 / 4;
			}
			CU_ASSERT_TRUE(chi_square(seen, share, 3) <= limit);
		}
		picker_free(picker);
		fleet_free(fleet);
	}
}

static double share_of(struct fleet *fleet, struct picker *picker, uint32_t i, uint64_t now_us)
{
	uint64_t seen[3];
	count_picks_at(fleet, picker, now_us, seen);
	return (double)seen[i] / PICKS;
}

static void slow_start_is_for_who_comes_later(void)
{
	static const uint16_t weights[] = {1, 1, 1};
	struct fleet_pool_spec spec = {.checked = true, .slow_start_us = SLOW_US};
	struct fleet *fleet = weighted(spec, weights, 3);
	struct picker *picker = picker_of(fleet, 1);
	struct pool *pool = &fleet->pools[0];
	/* At a start nobody is warm: nobody is known, then they come up one after the other. */
	CU_ASSERT_DOUBLE_EQUAL(share_of(fleet, picker, 0, UP_US), 1 / 3., 1e-5);
	for (uint32_t i = 0; i < 3; i++)
		set_up_at(fleet, i, UP_US + i * SLOW_US / 20);
	CU_ASSERT_DOUBLE_EQUAL(share_of(fleet, picker, 0, UP_US + SLOW_US / 5), 1 / 3., 1e-5);
	/* One comes back, and then those who were warm go: somebody must carry the load. */
	uint64_t now_us = UP_US + 10 * SLOW_US;
	set_down(fleet, 2);
	set_up_at(fleet, 2, now_us);
	CU_ASSERT_DOUBLE_EQUAL(share_of(fleet, picker, 2, now_us), 1 / 21., 1e-5);
	set_down(fleet, 1);
	set_up_at(fleet, 1, now_us + SLOW_US / 2);
	now_us += SLOW_US / 2;
	CU_ASSERT_DOUBLE_EQUAL(share_of(fleet, picker, 1, now_us), 1 / 16., 1e-5);
	CU_ASSERT_DOUBLE_EQUAL(share_of(fleet, picker, 2, now_us), 5 / 16., 1e-5);
	set_down(fleet, 0);
	CU_ASSERT_DOUBLE_EQUAL(share_of(fleet, picker, 1, now_us), 1 / 2., 1e-5);
	set_up_at(fleet, 0, 1);

	/* The next configuration goes on where this one was, and one that is new begins. */
	spec.name = "web";
	spec.targets = specs;
	spec.n_targets = 4;
	prepare(4);
	struct fleet *next = fleet_new(&spec, 1, fleet);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	fleet_free(fleet);
	picker_free(picker);
	picker = picker_of(next, 2);
	pool = &next->pools[0];
	uint64_t seen[4];
	count_picks_at(next, picker, now_us, seen);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[1] / PICKS, 1 / 17., 1e-4);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[2] / PICKS, 5 / 17., 1e-4);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[3] / PICKS, 1 / 17., 1e-4);

	/* Made ready by the admin. */
	now_us += 10 * SLOW_US;
	set_up_at(next, 3, 1);
	atomic_store(&nth(next, 3)->ready_us, 0);
	target_set_admin(pool, nth(next, 3), TARGET_DRAIN);
	target_set_admin(pool, nth(next, 3), TARGET_READY);
	CU_ASSERT_TRUE(atomic_load(&nth(next, 3)->ready_us) > 0);
	atomic_store(&nth(next, 3)->ready_us, now_us); /* by a clock that is not ours */
	count_picks_at(next, picker, now_us + 1, seen);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[3] / PICKS, 1 / 31., 1e-4);

	/* Let in again. */
	target_set_ejected(pool, nth(next, 2), true);
	target_set_ejected(pool, nth(next, 2), false);
	CU_ASSERT_TRUE(atomic_load(&nth(next, 2)->ready_us) > 0);
	atomic_store(&nth(next, 2)->ready_us, now_us);
	now_us += SLOW_US / 2;
	count_picks_at(next, picker, now_us, seen);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[2] / PICKS, 5 / 30., 1e-4);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[3] / PICKS, 5 / 30., 1e-4);

	/* As the peer says: the picker that has looked already goes on there. What it does not say stays. */
	target_set_since(pool, nth(next, 3), now_us - SLOW_US / 10 * 7, 1);
	target_set_since(pool, nth(next, 2), 1, now_us - SLOW_US / 10 * 3);
	count_picks_at(next, picker, now_us, seen);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[2] / PICKS, 3 / 30., 1e-4);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[3] / PICKS, 7 / 30., 1e-4);
	uint64_t version = atomic_load(pool->version);
	target_set_since(pool, nth(next, 2), 1, 0);
	CU_ASSERT_EQUAL(atomic_load(pool->version), version);
	count_picks_at(next, picker, now_us, seen);
	CU_ASSERT_DOUBLE_EQUAL((double)seen[2] / PICKS, 3 / 30., 1e-4);
	picker_free(picker);
	fleet_free(next);
}

/* By hash: with each tenth more of its keys return, and nobody else's move. */
static void slow_start_returns_keys(void)
{
	enum { N = 10, KEYS_SEEN = 20000 };
	static struct target *home[KEYS_SEEN], *now[KEYS_SEEN];
	prepare(N);
	struct fleet *fleet = fleet_with(
	    (struct fleet_pool_spec){.algorithm = BALANCE_MAGLEV, .slow_start_us = SLOW_US}, N);
	struct picker *picker = picker_of(fleet, 1);
	unsigned strangers = 0, lost = 0, back = 0;
	for (uint32_t i = 0; i < KEYS_SEEN; i++) {
		struct pick pick = {.hash = hash_mix(i), .now_us = 1};
		home[i] = picker_pick(picker, &pick);
	}
	set_down(fleet, 3);
	set_up_at(fleet, 3, UP_US);
	for (uint32_t tenth = 0; tenth <= 10; tenth++) {
		back = 0;
		for (uint32_t i = 0; i < KEYS_SEEN; i++) {
			struct pick pick = {
			    .hash = hash_mix(i), .now_us = UP_US + SLOW_US / 10 * tenth};
			struct target *target = picker_pick(picker, &pick);
			strangers += home[i] != nth(fleet, 3) && target != home[i];
			lost += tenth > 0 && now[i] == home[i] && target != home[i];
			back += home[i] == nth(fleet, 3) && target == home[i];
			now[i] = target;
		}
		double expected = KEYS_SEEN / N * (tenth ? tenth : 1) / 10.;
		CU_ASSERT_TRUE(back > expected * 0.8 - 20 && back < expected * 1.2 + 20);
	}
	CU_ASSERT_EQUAL(strangers, 0);
	CU_ASSERT_EQUAL(lost, 0);
	picker_free(picker);
	fleet_free(fleet);
}

/* ---- keys of which few are most ---- */

#define KEYS 10000

/* The number of a key: the k-th is asked for 1/k as often as the first. */
static uint32_t zipf(const double *cumulative, uint64_t *dice)
{
	*dice = hash_mix(*dice + 1);
	double x = (double)(*dice >> 11) * 0x1p-53 * cumulative[KEYS - 1];
	uint32_t low = 0, high = KEYS - 1;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (cumulative[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct skewed {
	double worst;     /* load over its fair share, of who had the most of that */
	double overshoot; /* requests above what the factor allows, at most */
	double at_home;   /* picks that went where they go without a limit */
};

/* A million requests by such keys, FLIGHT at a time. */
static struct skewed run_skewed(struct fleet_pool_spec spec, const uint16_t *weights, uint32_t n)
{
	static double cumulative[KEYS];
	static struct target *flight[FLIGHT];
	struct skewed result = {.overshoot = -1e9};
	struct fleet *fleet = weighted(spec, weights, n);
	struct picker *picker = picker_of(fleet, 1);
	struct fleet_pool_spec free_spec = spec;
	free_spec.hash_balance_factor = 0;
	struct fleet *free_fleet = fleet_with(free_spec, n);
	struct picker *free_picker = picker_of(free_fleet, 1);
	double weight_sum = 0;
	uint64_t dice = 1;
	for (uint32_t i = 0; i < n; i++)
		weight_sum += weights[i];
	for (uint32_t k = 0; k < KEYS; k++)
		cumulative[k] = (k ? cumulative[k - 1] : 0) + 1. / (k + 1);
	memset(flight, 0, sizeof(flight));
	for (uint32_t at = 0; at < PICKS; at++) {
		struct target **slot = &flight[at % FLIGHT];
		uint64_t hash = hash_mix(zipf(cumulative, &dice) + 1);
		move_to(slot, NULL);
		struct target *target = choose(picker, hash, NULL, 0);
		move_to(slot, target);
		result.at_home += target->id == choose(free_picker, hash, NULL, 0)->id;
		if (at < FLIGHT)
			continue;
		double load = atomic_load(&target->active);
		double fair = FLIGHT * weights[index_of(fleet, target)] / weight_sum;
		double allowed = ceil(fair * spec.hash_balance_factor / 100);
		if (load / fair > result.worst)
			result.worst = load / fair;
		if (load - allowed > result.overshoot)
			result.overshoot = load - allowed;
	}
	result.at_home /= PICKS;
	for (uint32_t i = 0; i < FLIGHT; i++)
		move_to(&flight[i], NULL);
	picker_free(picker);
	picker_free(free_picker);
	fleet_free(fleet);
	fleet_free(free_fleet);
	return result;
}

/* The sum of what is in flight lags by n / 4 picks, in which as many begin and end: that, over n
 * targets, is a part of a request; with the factor and the rounding at most one. */
static void bounded_load_under_skewed_keys(void)
{
	enum { N = 20 };
	uint16_t weights[N];
	for (uint32_t i = 0; i < N; i++)
		weights[i] = (uint16_t)(1 + i % 3);
	struct fleet_pool_spec spec = {.algorithm = BALANCE_MAGLEV};
	struct skewed without = run_skewed(spec, weights, N);
	CU_ASSERT_TRUE(without.worst > 2);
	static const uint16_t factors[] = {110, 125, 200};
	for (size_t i = 0; i < 3; i++) {
		spec.hash_balance_factor = factors[i];
		struct skewed with = run_skewed(spec, weights, N);
		printf("\n    factor %u: worst %.2f of the fair share (%.2f without), %.0f over, "
		       "%.0f %% at home ",
		    factors[i], with.worst, without.worst, with.overshoot, with.at_home * 100);
		CU_ASSERT_TRUE(with.overshoot <= 1);
		CU_ASSERT_TRUE(with.at_home > 0.5);
	}
	CU_ASSERT_EQUAL(without.at_home, 1);
}

UNIT_MAIN("balance/statistics", UNIT(an_idle_pool_is_served_by_weight), UNIT(loss_and_return),
    UNIT(an_idle_pool_by_two_dice), UNIT(two_dice_bound_the_load), UNIT(least_time_avoids_the_slow),
    UNIT(least_time_tries_what_it_does_not_know), UNIT(slow_start_by_tenths),
    UNIT(slow_start_is_for_who_comes_later), UNIT(slow_start_returns_keys),
    UNIT(bounded_load_under_skewed_keys))
