/* Is a listening address served? What the process' own requests to it say. Pure.
 *
 *	silent for a window, nobody is accepted    stuck
 *	silent, but many are accepted              overloaded: an equal peer would be no better off
 *	answered, or not asked                     nothing to say against it
 *
 * Who is stuck stays so until it has answered: that the VIP has left is no proof of health. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* With so many connections accepted in a window, each of its sockets is at work. */
#define VERDICT_BUSY 32

enum sign {
	SIGN_NONE,   /* not asked, and not for a reason that would keep users out, too */
	SIGN_ANSWER, /* to the last request */
	SIGN_SILENCE /* no answer yet */
};

/* Starts zeroed. */
struct verdict {
	uint64_t silent_us;  /* since when there is no answer; 0: there was one */
	uint64_t counted_us; /* when the present window began */
	bool stuck;
};

/* `accepted`: by that socket of the address that has accepted the least, since this has last
 * returned true. True: the caller counts from now on. */
bool verdict_step(struct verdict *verdict, enum sign sign, uint64_t accepted, uint64_t window_us,
    uint64_t now_us);
