/* What one node tells another one of its rate limits, and makes of what it is told: whose keys have
 * used more than half of their burst, and for how long that is so. Nothing is noted when a request
 * comes; the table is walked, piece by piece, all the time, so that what was not heard comes again.
 *
 *	tell: table ──> keys of known limits, more than half used ──> (hash, time left)
 *	hear: (hash, time left) ──> which limit? ──> at most what that allows ──> the later one stays
 *
 * Two nodes understand each other if they have hashed with the same secret, and give a limit the
 * same id. A hash says which limit it is of (limit_tag), so that it is told by that one's burst, and
 * what is heard is held to it: nobody is locked out for longer than the limit itself would do. */
#pragma once

#include "daemon/limit/table.h"

#define LIMIT_WORDS_MAX 512U
/* All is told in so many pieces, if that is not more than this much to look at for each. */
#define LIMIT_PIECES    16U
#define LIMIT_PIECE_MAX 16384U /* buckets: half a millisecond */

/* Of a configuration. */
struct limit_known {
	uint64_t id; /* even, as with limit_id_tag */
	struct gcra gcra;
	_Atomic uint64_t *time_ns; /* one for all; NULL: by key, in the table */
};

struct limit_words {
	uint64_t secret; /* names what `hashes` are made with */
	size_t n;
	uint64_t hashes[LIMIT_WORDS_MAX];
	uint64_t left_us[LIMIT_WORDS_MAX]; /* until it is as if the key had never been seen */
};

/* What became of a word that was heard: name, as in the metrics. */
#define LIMIT_HEARD(X)                                                         \
	X(APPLIED, applied)     /* ours was earlier, or we had none */         \
	X(KNOWN, known)         /* ours is as late, or later */                \
	X(CUT, cut)             /* it was further ahead than the limit lets */ \
	X(NO_LIMIT, no_limit)   /* we have no such limit */                    \
	X(OTHER_KEY, other_key) /* hashed with another secret */               \
	X(NO_ROOM, no_room)     /* the table is full of those further ahead */

enum limit_heard {
#define X(result, name) LIMIT_HEARD_##result,
	LIMIT_HEARD(X)
#undef X
	    LIMIT_HEARD_COUNT
};

struct limit_share;

/* `known` is copied; the table, and the times in `known`, must outlive it. `secret` 0: nobody else has
 * it, so nothing is told, and nothing understood. NULL when out of memory. */
struct limit_share *limit_share_new(
    struct limit_table *table, uint64_t secret, const struct limit_known *known, size_t n);
void limit_share_free(struct limit_share *share);

/* The next piece, of the walk that *cursor, 0 at first, is in. It may be empty. */
void limit_share_tell(
    const struct limit_share *share, uint64_t *cursor, uint64_t now_us, struct limit_words *out);
/* Adds to `results` what became of each. Words are a stranger's: anything may be in them but an n
 * that is above the limit. */
void limit_share_hear(const struct limit_share *share, const struct limit_words *words,
    uint64_t now_us, uint64_t results[LIMIT_HEARD_COUNT]);
const char *limit_heard_name(enum limit_heard result);
