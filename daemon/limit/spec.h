/* Rate limits as the configuration says them: plain data, filled in by conf/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_LIST_MAX  4       /* of a listener or route */
#define LIMIT_RATE_MAX  1000000 /* requests a period */
#define LIMIT_BURST_MAX 1000000

struct limit_rate {
	uint32_t count, period_s;
};

enum limit_by {
	LIMIT_BY_SOURCE,
	LIMIT_BY_HOST,
	LIMIT_BY_PATH,
	LIMIT_BY_NONE, /* one bucket for all */
	LIMIT_BY_HEADER,
	LIMIT_BY_COOKIE
};

struct limit_key {
	enum limit_by by;
	const char *header, *cookie; /* the name, for these two */
};

struct limit_spec {
	struct limit_rate rate;
	uint32_t burst;
	struct limit_key key;
	uint8_t prefix4, prefix6; /* bits of a source address that count */
	uint16_t status;
	bool log_only;
	uint32_t number; /* of all in the configuration, from 0 */
};
