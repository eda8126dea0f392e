/* What clients and targets of the soak share. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/soak/wire.h"

#define POOL_NAME_MAX 32

/* What the target is asked to do, a letter in the request. Those from FAULT_FIRST_BAD on end without
 * a complete response. */
enum {
	FAULT_NONE = 'n',
	FAULT_SLOW = 'w',       /* writes in small pieces */
	FAULT_STALL = 's',      /* thinks for a while first */
	FAULT_INTERIM = 'i',    /* says 103 first */
	FAULT_CLOSE = 'K',      /* announces that it closes */
	FAULT_CLOSE_SOON = 'k', /* closes without having said so */
	FAULT_EXTRA = 'x',      /* says more than was asked for */
	FAULT_EARLY = 'e',      /* answers before it has read the request's body, and closes */
	FAULT_RESET = 'r',      /* resets instead of answering */
	FAULT_GARBAGE = 'g',    /* answers nonsense */
	FAULT_HEAD = 'h',       /* ends in the head */
	FAULT_BODY_RESET = 'b', /* resets in the body */
	FAULT_BODY_FIN = 'f',   /* closes in the body */
};

/* One exchange as its request says it: enough for the target to do its part. */
struct plan {
	uint64_t id, up, down;
	char framing, fault;
};

struct endpoint {
	struct sockaddr_in addr;
	char pool[POOL_NAME_MAX];
	bool tcp;
	bool narrow; /* targets: wire_narrow */
	bool faulty; /* fronts: clients and targets misbehave, and responses may fail */
	bool sticky; /* fronts: each client must stay with its target */
};

struct totals {
	_Atomic uint64_t done;    /* complete and right */
	_Atomic uint64_t refused; /* answered by yoke with an error */
	_Atomic uint64_t cut;     /* ended before the response was complete */
	_Atomic uint64_t faults;  /* of clients */
	_Atomic uint64_t bytes;   /* of bodies that were right */
	_Atomic uint64_t wrong;
};
extern struct totals totals;
extern atomic_bool stopping;

/* Something that must never happen. */
void wrong(const struct endpoint *endpoint, const struct plan *plan, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A listening target; its connections have threads of their own. Returns only on failure. */
void *target_run(void *endpoint);

struct client {
	const struct endpoint *front;
	struct rng rng;
	uint64_t exchanges; /* 0: until `stopping`; else so many GETs */
	char cookie[256];   /* sticky: what yoke gave us, and the target it means */
	unsigned target;
};
void *client_run(void *client);
