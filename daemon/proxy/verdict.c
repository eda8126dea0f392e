#include "daemon/proxy/verdict.h"

bool verdict_step(
    struct verdict *verdict, enum sign sign, uint64_t accepted, uint64_t window_us, uint64_t now_us)
{
	if (sign == SIGN_ANSWER || (sign == SIGN_NONE && !verdict->stuck))
		*verdict = (struct verdict){0};
	if (sign != SIGN_SILENCE)
		return false;
	if (verdict->silent_us == 0) {
		verdict->silent_us = verdict->counted_us = now_us;
		return true;
	}
	if (now_us - verdict->counted_us <= window_us)
		return false;
	verdict->stuck = accepted < VERDICT_BUSY;
	if (!verdict->stuck)
		verdict->silent_us = now_us;
	verdict->counted_us = now_us;
	return true;
}
