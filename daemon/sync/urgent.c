#include "daemon/sync/urgent.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

/* Four kinds; a reload may replace every router by another. */
#define SLOTS (4 * 2 * CONF_ROUTERS_MAX)

struct slot {
	bool used, due, last;
	struct sync_message message;
};

struct urgent {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
};

struct urgent *urgent_new(void)
{
	struct urgent *urgent = calloc(1, sizeof(*urgent));
	if (urgent)
		pthread_mutex_init(&urgent->lock, NULL);
	return urgent;
}

void urgent_free(struct urgent *urgent)
{
	if (!urgent)
		return;
	pthread_mutex_destroy(&urgent->lock);
	free(urgent);
}

/* Its own place, or a free one. NULL: more routers were removed unheard than there can be. */
static struct slot *find(struct urgent *urgent, const struct sync_message *message)
{
	struct slot *place = NULL;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &urgent->slots[i];
		if (!slot->used)
			place = place ? place : slot;
		else if (slot->message.kind == message->kind &&
			 strcmp(slot->message.router.name, message->router.name) == 0)
			return slot;
	}
	return place;
}

void urgent_put(struct urgent *urgent, const struct sync_message *message, bool last)
{
	pthread_mutex_lock(&urgent->lock);
	struct slot *slot = find(urgent, message);
	if (slot) {
		/* That it was handed over must be heard, whatever the state is by now. */
		bool handed_over = slot->used && slot->due && slot->message.router.handed_over &&
				   message->router.state != SYNC_ROUTER_ACTIVE;
		*slot = (struct slot){true, true, last, *message};
		slot->message.router.handed_over |= handed_over;
	}
	pthread_mutex_unlock(&urgent->lock);
}

void urgent_restart(struct urgent *urgent)
{
	pthread_mutex_lock(&urgent->lock);
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &urgent->slots[i];
		slot->used = slot->used && !slot->last && slot->message.kind == SYNC_ROUTER;
		slot->due = slot->used;
		slot->message.router.handed_over = false;
	}
	pthread_mutex_unlock(&urgent->lock);
}

bool urgent_take(struct urgent *urgent, struct sync_message *out)
{
	bool found = false;
	pthread_mutex_lock(&urgent->lock);
	for (size_t i = 0; i < SLOTS && !found; i++) {
		struct slot *slot = &urgent->slots[i];
		found = slot->used && slot->due;
		if (!found)
			continue;
		*out = slot->message;
		slot->due = false;
		slot->used = out->kind == SYNC_ROUTER && !slot->last;
		slot->message.router.handed_over = false;
	}
	pthread_mutex_unlock(&urgent->lock);
	return found;
}
