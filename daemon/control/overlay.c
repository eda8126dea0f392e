#include "daemon/control/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

struct overlay {
	struct overlay_change **changes; /* sorted by pool and text */
	size_t n, size;
};

struct overlay *overlay_new(void)
{
	return calloc(1, sizeof(struct overlay));
}

void overlay_free(struct overlay *overlay)
{
	if (!overlay)
		return;
	for (size_t i = 0; i < overlay->n; i++)
		free(overlay->changes[i]);
	free(overlay->changes);
	free(overlay);
}

static int compare(const struct overlay_change *change, const char *pool, const char *text)
{
	int order = strcmp(change->pool, pool);
	return order ? order : strcmp(change->text, text);
}

/* The index of the first one that is not before (pool, text). */
static size_t place_of(const struct overlay *overlay, const char *pool, const char *text)
{
	size_t low = 0, high = overlay->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(overlay->changes[middle], pool, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t overlay_first(const struct overlay *overlay, const char *pool)
{
	return place_of(overlay, pool, "");
}

static struct overlay_change *find(
    const struct overlay *overlay, const char *pool, const char *text)
{
	size_t at = place_of(overlay, pool, text);
	if (at < overlay->n && compare(overlay->changes[at], pool, text) == 0)
		return overlay->changes[at];
	return NULL;
}

const struct overlay_change *overlay_find(
    const struct overlay *overlay, const char *pool, const char *text)
{
	return find(overlay, pool, text);
}

size_t overlay_count(const struct overlay *overlay)
{
	return overlay->n;
}

const struct overlay_change *overlay_at(const struct overlay *overlay, size_t i)
{
	return overlay->changes[i];
}

/* The one of (pool, text), if need be a new one of kind NONE. */
static struct overlay_change *obtain(struct overlay *overlay, const char *pool, const char *text)
{
	struct overlay_change *change = find(overlay, pool, text);
	if (change)
		return change;
	if (overlay->n == overlay->size) {
		size_t size = overlay->size ? overlay->size * 2 : 16;
		struct overlay_change **changes =
		    realloc(overlay->changes, size * sizeof(struct overlay_change *));
		if (!changes)
			return NULL;
		overlay->changes = changes;
		overlay->size = size;
	}
	change = calloc(1, sizeof(*change));
	if (!change)
		return NULL;
	text_copy(change->pool, sizeof(change->pool), pool);
	text_copy(change->text, sizeof(change->text), text);
	size_t at = place_of(overlay, pool, text);
	memmove(&overlay->changes[at + 1], &overlay->changes[at],
	    (overlay->n - at) * sizeof(struct overlay_change *));
	overlay->changes[at] = change;
	overlay->n++;
	return change;
}

typedef bool keep_fn(struct overlay_change *change, const void *arg);

static void filter(struct overlay *overlay, keep_fn *keep, const void *arg)
{
	size_t n = 0;
	for (size_t i = 0; i < overlay->n; i++) {
		struct overlay_change *change = overlay->changes[i];
		if (keep(change, arg))
			overlay->changes[n++] = change;
		else
			free(change);
	}
	overlay->n = n;
}

bool overlay_same_settings(const struct conf_target *a, const struct conf_target *b)
{
	return a->weight == b->weight && a->backup == b->backup &&
	       a->max_connections == b->max_connections;
}

static const struct conf_target *in_file(const struct conf_pool *pool, const char *text)
{
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		if (strcmp(pool->targets[i].text, text) == 0)
			return &pool->targets[i];
	}
	return NULL;
}

/* What it makes of a target of the file; false: nothing. */
static bool apply(const struct overlay_change *change, struct conf_target *target)
{
	if (change && change->kind == OVERLAY_REMOVED)
		return false;
	if (change && change->kind == OVERLAY_CHANGED &&
	    overlay_same_settings(&change->file, target)) {
		const char *text = target->text;
		*target = change->target;
		target->text = text;
	}
	return true;
}

bool overlay_target(const struct overlay *overlay, const struct conf_pool *pool, const char *text,
    struct conf_target *out)
{
	const struct conf_target *file = in_file(pool, text);
	const struct overlay_change *change = find(overlay, pool->name, text);
	if (file) {
		*out = *file;
		return apply(change, out);
	}
	if (!change || change->kind != OVERLAY_ADDED)
		return false;
	*out = change->target;
	return true;
}

uint32_t overlay_targets(const struct overlay *overlay, const struct conf_pool *pool,
    struct conf_target out[CONF_TARGETS_MAX])
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		out[n] = pool->targets[i];
		n += apply(find(overlay, pool->name, pool->targets[i].text), &out[n]);
	}
	for (size_t i = overlay_first(overlay, pool->name);
	     i < overlay->n && n < CONF_TARGETS_MAX &&
	     strcmp(overlay->changes[i]->pool, pool->name) == 0;
	     i++) {
		const struct overlay_change *change = overlay->changes[i];
		if (change->kind == OVERLAY_ADDED && !in_file(pool, change->text))
			out[n++] = change->target;
	}
	return n;
}

/* How many targets the pool would have if it had none too many. */
static size_t count(const struct overlay *overlay, const struct conf_pool *pool)
{
	size_t n = pool->n_targets;
	for (size_t i = overlay_first(overlay, pool->name);
	     i < overlay->n && strcmp(overlay->changes[i]->pool, pool->name) == 0; i++) {
		const struct overlay_change *change = overlay->changes[i];
		bool named = in_file(pool, change->text) != NULL;
		n += change->kind == OVERLAY_ADDED && !named;
		n -= change->kind == OVERLAY_REMOVED && named;
	}
	return n;
}

static void put_target(struct overlay_change *change, enum overlay_kind kind,
    const struct conf_target *target, const struct conf_target *file)
{
	change->kind = kind;
	change->target = target ? *target : (struct conf_target){0};
	change->file = file ? *file : (struct conf_target){0};
	change->target.text = change->file.text = change->text;
}

static int change_one(struct overlay *overlay, const char *pool, const char *text,
    enum overlay_kind kind, const struct conf_target *target, const struct conf_target *file,
    struct err *err)
{
	if (overlay->n >= OVERLAY_MAX && !find(overlay, pool, text))
		return err_set(err, -ENOSPC,
		    "%u targets differ from the file already; put them into the file and reload",
		    OVERLAY_MAX);
	struct overlay_change *change = obtain(overlay, pool, text);
	if (!change)
		return err_set(err, -ENOMEM, "out of memory");
	put_target(change, kind, target, file);
	change->untold = true;
	return 0;
}

int overlay_set(struct overlay *overlay, const struct conf_pool *pool,
    const struct conf_target *target, struct err *err)
{
	struct conf_target now;
	const struct conf_target *file = in_file(pool, target->text);
	if (!overlay_target(overlay, pool, target->text, &now) &&
	    count(overlay, pool) >= CONF_TARGETS_MAX)
		return err_set(err, -ENOSPC, "pool %s has %u targets, and may not have more",
		    pool->name, CONF_TARGETS_MAX);
	enum overlay_kind kind = !file                                 ? OVERLAY_ADDED
				 : overlay_same_settings(file, target) ? OVERLAY_NONE
								       : OVERLAY_CHANGED;
	if (kind == OVERLAY_NONE && !find(overlay, pool->name, target->text))
		return 0;
	return change_one(overlay, pool->name, target->text, kind, target, file, err);
}

int overlay_remove(
    struct overlay *overlay, const struct conf_pool *pool, const char *text, struct err *err)
{
	enum overlay_kind kind = in_file(pool, text) ? OVERLAY_REMOVED : OVERLAY_NONE;
	if (kind == OVERLAY_NONE && !find(overlay, pool->name, text))
		return 0;
	return change_one(overlay, pool->name, text, kind, NULL, NULL, err);
}

static bool is_not(struct overlay_change *change, const void *arg)
{
	return change != arg;
}

int overlay_take(struct overlay *overlay, const struct overlay_change *from)
{
	struct overlay_change *change = find(overlay, from->pool, from->text);
	if (from->kind == OVERLAY_NONE) {
		if (change)
			filter(overlay, is_not, change);
		return 0;
	}
	if (!change && overlay->n >= OVERLAY_MAX)
		return -ENOSPC;
	change = obtain(overlay, from->pool, from->text);
	if (!change)
		return -ENOMEM;
	put_target(change, from->kind, &from->target, &from->file);
	change->untold = false;
	return 0;
}

static const struct conf_pool *find_pool(const struct conf *conf, const char *name)
{
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		if (strcmp(conf->pools[i].name, name) == 0)
			return &conf->pools[i];
	}
	return NULL;
}

static bool has_effect(const struct overlay_change *change, const struct conf *conf)
{
	const struct conf_pool *pool = find_pool(conf, change->pool);
	const struct conf_target *file = pool ? in_file(pool, change->text) : NULL;
	switch (change->kind) {
	case OVERLAY_ADDED: return pool && !file;
	case OVERLAY_CHANGED: return file && overlay_same_settings(file, &change->file);
	case OVERLAY_REMOVED: return file;
	default: return false;
	}
}

/* One that was not told stays as NONE: the peer may know an earlier one of this target. */
static bool stays(struct overlay_change *change, const void *arg)
{
	if (has_effect(change, arg))
		return true;
	change->kind = OVERLAY_NONE;
	return change->untold;
}

void overlay_settle(struct overlay *overlay, const struct conf *conf)
{
	filter(overlay, stays, conf);
}

static bool is_change(struct overlay_change *change, const void *arg)
{
	(void)arg;
	change->untold = false;
	return change->kind != OVERLAY_NONE;
}

void overlay_told(struct overlay *overlay)
{
	filter(overlay, is_change, NULL);
}
