/* What is read of a connection before it is served: its PROXY header (proxy_header.c), and the
 * ClientHello (client_hello.c) that says whose it is.
 *
 * Bytes are looked at where they are, in the kernel. A reader may take some off; all others stay for
 * who serves the connection, and who reads it as if nothing had been before. So what comes slowly
 * costs no memory here. All readers together have header_timeout from the accept. The connection
 * counts for max_connections like any other. A listener that wants no reader costs a branch an accept.
 *
 * To add a reader: write a struct preface_reader beside what it reads, and name it in readers[] of
 * preface.c, behind those whose bytes come before. It leaves what it found in the arrival. */
#pragma once

#include "daemon/proxy/conn.h"
#include "daemon/proxy/worker.h"

/* A connection that was accepted and is to be served. Who serves it takes `fd` and `origin`. */
struct arrival {
	int fd;
	struct addr peer;      /* the client: who connected, or whom the PROXY header names */
	struct tally *tally;   /* of its source; NULL: it is not counted */
	bool admitted;         /* limits of its source were looked at */
	struct origin *origin; /* what else the header says; NULL: nothing. Free it by free() */
	uint32_t pool;         /* mode tcp: an index; CONF_NONE: the listener's */
	const char *route;     /* name of the one that took it; NULL: none, or it has no name */
};

enum preface_verdict { PREFACE_MORE, PREFACE_DONE, PREFACE_REFUSED };

/* What a reader says besides its verdict. */
struct preface_found {
	size_t taken;       /* DONE: so many bytes are taken off; 0: all stay */
	const char *why;    /* REFUSED: for the log */
	const char *reason; /* and for metrics, a word */
};

struct preface_reader {
	const char *what; /* it reads, for logs: "PROXY header" */
	size_t max;       /* it is never shown more bytes, and may not say MORE to as many */
	bool (*wanted)(const struct conf_listener *conf, const struct arrival *arrival);
	/* `data` (at least a byte) is the beginning of the stream, without what readers before it
	 * took. It is shown again with each MORE, from the beginning. Counts what it refuses. */
	enum preface_verdict (*read)(struct listener *listener, struct arrival *arrival,
	    const char *data, size_t len, struct preface_found *found);
};

struct preface {
	struct conn conn;
	struct timer timer;
	union node node; /* of listener->prefaces */
	struct listener *listener;
	struct arrival arrival;
	uint64_t since_us;
	uint32_t reader; /* index of the present one */
	bool dead;
};

/* Some reader wants this connection. */
bool preface_wanted(const struct conf_listener *conf, const struct arrival *arrival);
/* Takes the connection; listener_serve is called when all have read. False: out of memory, and fd is
 * the caller's. */
bool preface_open(struct listener *listener, const struct arrival *arrival);
void preface_close(struct preface *preface, bool reset);
/* Unless it has come completely; when we leave for good it gets a moment. */
void preface_close_idle(struct preface *preface);
