#include "daemon/proxy/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/proxy/http.h"

#define TARGETS_MAX 8 /* that are named when none can be used */

struct line {
	char *start, *at;
	bool begun; /* something stands behind the name */
};

static void put(struct line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *line, const char *fmt, ...)
{
	size_t room = EXPLAIN_LINE_MAX - (size_t)(line->at - line->start);
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(line->at, room, fmt, args);
	va_end(args);
	line->at += (size_t)n < room ? (size_t)n : room - 1;
}

/* The value is a dictionary of RFC 9651, so that programs can read it, too. Names of the
 * configuration and addresses need no escapes in a string, words of ours are tokens. */
static void put_key(struct line *line, const char *key)
{
	put(line, "%s%s=", line->begun ? ", " : "", key);
	line->begun = true;
}

static void put_string(struct line *line, const char *key, const char *text)
{
	if (!text)
		return;
	put_key(line, key);
	put(line, "\"%s\"", text);
}

static void put_word(struct line *line, const char *key, const char *word)
{
	if (!word)
		return;
	put_key(line, key);
	put(line, "%s", word);
}

static void put_number(struct line *line, const char *key, uint64_t n)
{
	put_key(line, key);
	put(line, "%llu", (unsigned long long)n);
}

static void put_since(struct line *line, const char *key, uint64_t from_us, uint64_t to_us)
{
	if (to_us > 0)
		put_number(line, key, to_us - from_us);
}

static void put_failed(struct line *line, const struct access_failures *failed)
{
	if (failed->n == 0)
		return;
	put_key(line, "failed");
	for (uint32_t i = 0; i < failed->n; i++)
		put(line, "%s\"%s\";why=%s", i == 0 ? "(" : " ", failed->each[i].target->text,
		    failed->each[i].why);
	put(line, ")");
}

/* Why there is no target: what each of them is. */
static void put_targets(struct line *line, const struct pool *pool)
{
	put_key(line, "targets");
	put(line, "(");
	for (uint32_t i = 0; i < pool->n_targets && i < TARGETS_MAX; i++) {
		const struct target *target = pool->targets[i].target;
		put(line, "%s\"%s\";state=%s", i == 0 ? "" : " ", target->text,
		    target_state_name(target));
	}
	put(line, ")");
	if (pool->n_targets > TARGETS_MAX)
		put_number(line, "more", pool->n_targets - TARGETS_MAX);
}

static void put_facts(struct line *line, const struct txn *txn, const char *why)
{
	static const char *const sticky[] = {[ACCESS_STICKY_HIT] = "hit",
	    [ACCESS_STICKY_NEW] = "new",
	    [ACCESS_STICKY_MOVED] = "moved"};
	const struct access_note *note = &txn->note;
	bool has_pool = txn->pool != CONF_NONE && !txn->malformed;
	put_word(line, "why", why);
	put_string(line, "route", note->route);
	if (has_pool)
		put_string(line, "pool", txn_pool(txn)->name);
	if (note->target)
		put_string(line, "target", note->target->text);
	else if (has_pool && why && strcmp(why, "no_target") == 0)
		put_targets(line, &txn->gen->fleet->pools[txn->pool]);
	put_word(line, "chosen", access_chosen(txn));
	put_word(line, "tier", note->tier);
	put_word(line, "sticky", sticky[txn->choice.sticky]);
	put_failed(line, &note->failures);
	put_number(line, "retries", note->retries);
	if (txn->wait.waited_us > 0)
		put_number(line, "queue_us", txn->wait.waited_us);
	if (!note->pooled)
		put_since(line, "connect_us", note->head_us, note->connected_us);
	put_since(line, "response_us", note->head_us, note->response_us);
}

static bool may_know(const struct txn *txn)
{
	const struct conf_explain *explain = &txn->listener->explain;
	if (!txn->note.kept)
		return false;
	for (uint32_t i = 0; i < explain->n_from; i++) {
		if (addr_is_within(
			&txn->client->peer, &explain->from[i].addr, explain->from[i].prefix))
			return true;
	}
	return explain->n_from == 0;
}

size_t explain_line(const struct txn *txn, const char *why, char *out)
{
	struct line line = {.start = out, .at = out};
	if (!txn->listener->explain.name || !may_know(txn))
		return 0;
	put(&line, "%s: ", txn->listener->explain.name);
	put_facts(&line, txn, why);
	put(&line, "\r\n");
	return (size_t)(line.at - out);
}

size_t explain_answer(const struct txn *txn, const char *why, char *text, size_t len)
{
	char line[EXPLAIN_LINE_MAX];
	size_t n = explain_line(txn, why, line);
	char *end = n > 0 ? memmem(text, len, "\r\n\r\n", 4) : NULL;
	if (!end)
		return len;
	end += 2;
	memmove(end + n, end, len - (size_t)(end - text));
	memcpy(end, line, n);
	return len + n;
}
