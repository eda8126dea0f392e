#include "vrrp/core/track.h"

#include "daemon/base/text.h"

bool vrrp_tracked_result(struct vrrp_tracked *tracked, bool good, const char *why)
{
	enum vrrp_sight seen = good ? VRRP_GOOD : VRRP_BAD, before = tracked->sight;
	if (seen == before) {
		tracked->in_a_row = 0;
	} else {
		tracked->in_a_row++;
		if (before != VRRP_UNSEEN &&
		    tracked->in_a_row < (good ? tracked->rise : tracked->fall))
			return false;
		tracked->sight = seen;
		tracked->in_a_row = 0;
	}
	text_copy(tracked->why, sizeof(tracked->why), why);
	return (before == VRRP_BAD) != (seen == VRRP_BAD);
}

unsigned vrrp_tracked_weights(const struct vrrp_tracked *tracked, unsigned n)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < n; i++)
		sum += tracked[i].sight == VRRP_BAD ? tracked[i].weight : 0;
	return sum;
}

unsigned vrrp_tracked_fault(const struct vrrp_tracked *tracked, unsigned n)
{
	unsigned i = 0;
	while (i < n && !(tracked[i].sight == VRRP_BAD && tracked[i].weight == 0))
		i++;
	return i;
}

uint8_t vrrp_effective_priority(uint8_t configured, unsigned weights)
{
	if (configured == 255)
		return configured;
	return weights < configured ? (uint8_t)(configured - weights) : 1;
}

static int loss(struct vrrp_standing standing)
{
	return standing.configured - standing.effective;
}

bool vrrp_rival_judge(struct vrrp_rival *rival, struct vrrp_standing theirs,
    struct vrrp_standing ours, uint64_t patience_us, uint64_t now_us)
{
	bool worse_off = theirs.effective != 0 && theirs.effective < theirs.configured &&
			 loss(theirs) > loss(ours) && theirs.effective < ours.effective;
	if (!worse_off) {
		rival->since_us = 0;
		return false;
	}
	if (rival->since_us == 0)
		rival->since_us = now_us;
	return now_us - rival->since_us >= patience_us;
}
