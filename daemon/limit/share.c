#include "daemon/limit/share.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_US 1000U
#define NONE      UINT32_MAX

/* Of all limits with this tag: seldom more than one. */
struct tag {
	uint64_t notable_ns; /* further ahead than this is told; 0: there is none */
	uint64_t most_ns;    /* as far ahead as it can be */
	uint32_t first;      /* of those that are one for all; NONE */
};

struct one_for_all {
	uint64_t hash;
	_Atomic uint64_t *time_ns;
	uint32_t next; /* with the same tag */
};

struct limit_share {
	struct limit_table *table;
	uint64_t secret;
	struct tag tags[LIMIT_TAGS];
	uint32_t n_all;
	struct one_for_all all[];
};

static void add(struct limit_share *share, const struct limit_known *known)
{
	struct tag *tag = &share->tags[limit_id_tag(known->id)];
	uint64_t most_ns = known->gcra.tolerance_ns + known->gcra.interval_ns;
	if (tag->notable_ns == 0 || most_ns / 2 < tag->notable_ns)
		tag->notable_ns = most_ns / 2;
	if (most_ns > tag->most_ns)
		tag->most_ns = most_ns;
	if (!known->time_ns)
		return;
	/* Nobody can aim at it: it has no keys. */
	share->all[share->n_all] =
	    (struct one_for_all){limit_tagged(known->id, known->id), known->time_ns, tag->first};
	tag->first = share->n_all++;
}

struct limit_share *limit_share_new(
    struct limit_table *table, uint64_t secret, const struct limit_known *known, size_t n)
{
	struct limit_share *share = calloc(1, sizeof(*share) + n * sizeof(share->all[0]));
	if (!share)
		return NULL;
	share->table = table;
	share->secret = secret;
	for (size_t i = 0; i < LIMIT_TAGS; i++)
		share->tags[i].first = NONE;
	for (size_t i = 0; i < n; i++)
		add(share, &known[i]);
	return share;
}

void limit_share_free(struct limit_share *share)
{
	free(share);
}

static void tell(const struct limit_share *share, uint64_t hash, uint64_t time_ns, uint64_t now_ns,
    struct limit_words *out)
{
	const struct tag *tag = &share->tags[limit_tag(hash)];
	uint64_t ahead_ns = time_ns > now_ns ? time_ns - now_ns : 0;
	if (hash == 0 || tag->notable_ns == 0 || ahead_ns <= tag->notable_ns)
		return;
	if (ahead_ns > tag->most_ns)
		ahead_ns = tag->most_ns;
	out->hashes[out->n] = hash;
	out->left_us[out->n++] = ahead_ns / NS_PER_US;
}

static void tell_bucket(
    const struct limit_share *share, uint64_t bucket, uint64_t now_ns, struct limit_words *out)
{
	struct limit_entry entries[LIMIT_WAYS];
	limit_table_read(share->table, bucket, entries);
	for (uint32_t i = 0; i < LIMIT_WAYS; i++)
		tell(share, entries[i].hash, entries[i].time_ns, now_ns, out);
}

/* First those that are one for all, then the table. */
void limit_share_tell(
    const struct limit_share *share, uint64_t *cursor, uint64_t now_us, struct limit_words *out)
{
	uint64_t now_ns = now_us * NS_PER_US;
	uint64_t end = share->n_all + limit_table_buckets(share->table);
	uint64_t steps = end / LIMIT_PIECES + 1;
	out->secret = share->secret;
	out->n = 0;
	if (share->secret == 0)
		return;
	if (steps > LIMIT_PIECE_MAX)
		steps = LIMIT_PIECE_MAX;
	uint64_t at = *cursor < end ? *cursor : 0;
	for (; steps > 0 && at < end && out->n + LIMIT_WAYS <= LIMIT_WORDS_MAX; steps--, at++) {
		if (at >= share->n_all) {
			tell_bucket(share, at - share->n_all, now_ns, out);
			continue;
		}
		const struct one_for_all *all = &share->all[at];
		tell(share, all->hash, atomic_load_explicit(all->time_ns, memory_order_relaxed),
		    now_ns, out);
	}
	*cursor = at;
}

static enum limit_raise raise_shared(_Atomic uint64_t *time_ns, uint64_t to_ns)
{
	uint64_t before_ns = atomic_load_explicit(time_ns, memory_order_relaxed);
	while (before_ns < to_ns)
		if (atomic_compare_exchange_weak_explicit(
			time_ns, &before_ns, to_ns, memory_order_relaxed, memory_order_relaxed))
			return LIMIT_RAISED;
	return LIMIT_KNOWN;
}

static enum limit_raise raise_any(
    const struct limit_share *share, uint64_t hash, uint64_t to_ns, uint64_t now_ns)
{
	uint32_t i = share->tags[limit_tag(hash)].first;
	for (; i != NONE; i = share->all[i].next)
		if (share->all[i].hash == hash)
			return raise_shared(share->all[i].time_ns, to_ns);
	return limit_table_raise(share->table, hash, to_ns, now_ns);
}

static enum limit_heard hear(
    const struct limit_share *share, uint64_t hash, uint64_t left_us, uint64_t now_ns)
{
	const struct tag *tag = &share->tags[limit_tag(hash)];
	if (tag->notable_ns == 0 || hash == 0)
		return LIMIT_HEARD_NO_LIMIT;
	bool cut = left_us > tag->most_ns / NS_PER_US;
	uint64_t left_ns = cut ? tag->most_ns : left_us * NS_PER_US;
	enum limit_raise result = raise_any(share, hash, now_ns + left_ns, now_ns);
	if (result == LIMIT_NO_ROOM)
		return LIMIT_HEARD_NO_ROOM;
	if (cut)
		return LIMIT_HEARD_CUT;
	return result == LIMIT_RAISED ? LIMIT_HEARD_APPLIED : LIMIT_HEARD_KNOWN;
}

void limit_share_hear(const struct limit_share *share, const struct limit_words *words,
    uint64_t now_us, uint64_t results[LIMIT_HEARD_COUNT])
{
	bool same = share->secret != 0 && words->secret == share->secret;
	for (size_t i = 0; i < words->n; i++)
		results[same ? hear(share, words->hashes[i], words->left_us[i], now_us * NS_PER_US)
			     : LIMIT_HEARD_OTHER_KEY]++;
}

const char *limit_heard_name(enum limit_heard result)
{
	static const char *const names[] = {
#define X(result, name) #name,
	    LIMIT_HEARD(X)
#undef X
	};
	return names[result];
}
