#include "daemon/balance/queue.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "daemon/balance/fleet.h"
#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

/* Two targets; a desk of a worker, which counts how often it was woken. */
struct room {
	struct fleet *fleet;
	struct pool *pool;
	struct target *a, *b;
	struct queue_desk desk, other;
};

static unsigned woken;

static void on_wake(struct queue_desk *desk)
{
	(void)desk;
	woken++;
}

static struct fleet *fleet_of(uint32_t max_active, uint32_t n, struct fleet *previous)
{
	struct fleet_target_spec targets[] = {
	    {.text = "192.0.2.1:80", .weight = 1, .max_active = max_active},
	    {.text = "192.0.2.2:80", .weight = 1, .max_active = max_active}};
	struct fleet_pool_spec spec = {.name = "web", .targets = targets, .n_targets = n};
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_TRUE_FATAL(addr_parse_endpoint(targets[i].text, &targets[i].addr));
	struct fleet *fleet = fleet_new(&spec, 1, previous);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fleet);
	return fleet;
}

static void room_init(struct room *room, uint32_t max_active)
{
	room->fleet = fleet_of(max_active, 2, NULL);
	room->pool = &room->fleet->pools[0];
	room->a = room->pool->targets[0].target;
	room->b = room->pool->targets[1].target;
	queue_desk_init(&room->desk, on_wake);
	queue_desk_init(&room->other, on_wake);
	woken = 0;
}

static struct waiter waiter_of(struct room *room, struct target *only)
{
	return (struct waiter){.desk = &room->desk, .pool = room->pool, .only = only};
}

static void join(struct room *room, struct waiter *waiter)
{
	CU_ASSERT_TRUE(queue_join(room->pool->queue, waiter, 10));
}

/* Whose turn it is when somebody leaves `target`; NULL: nobody's. */
static struct waiter *after(struct room *room, struct target *target, bool for_new)
{
	if (target_leave(target))
		queue_serve(target, room->pool, for_new, &room->desk);
	queue_collect(&room->desk);
	struct waiter *waiter = queue_take(&room->desk);
	if (waiter)
		CU_ASSERT_PTR_EQUAL(waiter->place, target);
	return waiter;
}

static void places_are_counted(void)
{
	struct room room;
	room_init(&room, 2);
	CU_ASSERT_TRUE(target_enter(room.a));
	CU_ASSERT_FALSE(target_is_full(room.a));
	CU_ASSERT_TRUE(target_enter(room.a));
	CU_ASSERT_TRUE(target_is_full(room.a));
	CU_ASSERT_FALSE(target_enter(room.a));
	CU_ASSERT_EQUAL(room.a->active, 2);
	CU_ASSERT_FALSE(target_leave(room.a)); /* nobody waits */
	CU_ASSERT_FALSE(target_is_full(room.a));
	CU_ASSERT_TRUE(target_set_max_active(room.pool, room.a, 1));
	CU_ASSERT_FALSE(target_set_max_active(room.pool, room.a, 1));
	CU_ASSERT_FALSE(target_enter(room.a));
	target_set_max_active(room.pool, room.a, 0);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_TRUE(target_enter(room.a));
	fleet_free(room.fleet);
}

static void first_come_first_served(void)
{
	struct room room;
	room_init(&room, 1);
	struct waiter waiters[3];
	target_enter(room.a);
	target_enter(room.b);
	for (int i = 0; i < 3; i++) {
		waiters[i] = waiter_of(&room, NULL);
		join(&room, &waiters[i]);
	}
	CU_ASSERT_PTR_EQUAL(after(&room, room.b, true), &waiters[0]);
	CU_ASSERT_EQUAL(room.b->active, 1); /* the place is the waiter's */
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &waiters[1]);
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &waiters[2]);
	CU_ASSERT_PTR_NULL(after(&room, room.a, true));
	CU_ASSERT_EQUAL(room.a->active, 0);
	CU_ASSERT_EQUAL(queue_waiting(room.pool->queue), 0);
	CU_ASSERT_EQUAL(room.pool->queue->queued, 3);
	fleet_free(room.fleet);
}

/* Who waits for one target does not stand in the way of those who go anywhere, and is not passed by
 * those who came later. */
static void some_wait_for_one_target(void)
{
	struct room room;
	room_init(&room, 1);
	struct waiter any1 = waiter_of(&room, NULL), own1 = waiter_of(&room, room.a),
		      own2 = waiter_of(&room, room.a), any2 = waiter_of(&room, NULL);
	target_enter(room.a);
	target_enter(room.b);
	join(&room, &own1);
	join(&room, &any1);
	join(&room, &own2);
	join(&room, &any2);
	CU_ASSERT_PTR_EQUAL(after(&room, room.b, true), &any1);
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &own1);
	/* A target that drains serves its own only. */
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, false), &own2);
	CU_ASSERT_PTR_NULL(after(&room, room.a, false));
	CU_ASSERT_PTR_EQUAL(after(&room, room.b, true), &any2);
	target_enter(room.a);
	join(&room, &any1);
	join(&room, &own1);
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &any1);
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &own1);
	fleet_free(room.fleet);
}

static void not_where_it_has_failed(void)
{
	struct room room;
	room_init(&room, 1);
	struct waiter first = waiter_of(&room, NULL), second = waiter_of(&room, NULL);
	first.tried = &room.a;
	first.n_tried = 1;
	target_enter(room.a);
	target_enter(room.b);
	join(&room, &first);
	join(&room, &second);
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &second);
	CU_ASSERT_PTR_EQUAL(after(&room, room.b, true), &first);
	fleet_free(room.fleet);
}

static void only_so_many_wait(void)
{
	struct room room;
	room_init(&room, 1);
	struct waiter first = waiter_of(&room, NULL), second = waiter_of(&room, room.a),
		      third = waiter_of(&room, NULL);
	struct queue *queue = room.pool->queue;
	CU_ASSERT_FALSE(queue_join(queue, &first, 0));
	CU_ASSERT_TRUE(queue_join(queue, &first, 2));
	CU_ASSERT_TRUE(queue_join(queue, &second, 2));
	CU_ASSERT_FALSE(queue_join(queue, &third, 2));
	CU_ASSERT_PTR_NULL(third.queue);
	CU_ASSERT_EQUAL(queue->overflows, 2);
	CU_ASSERT_PTR_NULL(queue_leave(&first));
	CU_ASSERT_TRUE(queue_join(queue, &third, 2));
	CU_ASSERT_PTR_NULL(queue_leave(&second));
	CU_ASSERT_PTR_NULL(queue_leave(&third));
	CU_ASSERT_EQUAL(queue_waiting(queue), 0);
	fleet_free(room.fleet);
}

/* The place that it was handed at that moment is not lost, wherever it is by then. */
static void who_leaves_gives_the_place_back(void)
{
	struct room room;
	room_init(&room, 1);
	struct waiter waiters[3];
	for (int collected = 0; collected < 2; collected++) {
		target_enter(room.a);
		for (int i = 0; i < 3; i++) {
			waiters[i] = waiter_of(&room, NULL);
			join(&room, &waiters[i]);
		}
		CU_ASSERT_TRUE(target_leave(room.a));
		queue_serve(room.a, room.pool, true, &room.desk);
		if (collected)
			queue_collect(&room.desk);
		CU_ASSERT_PTR_EQUAL(queue_leave(&waiters[0]), room.a);
		CU_ASSERT_PTR_NULL(queue_leave(&waiters[1]));
		CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &waiters[2]);
		CU_ASSERT_PTR_NULL(after(&room, room.a, true));
	}
	fleet_free(room.fleet);
}

static void a_place_is_handed_to_the_right_worker(void)
{
	struct room room;
	room_init(&room, 1);
	struct waiter mine = waiter_of(&room, NULL), theirs[2];
	target_enter(room.a);
	target_enter(room.b);
	for (int i = 0; i < 2; i++) {
		theirs[i] = waiter_of(&room, NULL);
		theirs[i].desk = &room.other;
		join(&room, &theirs[i]);
	}
	join(&room, &mine);
	target_leave(room.a);
	queue_serve(room.a, room.pool, true, &room.desk);
	CU_ASSERT_EQUAL(woken, 1);
	target_leave(room.b);
	queue_serve(room.b, room.pool, true, &room.desk);
	CU_ASSERT_EQUAL(woken, 1); /* it knows already */
	queue_collect(&room.desk);
	CU_ASSERT_PTR_NULL(queue_take(&room.desk));
	queue_collect(&room.other);
	CU_ASSERT_PTR_EQUAL(queue_take(&room.other), &theirs[0]);
	CU_ASSERT_PTR_EQUAL(queue_take(&room.other), &theirs[1]);
	CU_ASSERT_PTR_NULL(queue_take(&room.other));
	/* Our own: we look by ourselves. */
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &mine);
	CU_ASSERT_EQUAL(woken, 1);
	fleet_free(room.fleet);
}

static void who_may_go_anywhere_keeps_its_turn(void)
{
	struct room room;
	room_init(&room, 1);
	struct waiter waiters[3];
	target_enter(room.b);
	for (int i = 0; i < 3; i++) {
		waiters[i] = waiter_of(&room, i == 1 ? room.a : NULL);
		join(&room, &waiters[i]);
	}
	queue_widen(&waiters[1]);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_PTR_EQUAL(after(&room, room.b, true), &waiters[i]);
	fleet_free(room.fleet);
}

/* Waiters of the configuration before do not know a target that is new. */
static void over_a_reload(void)
{
	struct room room;
	room_init(&room, 1);
	fleet_free(room.fleet);
	room.fleet = fleet_of(1, 1, NULL);
	room.pool = &room.fleet->pools[0];
	room.a = room.pool->targets[0].target;
	struct waiter old = waiter_of(&room, NULL);
	target_enter(room.a);
	join(&room, &old);
	struct fleet *before = room.fleet;
	room.fleet = fleet_of(1, 2, before);
	room.pool = &room.fleet->pools[0];
	room.b = room.pool->targets[1].target;
	CU_ASSERT_PTR_EQUAL(room.pool->queue, before->pools[0].queue);
	struct waiter new = waiter_of(&room, NULL);
	target_enter(room.b);
	join(&room, &new);
	CU_ASSERT_PTR_EQUAL(after(&room, room.b, true), &new);
	CU_ASSERT_PTR_EQUAL(after(&room, room.a, true), &old);
	fleet_free(before);
	fleet_free(room.fleet);
}

/* --- several threads --- */

#define THREADS  4
#define CLIENTS  3 /* of a thread, at a time */
#define REQUESTS 20000
#define PLACES   2 /* of a target */

struct thread {
	struct queue_desk desk;
	pthread_t id;
	pthread_mutex_t lock;
	pthread_cond_t bell;
	bool rung;
	struct room *room;
	uint32_t index, left;
	unsigned missed, crowded; /* what must not be */
};

/* A client: has a place, or waits for one. */
struct client {
	struct waiter waiter;
	struct target *target;
};

static void ring(struct queue_desk *desk)
{
	struct thread *thread = list_entry(desk, struct thread, desk);
	pthread_mutex_lock(&thread->lock);
	thread->rung = true;
	pthread_cond_signal(&thread->bell);
	pthread_mutex_unlock(&thread->lock);
}

/* Nobody rang for ten seconds: a wake-up was lost. */
static bool sleep_until_rung(struct thread *thread)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	int rc = 0;
	pthread_mutex_lock(&thread->lock);
	while (!thread->rung && rc == 0)
		rc = pthread_cond_timedwait(&thread->bell, &thread->lock, &until);
	thread->rung = false;
	pthread_mutex_unlock(&thread->lock);
	return rc == 0;
}

static void leave_place(struct thread *thread, struct target *target)
{
	if (target_leave(target))
		queue_serve(target, thread->room->pool, true, &thread->desk);
}

static struct target *find_place(struct room *room, struct target *only)
{
	if (only)
		return target_enter(only) ? only : NULL;
	return target_enter(room->a) ? room->a : target_enter(room->b) ? room->b : NULL;
}

/* As a worker does it: look, wait, look again. */
static void ask(struct thread *thread, struct client *client, uint64_t random)
{
	struct room *room = thread->room;
	struct target *only = random % 4 == 0 ? room->a : NULL;
	client->target = find_place(room, only);
	if (client->target)
		return;
	client->waiter = (struct waiter){.desk = &thread->desk, .pool = room->pool, .only = only};
	queue_join(room->pool->queue, &client->waiter, THREADS * CLIENTS);
	client->target = find_place(room, only);
	if (!client->target)
		return;
	struct target *handed = queue_leave(&client->waiter);
	if (handed)
		leave_place(thread, handed);
}

static void take_handed(struct thread *thread)
{
	struct waiter *waiter;
	queue_collect(&thread->desk);
	while ((waiter = queue_take(&thread->desk)))
		list_entry(waiter, struct client, waiter)->target = waiter->place;
}

static void finish(struct thread *thread, struct client *client)
{
	struct target *target = client->target;
	thread->crowded += atomic_load(&target->active) > PLACES;
	atomic_fetch_add_explicit(&target->requests, 1, memory_order_relaxed);
	client->target = NULL;
	thread->left--;
	leave_place(thread, target);
}

static void *work(void *arg)
{
	struct thread *thread = arg;
	struct client clients[CLIENTS] = {0};
	uint64_t random = thread->index;
	while (thread->left > 0) {
		bool busy = false;
		random = hash_mix(random + 1);
		take_handed(thread);
		for (uint32_t i = 0; i < CLIENTS && thread->left > 0; i++) {
			struct client *client = &clients[i];
			busy |= client->target != NULL;
			if (client->target && (random >> i & 1))
				finish(thread, client);
			else if (!client->target && !client->waiter.queue)
				ask(thread, client, random >> 8);
			else if (client->waiter.queue && random % 1024 == 0) {
				struct target *handed = queue_leave(&client->waiter);
				if (handed)
					leave_place(thread, handed);
			}
		}
		for (uint32_t i = 0; i < CLIENTS; i++)
			busy |= clients[i].target || !clients[i].waiter.queue;
		queue_collect(&thread->desk);
		if (!busy && list_empty(&thread->desk.handed) && !sleep_until_rung(thread)) {
			thread->missed++;
			break;
		}
	}
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct target *place =
		    clients[i].waiter.queue ? queue_leave(&clients[i].waiter) : clients[i].target;
		if (place)
			leave_place(thread, place);
	}
	return NULL;
}

static void no_wake_up_is_lost(void)
{
	static struct thread threads[THREADS];
	struct room room;
	room_init(&room, PLACES);
	for (uint32_t i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){.room = &room, .index = i, .left = REQUESTS};
		queue_desk_init(&threads[i].desk, ring);
		pthread_mutex_init(&threads[i].lock, NULL);
		pthread_cond_init(&threads[i].bell, NULL);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i].id, NULL, work, &threads[i]), 0);
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	for (uint32_t i = 0; i < THREADS; i++) {
		CU_ASSERT_EQUAL(threads[i].missed, 0);
		CU_ASSERT_EQUAL(threads[i].crowded, 0);
		pthread_mutex_destroy(&threads[i].lock);
		pthread_cond_destroy(&threads[i].bell);
	}
	CU_ASSERT_EQUAL(room.a->requests + room.b->requests, THREADS * REQUESTS);
	CU_ASSERT_EQUAL(room.a->active, 0);
	CU_ASSERT_EQUAL(room.b->active, 0);
	CU_ASSERT_EQUAL(queue_waiting(room.pool->queue), 0);
	CU_ASSERT_TRUE(room.pool->queue->queued > 0);
	fleet_free(room.fleet);
}

/* --- one place, given back at the moment when somebody comes --- */

#define RACE_MS 1000

struct race {
	struct thread thread; /* of who comes; has no bell, and looks by itself */
	atomic_uint round, done;
	atomic_bool over;
	atomic_uint missed;
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void no_bell(struct queue_desk *desk)
{
	(void)desk;
}

/* Comes, waits for the place, and gives it back. */
static void take_part(struct race *race)
{
	struct client client = {0};
	uint64_t until = now_ms() + 60000;
	ask(&race->thread, &client, 0);
	while (!client.target && now_ms() < until) {
		take_handed(&race->thread);
		sched_yield();
	}
	if (!client.target) {
		atomic_fetch_add(&race->missed, 1);
		client.target = queue_leave(&client.waiter);
	}
	if (client.target)
		leave_place(&race->thread, client.target);
}

static void *come(void *arg)
{
	struct race *race = arg;
	for (unsigned round = 1;; round++) {
		while (atomic_load(&race->round) < round) {
			if (atomic_load(&race->over))
				return NULL;
			sched_yield();
		}
		take_part(race);
		atomic_store(&race->done, round);
	}
}

/* There is nobody else whose leaving could mend it. */
static void nobody_waits_while_a_place_is_free(void)
{
	struct room room;
	struct race race = {.thread.room = &room};
	struct thread first = {.room = &room};
	room_init(&room, 1);
	queue_desk_init(&first.desk, no_bell);
	queue_desk_init(&race.thread.desk, no_bell);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&race.thread.id, NULL, come, &race), 0);
	uint64_t until = now_ms() + RACE_MS;
	for (unsigned n = 1; now_ms() < until && atomic_load(&race.missed) == 0; n++) {
		if (!target_enter(room.a))
			break;
		atomic_store(&race.round, n);
		for (unsigned pause = 0; pause < n % 64; pause++)
			atomic_load(&race.done);
		leave_place(&first, room.a);
		while (atomic_load(&race.done) < n)
			sched_yield();
	}
	atomic_store(&race.over, true);
	pthread_join(race.thread.id, NULL);
	CU_ASSERT_EQUAL(race.missed, 0);
	CU_ASSERT_TRUE(race.done > 0);
	CU_ASSERT_EQUAL(room.a->active, 0);
	CU_ASSERT_EQUAL(queue_waiting(room.pool->queue), 0);
	fleet_free(room.fleet);
}

UNIT_MAIN("balance/queue", UNIT(places_are_counted), UNIT(first_come_first_served),
    UNIT(some_wait_for_one_target), UNIT(not_where_it_has_failed), UNIT(only_so_many_wait),
    UNIT(who_leaves_gives_the_place_back), UNIT(a_place_is_handed_to_the_right_worker),
    UNIT(who_may_go_anywhere_keeps_its_turn), UNIT(over_a_reload), UNIT(no_wake_up_is_lost),
    UNIT(nobody_waits_while_a_place_is_free))
