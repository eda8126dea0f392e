/* What yoke-vrrp of this node and that of the peer tell each other by way of the sync channel, what
 * the peer says of its virtual routers, and its events. */
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/control/control.h"

/* Each of these costs yoke-vrrp some microseconds: not more often, whatever the peer does. Half of the
 * shortest time between two. */
static const struct {
	enum sync_message_kind said_as;
	uint64_t min_us;
} words[IPC_WORD_COUNT] = {
    [IPC_WORD_QUESTION] = {SYNC_QUESTION, 2 * US_PER_MS},
    [IPC_WORD_EVIDENCE] = {SYNC_EVIDENCE, 2 * US_PER_MS},
    [IPC_WORD_CLAIM] = {SYNC_CLAIM, US_PER_MS / 4},
};
/* An Active answers a handover, whose sender must have claimed the VIP in between. */
#define HANDOVER_MIN_US (100 * US_PER_MS)

/* --- towards the peer --- */

static void begin(
    struct sync_message *message, enum sync_message_kind kind, const char *name, uint8_t vrid)
{
	*message = (struct sync_message){.kind = kind};
	text_copy(message->router.name, sizeof(message->router.name), name);
	message->router.vrid = vrid;
}

static void put_source(struct sync_message *message, const struct addr *source)
{
	bool v6 = source->sa.sa_family == AF_INET6;
	message->router.source_len = v6 ? 16 : 4;
	memcpy(message->router.source,
	    v6 ? (const void *)&source->in6.sin6_addr : (const void *)&source->in.sin_addr,
	    message->router.source_len);
}

void peer_tell_state(struct control *control, const struct ipc_router_state *state)
{
	struct sync_message message;
	if (!control->sync)
		return;
	begin(&message, SYNC_ROUTER, state->name, state->vrid);
	message.router.state = (enum sync_router_state)state->role;
	message.router.priority = state->priority;
	message.router.handed_over = state->handed_over;
	sync_say(control->sync, &message, state->removed);
}

void peer_tell_word(struct control *control, const struct ipc_word *word)
{
	struct sync_message message;
	/* yoke-vrrp has said that the lease is alive; here is added that we serve. */
	if (!control->sync || (word->kind == IPC_WORD_EVIDENCE && !control->ready))
		return;
	begin(&message, words[word->kind].said_as, word->name, word->vrid);
	message.router.stamp = word->stamp;
	message.router.priority = word->priority;
	message.router.flags = word->flags;
	put_source(&message, &word->source);
	sync_say(control->sync, &message, false);
}

/* --- from the peer --- */

static struct peer_router *find(struct control *control, const char *name)
{
	for (uint32_t i = 0; i < control->n_peer_routers; i++) {
		if (strcmp(control->peer_routers[i].name, name) == 0)
			return &control->peer_routers[i];
	}
	return NULL;
}

const struct peer_router *peer_router(struct control *control, const char *name)
{
	return find(control, name);
}

static void forward_state(
    struct control *control, const struct peer_router *router, bool handed_over)
{
	union ipc_message msg;
	ipc_init(&msg, IPC_PEER_ROUTER);
	text_copy(msg.peer_router.name, sizeof(msg.peer_router.name), router->name);
	msg.peer_router.vrid = router->vrid;
	msg.peer_router.role = router->role;
	msg.peer_router.handed_over = handed_over;
	routers_send(control, &msg);
}

/* A new one, or that of a router which the peer has no more. NULL: it has more than there can be. */
static struct peer_router *find_place(struct control *control)
{
	if (control->n_peer_routers < CONF_ROUTERS_MAX)
		return &control->peer_routers[control->n_peer_routers++];
	for (uint32_t i = 0; i < control->n_peer_routers; i++) {
		if (control->peer_routers[i].role == IPC_ROLE_INITIALIZE)
			return &control->peer_routers[i];
	}
	return NULL;
}

/* Of what concerns a router that yoke-vrrp has, too; what comes sooner after the last one is not
 * passed on. */
static bool allowed(struct control *control, const char *name, uint64_t *last_us, uint64_t min_us)
{
	if (!routers_find(control, name))
		return false;
	uint64_t now_us = clock_us();
	if (now_us - *last_us < min_us)
		return false;
	*last_us = now_us;
	return true;
}

static void on_state(struct control *control, const struct sync_message *message)
{
	struct peer_router *router = find(control, message->router.name);
	if (!router && !(router = find_place(control)))
		return;
	struct peer_router before = *router;
	bool handed_over =
	    message->router.handed_over &&
	    allowed(control, message->router.name, &router->handed_over_us, HANDOVER_MIN_US);
	text_copy(router->name, sizeof(router->name), message->router.name);
	router->vrid = message->router.vrid;
	router->role = (uint8_t)message->router.state; /* the same numbers */
	router->priority = message->router.priority;
	bool changed = strcmp(before.name, router->name) != 0 || before.vrid != router->vrid ||
		       before.role != router->role;
	if (handed_over || (changed && routers_find(control, router->name)))
		forward_state(control, router, handed_over);
	moved_poll(control);
}

static void take_source(const struct sync_message *message, struct addr *source)
{
	bool v6 = message->router.source_len == 16;
	source->sa.sa_family = v6 ? AF_INET6 : AF_INET;
	memcpy(v6 ? (void *)&source->in6.sin6_addr : (void *)&source->in.sin_addr,
	    message->router.source, message->router.source_len);
}

static void on_word(
    struct control *control, const struct sync_message *message, enum ipc_word_kind kind)
{
	struct peer_router *router = find(control, message->router.name);
	if (!router || !allowed(control, router->name, &router->words_us[kind], words[kind].min_us))
		return;
	union ipc_message msg;
	ipc_init(&msg, IPC_WORD);
	text_copy(msg.word.name, sizeof(msg.word.name), message->router.name);
	msg.word.kind = (uint8_t)kind;
	msg.word.vrid = message->router.vrid;
	msg.word.priority = message->router.priority;
	msg.word.flags = message->router.flags;
	msg.word.stamp = message->router.stamp;
	take_source(message, &msg.word.source);
	routers_send(control, &msg);
}

static void forget(struct control *control)
{
	for (uint32_t i = 0; i < control->n_peer_routers; i++) {
		control->peer_routers[i].role = IPC_ROLE_INITIALIZE;
		forward_state(control, &control->peer_routers[i], false);
		control->peer_routers[i].name[0] = '\0';
	}
	control->n_peer_routers = 0;
}

void peer_said(struct control *control, const struct sync_message *message)
{
	const struct conf *conf = control->current->conf;
	switch (message->kind) {
	case SYNC_ROUTER: on_state(control, message); break;
	case SYNC_QUESTION: on_word(control, message, IPC_WORD_QUESTION); break;
	case SYNC_EVIDENCE: on_word(control, message, IPC_WORD_EVIDENCE); break;
	case SYNC_CLAIM: on_word(control, message, IPC_WORD_CLAIM); break;
	case SYNC_BYE: forget(control); break;
	default: events_add_peer(&control->events, conf->nodes[conf->peer].name, &message->event);
	}
}

void peer_replay(struct control *control)
{
	for (uint32_t i = 0; i < control->n_peer_routers; i++)
		forward_state(control, &control->peer_routers[i], false);
}
