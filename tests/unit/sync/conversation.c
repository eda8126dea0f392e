#include "tests/unit/sync/conversation.h"

#include <stdlib.h>
#include <string.h>

#define JOURNAL_SIZE 64
#define STEP_US      50000
#define LONG         MODEL_HOUR_US

/* What the tape holds next: TAPE_REST, a length, or TAPE_REST for ever when it is at its end. */
static uint32_t tape_peek(FILE *tape)
{
	uint8_t head[4];
	uint32_t len = 0;
	long at = ftell(tape);
	bool whole = fread(head, 1, sizeof(head), tape) == sizeof(head);
	fseek(tape, at, SEEK_SET);
	for (unsigned i = 0; i < sizeof(head); i++)
		len = len << 8 | head[i];
	return whole ? len : TAPE_REST;
}

static void tape_write(FILE *tape, uint32_t len, const uint8_t *bytes)
{
	if (!tape)
		return;
	for (int shift = 24; shift >= 0; shift -= 8)
		putc((int)(len >> shift & 0xff), tape);
	if (len != TAPE_REST)
		fwrite(bytes, 1, len, tape);
}

/* One turn of node `i`, onto the wire to its peer. True if it had something to say. */
static bool say(struct conversation *conversation, int i)
{
	struct model_node *peer = &conversation->model.node[1 - i];
	FILE *tape = conversation->tape[i];
	size_t before = peer->wire_len;
	if (i != conversation->recorded) {
		while (model_send(&conversation->model, i))
			;
		tape_write(tape, (uint32_t)(peer->wire_len - before), peer->wire + before);
	} else if (tape_peek(tape) != TAPE_REST) {
		uint32_t len = tape_peek(tape);
		fseek(tape, 4, SEEK_CUR);
		if (len > MODEL_WIRE_SIZE - before ||
		    fread(peer->wire + before, 1, len, tape) != len)
			return false; /* conversation_run finds that it has not been read whole */
		peer->wire_len += len;
		return true;
	}
	return peer->wire_len > before;
}

/* Node `i` hears what is on its wire. */
static void hear(struct conversation *conversation, int i)
{
	struct model_node *node = &conversation->model.node[i];
	if (i != conversation->recorded) {
		while (model_deliver(&conversation->model, i))
			;
		return;
	}
	for (size_t at = 0; at + SYNC_FRAME_HEADER <= node->wire_len;) {
		size_t len = 0;
		for (size_t k = 0; k < SYNC_FRAME_HEADER; k++)
			len = len << 8 | node->wire[at + k];
		conversation->on_heard(conversation, node->wire + at + SYNC_FRAME_HEADER, len);
		at += SYNC_FRAME_HEADER + len;
	}
	node->wire_len = 0;
}

/* Until neither has anything to say. */
static void settle(struct conversation *conversation)
{
	for (bool busy = true; busy;) {
		busy = false;
		for (int i = 0; i < 2; i++) {
			busy |= say(conversation, i);
			hear(conversation, 1 - i);
			busy |= i != conversation->recorded &&
				stream_busy(conversation->model.node[i].stream);
		}
	}
	for (int i = 0; i < 2; i++) {
		if (i != conversation->recorded)
			tape_write(conversation->tape[i], TAPE_REST, NULL);
		else
			fseek(conversation->tape[i], 4, SEEK_CUR);
	}
}

static void advance(struct conversation *conversation, unsigned steps)
{
	struct model *model = &conversation->model;
	while (steps-- > 0) {
		model->now_us += STEP_US;
		for (int i = 0; i < 2; i++) {
			struct model_node *node = &model->node[i];
			if (i != conversation->recorded &&
			    stream_tick(node->stream, model_now(model, i), &node->last_err) < 0)
				model_cut(model, node->last_err.text);
		}
		settle(conversation);
	}
}

static void part(struct conversation *conversation, const char *name)
{
	settle(conversation);
	if (conversation->on_part)
		conversation->on_part(conversation, name);
}

static void sessions(struct conversation *conversation, int i, unsigned first, unsigned n)
{
	for (unsigned key = first; key < first + n; key++)
		model_session(&conversation->model, i, key, key + 1, LONG);
}

/* What node `i` says of a virtual router. */
static void say_of_router(struct conversation *conversation, int i, enum sync_message_kind kind)
{
	struct sync_message message = {.kind = kind};
	strcpy(message.router.name, "front");
	message.router.vrid = 51;
	message.router.priority = 200;
	if (kind == SYNC_ROUTER)
		message.router.state = SYNC_ROUTER_ACTIVE;
	else
		message.router.stamp = 77;
	if (kind == SYNC_EVIDENCE)
		message.router.source_len = 4;
	urgent_put(conversation->model.node[i].urgent, &message, false);
}

static void first_half(struct conversation *conversation)
{
	struct model *model = &conversation->model;
	sessions(conversation, 0, 0, 200);
	sessions(conversation, 1, 5000, 3); /* what the other one does not know of */
	model_target(model, 0, 3, 2, 1);
	for (int i = 0; i < 2; i++)
		model_change(model, i, "web", "192.0.2.1:80");
	model_set_active(model, 0, true);
	model_connect(model);
	part(conversation, "snapshot");

	sessions(conversation, 0, 300, 20);
	model_session(model, 0, 7, 500, LONG);
	model_session_delete(model, 0, 8);
	model_target(model, 0, 0, 1, 2);
	part(conversation, "records");

	say_of_router(conversation, 0, SYNC_ROUTER);
	say_of_router(conversation, 0, SYNC_EVIDENCE);
	say_of_router(conversation, 1, SYNC_ROUTER);
	say_of_router(conversation, 1, SYNC_QUESTION);
	model_event(model, 0, "virtual_router front");
	model_event(model, 1, "sync");
	part(conversation, "said");
	advance(conversation, 50);
	part(conversation, "digests");

	model_cut(model, "cut");
	sessions(conversation, 0, 400, JOURNAL_SIZE);
	model_connect(model);
	part(conversation, "resumed");

	model_cut(model, "cut");
	sessions(conversation, 0, 500, JOURNAL_SIZE + 1);
	model_session_delete(model, 0, 10);
	model_connect(model);
	part(conversation, "missed too much");
}

/* The other one takes over while connected, and again after the first has started anew. */
static void second_half(struct conversation *conversation)
{
	struct model *model = &conversation->model;
	model_set_active(model, 0, false);
	part(conversation, "nobody is Active");
	model_set_active(model, 1, true);
	sessions(conversation, 1, 600, 5);
	part(conversation, "roles have changed hands");
	advance(conversation, 50);
	part(conversation, "digests of the other one");

	model_restart(model, 0);
	sessions(conversation, 1, 700, 5);
	model_connect(model);
	part(conversation, "started anew");
}

bool conversation_run(struct conversation *conversation)
{
	model_init(&conversation->model, JOURNAL_SIZE);
	first_half(conversation);
	second_half(conversation);
	model_fini(&conversation->model);
	for (int i = 0; i < 2; i++) {
		FILE *tape = conversation->tape[i];
		bool reads = i == conversation->recorded;
		if (!tape || (reads ? getc(tape) == EOF && ftell(tape) > 0 : !ferror(tape)))
			continue;
		fprintf(stderr,
		    reads ? "the tape is another conversation's\n" : "a tape cannot be written\n");
		return false;
	}
	return true;
}
