#include "daemon/base/wheel.h"

#define AHEAD_MAX (1U << 30) /* ticks */

void wheel_init(struct wheel *wheel, uint64_t now_us)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		list_init(&wheel->slots[i]);
	wheel->tick = now_us / WHEEL_TICK_US;
	wheel->count = 0;
}

void wheel_entry_init(struct wheel_entry *entry)
{
	list_init(&entry->node);
}

bool wheel_armed(const struct wheel_entry *entry)
{
	return !list_empty(&entry->node);
}

/* a is before b, also when the 32-bit counter has wrapped between them */
static bool tick_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static void file_entry(struct wheel *wheel, struct wheel_entry *entry)
{
	entry->filed_tick = entry->deadline_tick;
	list_push_back(&wheel->slots[entry->filed_tick % WHEEL_SLOTS], &entry->node);
}

/* The first tick that begins after the deadline, cut to what 32 bits can compare. */
static uint32_t tick_of(const struct wheel *wheel, uint64_t deadline_us)
{
	uint64_t tick = deadline_us / WHEEL_TICK_US + 1;
	if (tick < wheel->tick)
		tick = wheel->tick;
	else if (tick > wheel->tick + AHEAD_MAX)
		tick = wheel->tick + AHEAD_MAX;
	return (uint32_t)tick;
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t deadline_us)
{
	uint32_t tick = tick_of(wheel, deadline_us);
	entry->deadline_tick = tick;
	if (wheel_armed(entry)) {
		if (!tick_before(tick, entry->filed_tick))
			return;
		list_del(&entry->node);
	} else {
		wheel->count++;
	}
	file_entry(wheel, entry);
}

void wheel_cancel(struct wheel *wheel, struct wheel_entry *entry)
{
	if (!wheel_armed(entry))
		return;
	list_del(&entry->node);
	wheel->count--;
}

static void run_slot(
    struct wheel *wheel, uint32_t tick, void (*fire)(struct wheel_entry *, void *), void *arg)
{
	/* Work on a list of its own: what `fire` files meanwhile must not be visited in this round,
	 * and what it cancels leaves this list by itself. */
	struct list due;
	struct list *slot = &wheel->slots[tick % WHEEL_SLOTS];
	if (list_empty(slot))
		return;
	list_init(&due);
	due.next = slot->next;
	due.prev = slot->prev;
	due.next->prev = &due;
	due.prev->next = &due;
	list_init(slot);

	struct list *node;
	while ((node = list_pop_front(&due))) {
		struct wheel_entry *entry = list_entry(node, struct wheel_entry, node);
		if (tick_before(tick, entry->deadline_tick)) {
			file_entry(wheel, entry);
			continue;
		}
		wheel->count--;
		fire(entry, arg);
	}
}

void wheel_run(
    struct wheel *wheel, uint64_t now_us, void (*fire)(struct wheel_entry *, void *), void *arg)
{
	uint64_t now_tick = now_us / WHEEL_TICK_US;
	/* After a long stall one turn visits every slot; more turns would find nothing new. */
	if (now_tick - wheel->tick > WHEEL_SLOTS && now_tick > wheel->tick)
		wheel->tick = now_tick - WHEEL_SLOTS;
	while (wheel->tick <= now_tick) {
		uint64_t tick = wheel->tick++;
		run_slot(wheel, (uint32_t)tick, fire, arg);
	}
}
