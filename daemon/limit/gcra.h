/* A rate limit with a burst, for one key: the generic cell rate algorithm (ITU-T I.371, Annex A) in
 * the form of virtual scheduling. All that is kept of a key is one time, the theoretical arrival
 * time: when its next request would come if it kept exactly to the rate. It is the same as a token
 * bucket that holds `burst` tokens and gets one each `interval_ns`. A key whose time has passed is
 * as if it had never been seen. Pure; times are nanoseconds of any clock that does not go back. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/limit/spec.h"

struct gcra {
	uint64_t interval_ns;  /* between two requests at the rate */
	uint64_t tolerance_ns; /* how far ahead of its time one may come */
};

/* The interval is rounded down to a nanosecond: the rate may be larger by a millionth for each
 * thousand a second. */
void gcra_init(struct gcra *gcra, struct limit_rate rate, uint32_t burst);
/* Whether a request at `now_ns` is within the limit. True: *time_ns, 0 at first, is moved on. False:
 * it stays, and *wait_ns is how long until the next one would be. A time further ahead than this
 * limit lets anybody come is brought back to that, whoever it is from. */
bool gcra_take(const struct gcra *gcra, uint64_t *time_ns, uint64_t now_ns, uint64_t *wait_ns);
/* The same for a time that threads share. */
bool gcra_take_shared(
    const struct gcra *gcra, _Atomic uint64_t *time_ns, uint64_t now_ns, uint64_t *wait_ns);
