/* What was changed at run time about the targets, beside the configuration: some were added, some
 * have other settings than in the file, some were removed. Both together say which targets a pool has.
 * It is kept over reloads, and the same on both nodes. Pure.
 *
 *	                 the file names the target        it does not
 *	ADDED            without effect: the file's       has the target
 *	CHANGED          settings of here, unless the     without effect
 *	                 file's are not those any more
 *	                 that were changed
 *	REMOVED          not in the pool                  without effect
 *
 * What is without effect is dropped when a configuration is in force (overlay_settle). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

#define OVERLAY_MAX 16384 /* changes, of all pools */

enum overlay_kind {
	OVERLAY_NONE,
	OVERLAY_ADDED,
	OVERLAY_CHANGED,
	OVERLAY_REMOVED,
	OVERLAY_KIND_COUNT
};

struct overlay_change {
	char pool[CONF_NAME_MAX + 1];
	char text[ADDR_TEXT_MAX]; /* canonical */
	enum overlay_kind kind;
	bool untold;               /* made here, and not told to the peer yet */
	struct conf_target target; /* ADDED, CHANGED: as it is */
	struct conf_target file;   /* CHANGED: as it was in the file then */
};

struct overlay;

struct overlay *overlay_new(void); /* NULL: out of memory */
void overlay_free(struct overlay *overlay);

/* All that a target has but its address. */
bool overlay_same_settings(const struct conf_target *a, const struct conf_target *b);

/* The targets of a pool, at most CONF_TARGETS_MAX: those of the file in its order, then the added
 * ones. Their texts live as long as both are not changed. Returns how many. */
uint32_t overlay_targets(const struct overlay *overlay, const struct conf_pool *pool,
    struct conf_target out[CONF_TARGETS_MAX]);
/* The one of that address, if the pool has it. */
bool overlay_target(const struct overlay *overlay, const struct conf_pool *pool, const char *text,
    struct conf_target *out);

/* The pool has this target, with these settings. 0; -ENOSPC with a text where it would be one too
 * many; -ENOMEM. */
int overlay_set(struct overlay *overlay, const struct conf_pool *pool,
    const struct conf_target *target, struct err *err);
/* The pool does not have it any more. Errors as above. */
int overlay_remove(
    struct overlay *overlay, const struct conf_pool *pool, const char *text, struct err *err);
/* A change as the peer has it; NONE: that there is none. Copied. -ENOSPC or -ENOMEM. */
int overlay_take(struct overlay *overlay, const struct overlay_change *change);
/* Drops what is without effect under this configuration. Nobody is told: the peer does the same. */
void overlay_settle(struct overlay *overlay, const struct conf *conf);

/* In the order of pools and addresses; there are also such of kind NONE, until they were told. */
size_t overlay_count(const struct overlay *overlay);
/* Where those of a pool begin. */
size_t overlay_first(const struct overlay *overlay, const char *pool);
const struct overlay_change *overlay_at(const struct overlay *overlay, size_t i);
const struct overlay_change *overlay_find(
    const struct overlay *overlay, const char *pool, const char *text); /* NULL if none */
/* All of them are known to whom they concern: clears `untold`. */
void overlay_told(struct overlay *overlay);
