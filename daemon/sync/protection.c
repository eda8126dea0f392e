/* Who is protected: whether what is promised about the death of this node, the Active, would be kept
 * if it died now. Three answers, and the reason in words. The journal is told whether the peer is
 * quick, because a response that makes a session waits only while that makes sense.
 *
 *	NONE (not Active) ──> UNPROTECTED <──> PROTECTED: quick, has what was made before it was, and
 *	                                                  no other sessions than we
 *
 * A peer that is late once is not trusted for a second: who is late all the time costs one wait a
 * second, not one for each session. Who has other sessions than we, beyond doubt, may be quick: it gets
 * them again, and meanwhile responses wait for it as ever. */
#include <stdio.h>

#include "daemon/base/clock.h"
#include "daemon/sync/stream_internal.h"

static bool peer_follows(const struct stream *stream)
{
	const struct sender *sender = &stream->sender;
	return stream->connected && sender->phase == SEND_STREAM && sender->in_sync;
}

static uint64_t lag_entries(const struct stream *stream)
{
	uint64_t last = journal_last(stream->journal);
	return last > stream->sender.acked ? last - stream->sender.acked : 0;
}

static bool lags(const struct stream *stream, uint64_t now_us)
{
	const struct sync_promise *promise = &stream->promise;
	return sender_lag_us(stream, now_us) >= promise->max_lag_us ||
	       (!promise->acked && lag_entries(stream) > promise->max_lag_entries);
}

static bool is_quick(struct stream *stream, uint64_t now_us)
{
	/* A worker may have noticed first. */
	bool given_up = stream->peer_quick && !journal_protected(stream->journal) &&
			!journal_left(stream->journal);
	if (!stream->active || !peer_follows(stream))
		return false;
	if (given_up || lags(stream, now_us))
		stream->late_us = now_us;
	return stream->late_us == 0 || now_us - stream->late_us >= STREAM_RECOVER_US;
}

/* It lacks none of those whose responses have left before they had to wait. */
static bool has_caught_up(const struct stream *stream)
{
	return stream->sender.acked >= stream->unwaited;
}

static bool differs(const struct stream *stream)
{
	return stream->peer.verdict == SYNC_VERDICT_DIFFERENT;
}

void protection_update(struct stream *stream, uint64_t now_us)
{
	enum sync_protection before = stream->protection;
	bool was_quick = stream->peer_quick;
	stream->peer_quick = is_quick(stream, now_us);
	if (stream->peer_quick != was_quick) {
		/* In this order: a worker appends first, then looks whether to wait. */
		journal_set_protected(stream->journal, stream->peer_quick);
		stream->unwaited = journal_last(stream->journal);
	}
	bool kept = stream->peer_quick && has_caught_up(stream) && !differs(stream);
	stream->protection = !stream->active ? SYNC_PROTECTION_NONE
			     : kept          ? SYNC_PROTECTED
					     : SYNC_UNPROTECTED;
	stream->unprotected += stream->protection == SYNC_UNPROTECTED && before != SYNC_UNPROTECTED;
}

static void describe(const struct stream *stream, char *text, size_t size)
{
	const char *peer = stream->peer_name;
	const struct sync_promise *promise = &stream->promise;
	bool kept = stream->protection == SYNC_PROTECTED;
	unsigned long long ms = promise->max_lag_us / US_PER_MS, n = promise->max_lag_entries;
	if (!stream->connected)
		snprintf(text, size, "%s is not connected", peer);
	else if (!peer_follows(stream))
		snprintf(text, size, "%s is not in sync yet", peer);
	else if (stream->peer_quick && !has_caught_up(stream))
		snprintf(text, size, "%s has not yet what was made without waiting for it", peer);
	else if (stream->peer_quick && !kept)
		snprintf(text, size, "%s has other sessions than we, which are sent again", peer);
	else if (promise->acked && kept)
		snprintf(text, size, "new sessions wait until %s has them", peer);
	else if (promise->acked)
		snprintf(
		    text, size, "%s has been late: no acknowledgement within %llu ms", peer, ms);
	else if (kept)
		snprintf(text, size, "%s lacks at most %llu records, %llu ms", peer, n, ms);
	else
		snprintf(text, size, "%s has been late: by %llu records or %llu ms", peer, n, ms);
}

void protection_status(const struct stream *stream, struct sync_status *out)
{
	out->promise = stream->promise;
	out->protection = stream->protection;
	out->unprotected = stream->unprotected;
	if (stream->protection != SYNC_PROTECTION_NONE)
		describe(stream, out->protection_reason, sizeof(out->protection_reason));
}
