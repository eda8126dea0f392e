#include "vrrp/core/lateness.h"

#include "daemon/base/clock.h"

#define MINUTE_US (60 * US_PER_SEC)

static unsigned bucket_of(uint64_t late_us)
{
	static const uint64_t bounds_us[] = {
#define X(bound) bound,
	    VRRP_LATENESS_BOUNDS(X)
#undef X
	};
	unsigned i = 0;
	while (i < VRRP_LATENESS_ABOVE && late_us > bounds_us[i])
		i++;
	return i;
}

void vrrp_lateness_note(struct vrrp_lateness *lateness, uint64_t late_us, uint64_t now_us)
{
	uint64_t age_us = now_us - lateness->minute_us;
	if (age_us >= MINUTE_US) {
		lateness->last_us = age_us < 2 * MINUTE_US ? lateness->worst_us : 0;
		lateness->worst_us = 0;
		lateness->minute_us = now_us;
	}
	lateness->counts[bucket_of(late_us)]++;
	lateness->sum_us += late_us;
	if (late_us > lateness->worst_us)
		lateness->worst_us = late_us;
	if (late_us > lateness->max_us)
		lateness->max_us = late_us;
}

uint64_t vrrp_lateness_recent_us(const struct vrrp_lateness *lateness, uint64_t now_us)
{
	uint64_t age_us = now_us - lateness->minute_us;
	if (age_us >= 2 * MINUTE_US)
		return 0;
	if (age_us >= MINUTE_US || lateness->worst_us > lateness->last_us)
		return lateness->worst_us;
	return lateness->last_us;
}
