/* What the files with rows of the schema table share. Of others only check_routes.c and part.c
 * include this. */
#pragma once

#include "conf/schema.h"

#define FIELD(t, m)            .offset = offsetof(t, m), .size = sizeof(((t *)NULL)->m)
#define ENTRIES(t, m, counter) FIELD(t, m), .count_offset = offsetof(t, counter)
#define KEYS(array)            .keys = (array), .n_keys = sizeof(array) / sizeof((array)[0])

#define MS 1000ULL
#define S  (1000 * MS)
#define H  (3600 * S)
#define D  (24 * H)

extern const struct conf_object conf_schema_router;
extern const struct conf_object conf_schema_listener;
extern const struct conf_object conf_schema_pool;
extern const struct conf_object conf_schema_target;  /* one of a pool's targets */
extern const struct conf_key conf_schema_route;      /* one of a listener's routes */
extern const struct conf_key conf_schema_rate_limit; /* one of a listener's or route's list */

/* Of listeners and pools alike. */
extern const struct conf_object conf_schema_keepalive;
#define TCP_KEEPALIVE(t)                                                                         \
	{                                                                                        \
		"tcp_keepalive", CONF_OBJECT, FIELD(struct t, tcp_keepalive),                    \
		    .object = &conf_schema_keepalive, .def_note = "no probes",                   \
		    .help = "Whether the other side is still there is asked on a connection on " \
			    "which nothing moves (SO_KEEPALIVE)"                                 \
	}
#define TCP_USER_TIMEOUT_KEY(t)                                                                   \
	{                                                                                         \
		"tcp_user_timeout", CONF_DURATION, FIELD(struct t, tcp_user_timeout_us),          \
		    .min = 100 * MS, .max = 24 * H, .step = MS,                                   \
		    .def_note = "the kernel's: about a quarter of an hour",                       \
		    .help = "A connection ends when what was sent has not been acknowledged for " \
			    "so long (RFC 5482); probes of tcp_keepalive count, whatever their "  \
			    "count"                                                               \
	}
