#include "daemon/limit/gcra.h"

#define NS_PER_SEC    1000000000ULL
#define TOLERANCE_MAX (UINT64_MAX / 4) /* a century */

void gcra_init(struct gcra *gcra, struct limit_rate rate, uint32_t burst)
{
	gcra->interval_ns = rate.period_s * NS_PER_SEC / rate.count;
	if (__builtin_mul_overflow(gcra->interval_ns, burst - 1, &gcra->tolerance_ns) ||
	    gcra->tolerance_ns > TOLERANCE_MAX)
		gcra->tolerance_ns = TOLERANCE_MAX;
}

bool gcra_take(const struct gcra *gcra, uint64_t *time_ns, uint64_t now_ns, uint64_t *wait_ns)
{
	uint64_t ahead_ns = *time_ns > now_ns ? *time_ns - now_ns : 0;
	/* Further than it can have come: the limit was another one until a moment ago. */
	if (ahead_ns > gcra->tolerance_ns + gcra->interval_ns) {
		ahead_ns = gcra->tolerance_ns + gcra->interval_ns;
		*time_ns = now_ns + ahead_ns;
	}
	if (ahead_ns > gcra->tolerance_ns) {
		*wait_ns = ahead_ns - gcra->tolerance_ns;
		return false;
	}
	*time_ns = now_ns + ahead_ns + gcra->interval_ns;
	return true;
}

bool gcra_take_shared(
    const struct gcra *gcra, _Atomic uint64_t *time_ns, uint64_t now_ns, uint64_t *wait_ns)
{
	uint64_t before_ns = atomic_load_explicit(time_ns, memory_order_relaxed), after_ns;
	bool taken;
	do {
		after_ns = before_ns;
		taken = gcra_take(gcra, &after_ns, now_ns, wait_ns);
	} while (
	    after_ns != before_ns && !atomic_compare_exchange_weak_explicit(time_ns, &before_ns,
					 after_ns, memory_order_relaxed, memory_order_relaxed));
	return taken;
}
