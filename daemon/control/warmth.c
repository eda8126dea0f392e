#include "daemon/control/warmth.h"

#include <stdio.h>

#include "daemon/base/clock.h"

void warmth_begin(struct warmth *warmth, uint64_t timeout_us, uint64_t now_us)
{
	*warmth = (struct warmth){
	    .waiting = timeout_us > 0, .since_us = now_us, .timeout_us = timeout_us};
}

static bool is_over(
    const struct warmth *warmth, const struct sync_status *status, uint64_t now_us, struct err *why)
{
	if (status->state == SYNC_IN_SYNC)
		err_set(why, 0, "it has the sessions of %s", status->peer);
	else if (status->state == SYNC_SNAPSHOT && !status->peer_active && !status->peer_gives)
		err_set(why, 0, "%s is not Active either, and has nothing to give", status->peer);
	else if (status->reach == SYNC_REFUSES)
		err_set(why, 0, "%s", status->reason);
	else if (status->reach == SYNC_MUTE)
		err_set(why, 0, "without the sessions of %s, which does not answer (%s)",
		    status->peer, status->reason);
	else if (now_us - warmth->since_us >= warmth->timeout_us)
		err_set(why, 0, "without all sessions of %s, since time is up (%s)", status->peer,
		    status->reason);
	else
		return false;
	return true;
}

bool warmth_step(
    struct warmth *warmth, const struct sync_status *status, uint64_t now_us, struct err *why)
{
	if (!warmth->waiting || !is_over(warmth, status, now_us, why))
		return false;
	warmth->waiting = false;
	return true;
}

void warmth_text(
    const struct warmth *warmth, const char *peer, uint64_t now_us, char text[WARMTH_TEXT_MAX])
{
	text[0] = '\0';
	if (!warmth->waiting)
		return;
	snprintf(text, WARMTH_TEXT_MAX, "waiting for the sessions of %s: %llu ms of %.3g s", peer,
	    (unsigned long long)((now_us - warmth->since_us) / US_PER_MS),
	    (double)warmth->timeout_us / US_PER_SEC);
}
