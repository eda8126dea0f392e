/* How tests of a pair begin, and what they look at. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "tests/unit/sync/model.h"
#include "tests/unit/unit.h"

#define LONG MODEL_HOUR_US

static inline bool reason_has(const struct model *model, int i, const char *text)
{
	struct sync_status status = model_status(model, i);
	if (strstr(status.reason, text))
		return true;
	printf("[%s] is not in [%s]\n", text, status.reason);
	return false;
}

/* Node 0 Active, node 1 has everything. */
static inline void start_in_sync(struct model *model, size_t journal_size)
{
	model_init(model, journal_size);
	model_set_active(model, 0, true);
	model_connect(model);
	model_settle(model);
	CU_ASSERT_EQUAL(model_status(model, 0).state, SYNC_IN_SYNC);
	CU_ASSERT_EQUAL(model_status(model, 1).state, SYNC_IN_SYNC);
}
