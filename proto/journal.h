/* The delta ring: every local change that the peer must learn, numbered. The workers and the
 * control thread append, the sync thread reads from a cursor and marks what the peer has
 * acknowledged. Bounded: when it is full the oldest entries are overwritten, and a reader that was
 * too slow must send a snapshot instead. One short lock; no I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct journal;

/* `capacity` entries, a power of two. `wake` is called (from the appending thread, lock not held)
 * when an entry arrives and the reader had seen all others: it must be cheap and thread-safe
 * (ev_async_send). NULL: nobody; when the call returns, the one before does not run any more. */
struct journal *journal_new(size_t capacity);
void journal_free(struct journal *journal);
void journal_set_reader_wake(struct journal *journal, void (*wake)(void *), void *arg);

/* Appends a copy and returns its sequence (from 1). While `connected` is false entries are numbered
 * and kept all the same: a peer that comes back soon resumes. */
uint64_t journal_append(struct journal *journal, const struct record *record);

/* Copies up to `max` entries with sequence > `after`; returns the number. -1: `after` is older than
 * the ring (or newer than the last entry): snapshot needed. */
long journal_read(struct journal *journal, uint64_t after, struct record *out, size_t max);
uint64_t journal_last(struct journal *journal);

/* For `acked` mode. protected: a peer is connected, in sync and quick, so that waiting makes sense.
 * Said by the sync thread. */
void journal_set_protected(struct journal *journal, bool is_protected);
bool journal_protected(struct journal *journal);
/* Any thread: whether this node is Active. While it is not (`left`), no response that makes a session
 * may leave from an address of a virtual router: nobody would have it. At first it is, for who has no
 * peer to tell. */
void journal_set_role(struct journal *journal, bool active);
bool journal_left(struct journal *journal);
/* Any thread: somebody has waited in vain. Nobody is protected until the sync thread says so anew. */
void journal_give_up(struct journal *journal);
void journal_set_acked(struct journal *journal, uint64_t sequence);
uint64_t journal_acked(struct journal *journal); /* one atomic load */
/* `wake` is called by the sync thread after the acked sequence or protection changed; up to
 * CONF_WORKERS_MAX listeners, registered before the threads start. */
void journal_add_ack_listener(struct journal *journal, void (*wake)(void *), void *arg);
