#include "daemon/proxy/waiting.h"

#include <stdlib.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"

#define WORKERS 2
#define TARGETS 2
#define TIMEOUT US_PER_SEC

/* Two workers without threads and sockets, in a configuration of one pool of two targets with one
 * place each. Time is what the test says. */
struct stage {
	struct conf conf;
	struct conf_pool pool;
	struct fleet *fleet;
	struct target *a, *b;
	struct worker *workers[WORKERS];
	struct worker_gen gens[WORKERS];
	struct picker *pickers[WORKERS];
};

struct guest {
	struct wait wait;
	struct choice choice;
	unsigned resumed;
	struct target *place;
	const char *why;
};

/* All guests in the order in which they went on. */
static struct guest *resumed[16];
static unsigned n_resumed;

static void on_resume(
    struct worker *worker, struct wait *wait, struct target *target, const char *why)
{
	(void)worker;
	struct guest *guest = list_entry(wait, struct guest, wait);
	guest->resumed++;
	guest->place = target;
	guest->why = why;
	CU_ASSERT_TRUE_FATAL(n_resumed < 16);
	resumed[n_resumed++] = guest;
}

static void stage_init(struct stage *stage)
{
	struct fleet_target_spec targets[TARGETS] = {
	    {.text = "192.0.2.1:80", .weight = 1, .max_active = 1},
	    {.text = "192.0.2.2:80", .weight = 1, .max_active = 1}};
	struct fleet_pool_spec spec = {
	    .name = "web", .checked = true, .targets = targets, .n_targets = TARGETS};
	for (uint32_t i = 0; i < TARGETS; i++)
		CU_ASSERT_TRUE_FATAL(addr_parse_endpoint(targets[i].text, &targets[i].addr));
	*stage = (struct stage){
	    .pool = {.name = "web", .queue = {.max = 8, .timeout_us = TIMEOUT}},
	    .conf = {.n_pools = 1},
	};
	stage->conf.pools = &stage->pool;
	stage->fleet = fleet_new(&spec, 1, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(stage->fleet);
	stage->a = stage->fleet->pools[0].targets[0].target;
	stage->b = stage->fleet->pools[0].targets[1].target;
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct worker *worker = stage->workers[i] = calloc(1, sizeof(*worker));
		struct worker_gen *gen = &stage->gens[i];
		CU_ASSERT_PTR_NOT_NULL_FATAL(worker);
		worker->bell_fd = -1;
		worker->now_us = US_PER_SEC;
		list_init(&worker->wait_lines);
		queue_desk_init(&worker->desk, waiting_wake);
		stage->pickers[i] = picker_new(&stage->fleet->pools[0], 0);
		*gen = (struct worker_gen){.conf = &stage->conf,
		    .fleet = stage->fleet,
		    .pickers = &stage->pickers[i],
		    .refs = 1};
		gen->lines = wait_lines_new(gen);
		CU_ASSERT_PTR_NOT_NULL_FATAL(gen->lines);
	}
	n_resumed = 0;
}

static void stage_fini(struct stage *stage)
{
	const struct queue *queue = stage->fleet->pools[0].queue;
	CU_ASSERT_EQUAL(queue_waiting(queue), 0);
	CU_ASSERT_EQUAL(queue->queued, queue->served + queue->timeouts + queue->left);
	for (uint32_t i = 0; i < WORKERS; i++) {
		CU_ASSERT_EQUAL(stage->gens[i].refs, 1);
		CU_ASSERT_TRUE(list_empty(&stage->workers[i]->wait_lines));
		picker_free(stage->pickers[i]);
		free(stage->gens[i].lines);
		free(stage->workers[i]);
	}
	fleet_free(stage->fleet);
}

/* A request of worker `i`. The place that it has at once; NULL: it waits, or was refused. */
static struct target *arrive(struct stage *stage, uint32_t i, struct guest *guest)
{
	struct worker *worker = stage->workers[i];
	*guest = (struct guest){.choice = guest->choice, .wait = {.resume = on_resume}};
	guest->wait.choice = &guest->choice;
	struct target *target = choose_again(worker, &stage->gens[i], 0, &guest->choice, NULL, 0);
	return target ? target : wait_join(worker, &stage->gens[i], 0, &guest->wait);
}

static void fill(struct stage *stage)
{
	CU_ASSERT_TRUE(target_enter(stage->a));
	CU_ASSERT_TRUE(target_enter(stage->b));
}

/* A request of worker `i` ends. */
static void give_back(struct stage *stage, uint32_t i, struct target *target)
{
	place_give_back(stage->workers[i], &stage->gens[i], 0, target);
}

/* `ms` after the beginning. */
static void turn(struct stage *stage, uint32_t i, uint64_t ms)
{
	struct worker *worker = stage->workers[i];
	worker->now_us = US_PER_SEC + ms * US_PER_MS;
	atomic_store(&worker->rung, false);
	if (!list_empty(&worker->wait_lines))
		waiting_turn(worker);
}

static void who_comes_first_is_refused_first(void)
{
	struct stage stage;
	struct guest guests[3] = {0};
	stage_init(&stage);
	fill(&stage);
	for (unsigned i = 0; i < 3; i++) {
		turn(&stage, 0, i * 100);
		CU_ASSERT_PTR_NULL(arrive(&stage, 0, &guests[i]));
		CU_ASSERT_TRUE(wait_is_on(&guests[i].wait));
	}
	turn(&stage, 0, 999);
	CU_ASSERT_EQUAL(n_resumed, 0);
	turn(&stage, 0, 1000);
	CU_ASSERT_EQUAL(n_resumed, 1);
	turn(&stage, 0, 1250);
	CU_ASSERT_EQUAL(n_resumed, 3);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_PTR_EQUAL(resumed[i], &guests[i]);
		CU_ASSERT_STRING_EQUAL(guests[i].why, "queue_timeout");
		CU_ASSERT_PTR_NULL(guests[i].place);
	}
	CU_ASSERT_EQUAL(guests[0].wait.waited_us, 1000 * US_PER_MS);
	CU_ASSERT_EQUAL(guests[2].wait.waited_us, 1050 * US_PER_MS);
	CU_ASSERT_EQUAL(stage.fleet->pools[0].queue->timeouts, 3);
	CU_ASSERT_EQUAL(stage.fleet->pools[0].queue->waited_us, 3200 * US_PER_MS);
	stage_fini(&stage);
}

/* Whose worker was busy when he was served is not refused for that. */
static void a_place_comes_before_the_deadline(void)
{
	struct stage stage;
	struct guest guests[2] = {0};
	stage_init(&stage);
	fill(&stage);
	arrive(&stage, 0, &guests[0]);
	arrive(&stage, 0, &guests[1]);
	give_back(&stage, 1, stage.b);
	turn(&stage, 0, 5000);
	CU_ASSERT_PTR_EQUAL(guests[0].place, stage.b);
	CU_ASSERT_STRING_EQUAL(guests[1].why, "queue_timeout");
	CU_ASSERT_EQUAL(stage.b->active, 1);
	stage_fini(&stage);
}

static void over_all_workers_in_order(void)
{
	struct stage stage;
	struct guest guests[4] = {0};
	stage_init(&stage);
	fill(&stage);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_PTR_NULL(arrive(&stage, i % 2, &guests[i]));
	/* What worker 1 gives back goes to those of worker 0 first, and wakes it. */
	turn(&stage, 0, 1);
	give_back(&stage, 1, stage.a);
	CU_ASSERT_TRUE(stage.workers[0]->rung);
	CU_ASSERT_FALSE(stage.workers[1]->rung);
	turn(&stage, 1, 2);
	CU_ASSERT_EQUAL(n_resumed, 0);
	turn(&stage, 0, 2);
	CU_ASSERT_PTR_EQUAL(resumed[0], &guests[0]);
	/* Its own it finds without being woken. */
	give_back(&stage, 1, stage.a);
	CU_ASSERT_FALSE(stage.workers[1]->rung);
	turn(&stage, 1, 3);
	CU_ASSERT_PTR_EQUAL(resumed[1], &guests[1]);
	give_back(&stage, 0, stage.a);
	give_back(&stage, 0, stage.b);
	CU_ASSERT_TRUE(stage.workers[1]->rung);
	turn(&stage, 0, 4);
	turn(&stage, 1, 4);
	CU_ASSERT_PTR_EQUAL(resumed[2], &guests[2]);
	CU_ASSERT_PTR_EQUAL(resumed[3], &guests[3]);
	stage_fini(&stage);
}

static void who_leaves_passes_his_place_on(void)
{
	struct stage stage;
	struct guest guests[3] = {0};
	stage_init(&stage);
	fill(&stage);
	for (uint32_t i = 0; i < 3; i++)
		arrive(&stage, 0, &guests[i]);
	give_back(&stage, 0, stage.a); /* to the first, who has not seen it yet */
	wait_leave(stage.workers[0], &guests[0].wait);
	wait_leave(stage.workers[0], &guests[1].wait);
	wait_leave(stage.workers[0], &guests[1].wait); /* does no harm */
	turn(&stage, 0, 1);
	CU_ASSERT_EQUAL(n_resumed, 1);
	CU_ASSERT_PTR_NULL(guests[1].place);
	CU_ASSERT_EQUAL(stage.fleet->pools[0].queue->left, 2);
	/* The second had it from the first, and passed it on too. */
	CU_ASSERT_PTR_EQUAL(guests[2].place, stage.a);
	CU_ASSERT_EQUAL(stage.a->active, 1);
	stage_fini(&stage);
}

static void changes_of_the_pool_are_seen(void)
{
	struct stage stage;
	struct guest guests[4] = {0};
	struct pool *pool;
	stage_init(&stage);
	pool = &stage.fleet->pools[0];
	fill(&stage);
	for (uint32_t i = 0; i < 4; i++)
		arrive(&stage, 0, &guests[i]);
	turn(&stage, 0, 1);
	target_set_max_active(pool, stage.a, 3);
	turn(&stage, 0, 2);
	CU_ASSERT_EQUAL(n_resumed, 2);
	CU_ASSERT_PTR_EQUAL(guests[1].place, stage.a);
	target_set_health(pool, stage.a, TARGET_DOWN, "", 0);
	turn(&stage, 0, 3);
	CU_ASSERT_EQUAL(n_resumed, 2);
	/* A target that is down serves none of them. */
	give_back(&stage, 0, stage.a);
	turn(&stage, 0, 4);
	CU_ASSERT_EQUAL(n_resumed, 2);
	target_set_max_active(pool, stage.b, 0);
	turn(&stage, 0, 5);
	CU_ASSERT_EQUAL(n_resumed, 4);
	CU_ASSERT_PTR_EQUAL(guests[3].place, stage.b);
	stage_fini(&stage);
}

static void without_a_usable_target_nobody_waits(void)
{
	struct stage stage;
	struct guest guest = {0};
	stage_init(&stage);
	fill(&stage);
	arrive(&stage, 0, &guest);
	target_set_health(&stage.fleet->pools[0], stage.a, TARGET_DOWN, "", 0);
	turn(&stage, 0, 1);
	CU_ASSERT_EQUAL(n_resumed, 0);
	target_set_health(&stage.fleet->pools[0], stage.b, TARGET_DOWN, "", 0);
	turn(&stage, 0, 2);
	CU_ASSERT_EQUAL(n_resumed, 1);
	CU_ASSERT_STRING_EQUAL(guest.why, "no_target");
	stage_fini(&stage);
}

static void sticky_ones_wait_for_their_target(void)
{
	struct stage stage;
	struct guest own = {0}, any = {0};
	stage_init(&stage);
	fill(&stage);
	CU_ASSERT_FALSE(choose_enter(&own.choice, stage.a));
	own.choice.sticky = ACCESS_STICKY_HIT;
	own.wait = (struct wait){.resume = on_resume, .choice = &own.choice};
	CU_ASSERT_PTR_NULL(wait_join(stage.workers[0], &stage.gens[0], 0, &own.wait));
	arrive(&stage, 0, &any);
	give_back(&stage, 0, stage.b);
	turn(&stage, 0, 1);
	CU_ASSERT_PTR_EQUAL(any.place, stage.b);
	CU_ASSERT_EQUAL(own.resumed, 0);
	/* It drains: sticky clients stay with it. */
	target_set_admin(&stage.fleet->pools[0], stage.a, TARGET_DRAIN);
	turn(&stage, 0, 2);
	CU_ASSERT_EQUAL(own.resumed, 0);
	/* It is down: the other one will do, in its turn. */
	target_set_health(&stage.fleet->pools[0], stage.a, TARGET_DOWN, "", 0);
	turn(&stage, 0, 3);
	CU_ASSERT_EQUAL(own.resumed, 0);
	CU_ASSERT_EQUAL(own.choice.sticky, ACCESS_STICKY_MOVED);
	give_back(&stage, 1, stage.b);
	turn(&stage, 0, 4);
	CU_ASSERT_PTR_EQUAL(own.place, stage.b);
	stage_fini(&stage);
}

/* Who got a place at its own target and fails there is like others from then on. */
static void sticky_ones_that_fail_go_elsewhere(void)
{
	struct stage stage;
	struct guest own = {.wait = {.resume = on_resume}};
	stage_init(&stage);
	fill(&stage);
	own.wait.choice = &own.choice;
	CU_ASSERT_FALSE(choose_enter(&own.choice, stage.a));
	CU_ASSERT_PTR_NULL(wait_join(stage.workers[0], &stage.gens[0], 0, &own.wait));
	give_back(&stage, 0, stage.a);
	turn(&stage, 0, 1);
	CU_ASSERT_PTR_EQUAL(own.place, stage.a);
	own.wait.tried = &stage.a;
	own.wait.n_tried = 1;
	CU_ASSERT_PTR_NULL(
	    choose_again(stage.workers[0], &stage.gens[0], 0, &own.choice, own.wait.tried, 1));
	CU_ASSERT_TRUE(own.choice.full);
	give_back(&stage, 0, stage.a);
	CU_ASSERT_PTR_NULL(wait_join(stage.workers[0], &stage.gens[0], 0, &own.wait));
	turn(&stage, 0, 2);
	CU_ASSERT_EQUAL(own.resumed, 1);
	give_back(&stage, 0, stage.b);
	turn(&stage, 0, 3);
	CU_ASSERT_PTR_EQUAL(own.place, stage.b);
	stage_fini(&stage);
}

/* Between the choice and the queue somebody has left, and woken nobody. */
static void a_place_that_became_free_meanwhile(void)
{
	struct stage stage;
	struct guest guest = {.wait = {.resume = on_resume}};
	struct worker *worker;
	stage_init(&stage);
	fill(&stage);
	worker = stage.workers[0];
	guest.wait.choice = &guest.choice;
	CU_ASSERT_PTR_NULL(choose_again(worker, &stage.gens[0], 0, &guest.choice, NULL, 0));
	give_back(&stage, 1, stage.b);
	CU_ASSERT_PTR_EQUAL(wait_join(worker, &stage.gens[0], 0, &guest.wait), stage.b);
	CU_ASSERT_FALSE(wait_is_on(&guest.wait));
	CU_ASSERT_EQUAL(stage.b->active, 1);
	stage_fini(&stage);
}

static void only_so_many_wait(void)
{
	struct stage stage;
	struct guest guests[3] = {0};
	stage_init(&stage);
	stage.pool.queue.max = 2;
	fill(&stage);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_PTR_NULL(arrive(&stage, i % 2, &guests[i]));
	CU_ASSERT_FALSE(wait_is_on(&guests[2].wait));
	CU_ASSERT_STRING_EQUAL(wait_refusal(&guests[2].wait), "queue_full");
	CU_ASSERT_EQUAL(stage.fleet->pools[0].queue->overflows, 1);
	for (uint32_t i = 0; i < 2; i++)
		wait_leave(stage.workers[i], &guests[i].wait);
	stage_fini(&stage);
}

UNIT_MAIN("proxy/waiting", UNIT(who_comes_first_is_refused_first),
    UNIT(a_place_comes_before_the_deadline), UNIT(over_all_workers_in_order),
    UNIT(who_leaves_passes_his_place_on), UNIT(changes_of_the_pool_are_seen),
    UNIT(without_a_usable_target_nobody_waits), UNIT(sticky_ones_wait_for_their_target),
    UNIT(sticky_ones_that_fail_go_elsewhere), UNIT(only_so_many_wait),
    UNIT(a_place_that_became_free_meanwhile))
