#include "tests/sim/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One description of a state for both directions. */
struct codec {
	uint8_t *bytes;
	unsigned len;
	bool writes;
};

static uint8_t code(struct codec *c, uint8_t value)
{
	if (c->len == STATE_MAX) {
		fprintf(stderr, "a state does not fit\n");
		abort();
	}
	if (c->writes)
		c->bytes[c->len] = value;
	return c->bytes[c->len++];
}

static void code_byte(struct codec *c, uint8_t *value)
{
	*value = code(c, *value);
}

static void code_time(struct codec *c, uint64_t *at_us)
{
	const uint64_t origin = NOW - 100;
	uint64_t offset = *at_us > origin ? *at_us - origin : 0;
	uint8_t value = code(c, offset < 255 ? (uint8_t)offset : 255);
	*at_us = value == 255 ? VRRP_NEVER : origin + value;
}

static void code_bits(struct codec *c, bool *const bits[], unsigned n)
{
	uint8_t value = 0;
	for (unsigned k = 0; k < n; k++)
		value |= (uint8_t)(*bits[k] << k);
	value = code(c, value);
	for (unsigned k = 0; k < n; k++)
		*bits[k] = value >> k & 1;
}

static void code_packet(struct codec *c, struct sim_packet *packet, int to)
{
	bool leaves = packet->kind == SIM_ADVERT && packet->priority == 0;
	uint8_t value =
	    code(c, (uint8_t)(packet->kind | packet->flags << 2 | (unsigned)leaves << 6));
	*packet = (struct sim_packet){.kind = value & 3, .flags = value >> 2 & 15};
	if (packet->kind == SIM_HANDOVER)
		return;
	packet->interval_us = T;
	packet->priority = value >> 6 ? 0 : run.priorities[!to];
}

static void code_machine(struct codec *c, struct vrrp_fsm *fsm)
{
	uint8_t state = (uint8_t)fsm->state, defied = (uint8_t)fsm->defied;
	code_byte(c, &state);
	code_byte(c, &defied);
	fsm->state = (enum vrrp_state)state;
	fsm->defied = defied;
	code_bits(c, (bool *const[]){&fsm->doubtful, &fsm->overdue, &fsm->kin}, 3);
	code_time(c, &fsm->timer_us);
	code_time(c, &fsm->claim_us);
	code_time(c, &fsm->lower_us);
	code_time(c, &fsm->sent_us);
	code_time(c, &fsm->quiet_us);
	code_time(c, &fsm->awake_us);
}

static void code_kernel(struct codec *c, struct sim_kernel *kernel)
{
	code_time(c, &kernel->lease_us);
	code_time(c, &kernel->permit_us);
	code_time(c, &kernel->peer_us);
	code_time(c, &kernel->claim_us);
}

static void code_host(struct codec *c, struct host *host, int i)
{
	struct sim_node *node = &host->node;
	uint8_t stage = (uint8_t)node->stage, n_inbox = (uint8_t)node->n_inbox;
	uint8_t low = node->pending & 0xff, high = (uint8_t)(node->pending >> 8);
	code_byte(c, &host->vrrp);
	code_byte(c, &host->proxy);
	code_byte(c, &host->yoked);
	code_byte(c, &host->silence);
	code_byte(c, &host->pause);
	code_bits(c,
	    (bool *const[]){&host->frozen, &host->known_active, &host->buried, &node->has_vip,
		&node->acquired, &node->refused},
	    6);
	code_kernel(c, &node->kernel);
	if (host->vrrp == DEAD)
		return;
	code_machine(c, &node->fsm);
	code_byte(c, &stage);
	code_byte(c, &low);
	code_byte(c, &high);
	code_byte(c, &n_inbox);
	node->stage = (enum sim_stage)stage;
	node->pending = low | (unsigned)high << 8;
	node->n_inbox = n_inbox;
	for (unsigned k = 0; k < node->n_inbox; k++)
		code_packet(c, &node->inbox[k], i);
}

static void code_world(struct codec *c, struct world *w)
{
	for (int i = 0; i < 2; i++) {
		code_host(c, &w->hosts[i], i);
		code_bits(c,
		    (bool *const[]){
			&w->channels[i].has_evidence, &w->channels[i].has_handover, &w->cut[i]},
		    3);
		code_byte(c, &w->channels[i].age);
	}
	code_bits(c, (bool *const[]){&w->severed}, 1);
	code_byte(c, &w->sync);
	code_byte(c, &w->faults);
	code_byte(c, &w->announcer);
	code_byte(c, &w->n_wire);
	for (unsigned k = 0; k < w->n_wire; k++) {
		code_byte(c, &w->wire[k].to);
		code_packet(c, &w->wire[k].packet, w->wire[k].to);
	}
}

void state_pack(struct world *w, struct state *state)
{
	memset(state, 0, sizeof(*state));
	code_world(&(struct codec){.bytes = state->bytes, .writes = true}, w);
}

void state_unpack(const struct state *state, enum sim_rule without, struct world *w)
{
	struct state copy = *state;
	world_begin(w, 0, without);
	code_world(&(struct codec){.bytes = copy.bytes}, w);
}

uint64_t state_hash(const struct state *state)
{
	uint64_t hash = 0x9e3779b97f4a7c15, word;
	for (unsigned k = 0; k + 8 <= STATE_MAX; k += 8) {
		memcpy(&word, state->bytes + k, 8);
		hash = (hash ^ word) * 0xff51afd7ed558ccd;
		hash ^= hash >> 32;
	}
	return hash;
}

static void *grown(void *old, size_t n, size_t size)
{
	void *grown = realloc(old, n * size);
	if (!grown) {
		perror("memory");
		exit(1);
	}
	return grown;
}

static uint32_t *slot_of(const struct seen *seen, uint64_t hash)
{
	size_t k = hash & (seen->n_slots - 1);
	while (seen->slots[k] && seen->hashes[seen->slots[k] - 1] != hash)
		k = (k + 1) & (seen->n_slots - 1);
	return &seen->slots[k];
}

static void grow_slots(struct seen *seen)
{
	free(seen->slots);
	seen->n_slots = seen->n_slots ? 2 * seen->n_slots : 1 << 16;
	seen->slots = calloc(seen->n_slots, sizeof(*seen->slots));
	if (!seen->slots) {
		perror("memory");
		exit(1);
	}
	for (size_t id = 0; id < seen->n; id++)
		*slot_of(seen, seen->hashes[id]) = (uint32_t)id + 1;
}

/* True if it is new; then it has an id. */
bool seen_note(struct seen *seen, struct state *state, uint32_t parent)
{
	if (2 * seen->n >= seen->n_slots)
		grow_slots(seen);
	uint64_t hash = state_hash(state);
	uint32_t *slot = slot_of(seen, hash);
	if (*slot)
		return false;
	if (seen->n == seen->room) {
		seen->room = seen->room ? seen->room + seen->room / 2 : 1 << 16;
		seen->hashes = grown(seen->hashes, seen->room, sizeof(*seen->hashes));
		seen->parents = grown(seen->parents, seen->room, sizeof(*seen->parents));
	}
	state->id = (uint32_t)seen->n++;
	seen->hashes[state->id] = hash;
	seen->parents[state->id] = parent;
	*slot = state->id + 1;
	return true;
}

void layer_add(struct layer *layer, const struct state *state)
{
	if (layer->n == layer->room) {
		layer->room = layer->room ? layer->room + layer->room / 2 : 1 << 12;
		layer->states = grown(layer->states, layer->room, sizeof(*layer->states));
	}
	layer->states[layer->n++] = *state;
}

void seen_fini(struct seen *seen)
{
	free(seen->hashes);
	free(seen->parents);
	free(seen->slots);
}
