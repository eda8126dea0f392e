#include "daemon/base/quota.h"

bool quota_take(struct quota *quota, unsigned burst, uint64_t each_us, uint64_t now_us)
{
	uint64_t used_us = quota->used_us > now_us ? quota->used_us : now_us;
	if (used_us + each_us > now_us + burst * each_us)
		return false;
	quota->used_us = used_us + each_us;
	return true;
}
