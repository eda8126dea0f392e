/* Rate limits beside the records: no place in the stream, no acknowledgement, no digest. One message
 * of a few kilobytes in 40 ms is all that they ever take, so whatever else there is to send can wait
 * for it. They begin when the peer has everything else. */
#include <string.h>

#include "daemon/sync/stream_internal.h"

_Static_assert(SYNC_LIMITS_MAX == LIMIT_WORDS_MAX, "what is told at a time is a message");

bool limits_produce(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	struct limit_words *words = &sender->limits;
	const struct sync_callbacks *callbacks = &stream->callbacks;
	if (sender->phase != SEND_STREAM || !stream->peer.takes_limits || !callbacks->tell_limits ||
	    now_us < sender->next_limits_us || sender_yields(stream))
		return false;
	sender->next_limits_us = now_us + STREAM_LIMITS_US;
	callbacks->tell_limits(callbacks->arg, &sender->limits_cursor, now_us, words);
	if (words->n == 0)
		return false;
	sender->beside = sender->cursor;
	*out = (struct sync_message){.kind = SYNC_LIMITS};
	out->limits.epoch = stream->epoch;
	out->limits.secret = words->secret;
	out->limits.hashes = words->hashes;
	out->limits.left_us = words->left_us;
	out->limits.n = words->n;
	stream->sent_limits += words->n;
	return true;
}

void limits_take(struct stream *stream, const struct sync_message *message, uint64_t now_us)
{
	const struct receiver *receiver = &stream->receiver;
	struct limit_words words = {.secret = message->limits.secret, .n = message->limits.n};
	if (receiver->phase == RECEIVE_IDLE || receiver->have.epoch != message->limits.epoch ||
	    !stream->callbacks.hear_limits)
		return;
	memcpy(words.hashes, message->limits.hashes, words.n * sizeof(words.hashes[0]));
	memcpy(words.left_us, message->limits.left_us, words.n * sizeof(words.left_us[0]));
	stream->callbacks.hear_limits(stream->callbacks.arg, &words, now_us, stream->heard_limits);
}
