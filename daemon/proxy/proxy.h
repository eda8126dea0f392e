/* The proxy engine: N worker threads, each with one libev loop, its own SO_REUSEPORT listeners,
 * upstream connection pools and counters. A connection lives and dies on its thread. Everything
 * here is called from the control thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "daemon/balance/fleet.h"
#include "daemon/base/err.h"
#include "daemon/base/keys.h"
#include "daemon/limit/share.h"
#include "daemon/limit/table.h"
#include "daemon/session/table.h"
#include "proto/journal.h"

struct proxy;

/* What is shared with the rest of the process for its whole life. */
struct proxy_shared {
	uint32_t workers;
	struct session_table *sessions;
	struct journal *journal;       /* NULL: not a pair */
	void (*on_outlier)(void *arg); /* a target fails: outlier_step is due. Any thread */
	void *arg;
};

/* One configuration in force: immutable. Workers swap to it at a loop boundary; `free_fn` runs on
 * the control thread (from proxy_reap) when the last worker and the last connection that used it
 * have let go. */
struct proxy_generation {
	const struct conf *conf;
	struct fleet *fleet;
	/* During proxy_apply only: of sticky cookies and rate limits. The peer has the same ones? */
	const struct keys *keys;
	bool is_paired;
	int log_fd; /* when conf has an access log; proxy_apply takes it, which makes it -1 */
	void (*free_fn)(struct proxy_generation *generation);
	void *owner;
};

/* Counters; each worker has its own set, proxy_stats adds them up. */
#define PROXY_COUNTERS(X)                                                                          \
	X(connections_accepted, "Client connections accepted")                                     \
	X(connections_refused, "Client connections closed at once: a limit")                       \
	X(requests, "HTTP requests read completely")                                               \
	X(responses_1xx, "1xx responses relayed")                                                  \
	X(responses_2xx, "2xx responses sent")                                                     \
	X(responses_3xx, "3xx responses sent")                                                     \
	X(responses_4xx, "4xx responses sent")                                                     \
	X(responses_5xx, "5xx responses sent")                                                     \
	X(refused_malformed,                                                                       \
	    "Requests refused: malformed or too large (400, 413, 414, 431, 501, 505)")             \
	X(refused_path, "Requests refused: path that could be read in two ways (400)")             \
	X(refused_no_route, "Requests or connections refused: no route, no pool by default (404)") \
	X(hellos_refused, "Connections closed: malformed TLS ClientHello")                         \
	X(refused_complex, "Requests refused: a route's pattern was too costly (500)")             \
	X(refused_timeout, "Requests refused: not complete in time (408)")                         \
	X(refused_slow, "Requests refused: body slower than min_body_rate (408)")                  \
	X(refused_rate_limited, "Requests refused: over a rate limit (429)")                       \
	X(connections_rate_limited, "Connections reset: over a rate limit")                        \
	X(connections_over_source, "Connections reset: too many of their source")                  \
	X(connections_silent, "Connections closed: no request within header_timeout")              \
	X(evicted_silent, "Connections without a request closed, as descriptors ran short")        \
	X(evicted_idle, "Connections between requests closed, as descriptors ran short")           \
	X(no_target, "Requests or connections refused: no usable target (503)")                    \
	X(circuit_open, "Requests or connections refused: the pool's circuit breaker (503)")       \
	X(target_failed, "Requests or connections failed: target failed (502)")                    \
	X(target_timeout, "Requests failed: target did not answer in time (504)")                  \
	X(retries, "Attempts on another connection or target")                                     \
	X(retries_over_budget, "Attempts that were not made: more than the pool's retry_budget")   \
	X(upstream_connects, "Connections opened to targets")                                      \
	X(upstream_reuses, "Requests sent on a pooled connection")                                 \
	X(upstream_connect_failures, "Connections to targets that failed")                         \
	X(sticky_hits, "Requests or connections that followed their session")                      \
	X(sticky_misses, "Sessions created")                                                       \
	X(sticky_moved, "Sessions whose target was not usable")                                    \
	X(sticky_stale, "Cookies and sessions of the second key, replaced by those of the first")  \
	X(sticky_learned, "Sessions that responses began")                                         \
	X(sticky_ended, "Sessions that responses ended")                                           \
	X(ack_timeouts, "Responses that waited for the peer in vain")                              \
	X(unprotected_sessions, "Sessions made while the pair was unprotected")                    \
	X(tunnels, "Connections that became tunnels by a switch of protocols (101)")               \
	X(upgrades_dropped, "Requests to switch protocols that were not passed on")                \
	X(udp_sessions, "UDP sessions begun")                                                      \
	X(udp_sessions_evicted, "UDP sessions that made room for newer ones")                      \
	X(udp_datagrams_in, "Datagrams of clients")                                                \
	X(udp_datagrams_out, "Datagrams sent to clients")                                          \
	X(udp_dropped_full, "Datagrams dropped: the send queue was full")                          \
	X(udp_dropped_limit, "Datagrams dropped: no room for another session, or targets full")    \
	X(udp_dropped_source, "Datagrams dropped: too many sessions of their source")              \
	X(udp_dropped_no_target, "Datagrams dropped: no usable target")                            \
	X(udp_dropped_unsendable, "Datagrams dropped: too large, or our address gone")             \
	X(drain_closed, "Connections and UDP sessions closed at the end of a target's drain")      \
	X(vip_moved_closed,                                                                        \
	    "Connections and UDP sessions ended: their virtual address is elsewhere")              \
	X(proxy_headers, "PROXY headers of clients read")                                          \
	X(proxy_headers_missing, "Connections closed: no PROXY header")                            \
	X(proxy_headers_malformed, "Connections closed: malformed PROXY header")                   \
	X(proxy_headers_checksum, "Connections closed: wrong sum of a PROXY header")               \
	X(prefaces_cut, "Connections ended in their PROXY header or ClientHello")                  \
	X(prefaces_late, "Connections closed: PROXY header or ClientHello not complete in time")   \
	X(bytes_in, "Bytes read from clients")                                                     \
	X(bytes_out, "Bytes sent to clients")                                                      \
	X(bytes_spliced, "Bytes in both directions that were not copied")                          \
	X(access_lines, "Lines of the access log")                                                 \
	X(access_dropped, "Lines of the access log that were dropped: too slow a disk")

struct proxy_stats {
#define X(name, help) uint64_t name;
	PROXY_COUNTERS(X)
#undef X
	uint64_t client_connections;   /* now, and UDP sessions */
	uint64_t upstream_connections; /* now */
	uint64_t upstream_idle;        /* now, pooled */
	uint64_t tunnels_now;
	uint64_t udp_sessions_now;
	uint64_t
	    udp_overflows; /* datagrams that the kernel dropped, as they were not read in time */
};

/* Starts the workers, idle. NULL with a text on failure. */
struct proxy *proxy_start(const struct proxy_shared *shared, struct err *err);

/* Hands over a listening socket, of TCP or UDP, before the proxy_apply that uses it; the proxy closes it when a
 * later configuration does not name (name, bind) any more. Returns -EEXIST if it has one (the fd
 * stays the caller's). */
int proxy_add_listener(
    struct proxy *proxy, const char *name, const struct addr *bind, uint32_t worker, int fd);
/* Puts a configuration in force. Takes `generation` (calls free_fn one day). Returns at once;
 * proxy_applied tells when every worker runs it. -ENOENT with a text, changing nothing, when a
 * listening socket is missing.
 * With the same `conf` as the one before, only the fleet is another: listeners, routes, cookie keys
 * and the access log stay as they are, and connections that last go over to it. */
int proxy_apply(struct proxy *proxy, struct proxy_generation *generation, struct err *err);
bool proxy_applied(struct proxy *proxy);
/* Closes the TCP connections, tunnels and UDP sessions with the target of this id, soon; requests in
 * progress go on. */
void proxy_cut(struct proxy *proxy, uint64_t target_id);
/* The lines of requests that end from now on go to `fd`, the file of the access log in force opened
 * anew, which is the proxy's on success. 0 or -errno with a text; then nothing changes. */
int proxy_reopen_log(struct proxy *proxy, int fd, struct err *err);
/* Ends the connections of clients, and UDP sessions, whose own side has one of these addresses, soon:
 * another node answers for them. `router` is the virtual router, for the log. */
void proxy_leave(struct proxy *proxy, const char *router, const struct addr *addrs, size_t n);
/* The file of the access log before this one has got its last line, or did not take it in 2 s. */
bool proxy_log_settled(struct proxy *proxy);
/* Frees what the workers have let go. Call it every second or so. */
void proxy_reap(struct proxy *proxy);

/* True when every worker's loop has turned within `window_us`, and no listener has left a request of
 * our own unanswered for longer; else a text says who is stuck. Sends these requests and reads the
 * answers: call it several times in a window. */
bool proxy_alive(struct proxy *proxy, uint64_t window_us, struct err *why);

/* How the requests of our own fare at an address that is listened on. */
struct proxy_listening {
	const char *listener, *address;
	bool here;                 /* the address is on this host, or was when we looked last */
	uint64_t answered_wall_us; /* the last answer, wall clock; 0: none yet */
	uint64_t failures;         /* times it was stuck, or could not be asked */
};
typedef void proxy_listening_fn(void *arg, const struct proxy_listening *listening);
void proxy_each_listening(struct proxy *proxy, proxy_listening_fn *fn, void *arg);

/* Requests that a route has taken since start. A route without name is called by its number. */
typedef void proxy_route_fn(void *arg, const char *listener, const char *route, uint64_t requests);
void proxy_each_route(struct proxy *proxy, proxy_route_fn *fn, void *arg);

/* A rate limit, and what was over it since start. */
struct proxy_limit {
	const char *listener, *route; /* route NULL: of the listener */
	uint32_t index;               /* in their list */
	uint64_t refused, passed;     /* passed: as log_only says */
};
typedef void proxy_limit_fn(void *arg, const struct proxy_limit *limit);
void proxy_each_limit(struct proxy *proxy, proxy_limit_fn *fn, void *arg);
/* What rate limits remember. False: there are none. */
bool proxy_limit_stats(struct proxy *proxy, struct limit_stats *out);
/* What the peer should know of them, and what it knows (daemon/limit/share.h). From one thread, which
 * need not be the control thread, until proxy_stop. */
void proxy_tell_limits(
    struct proxy *proxy, uint64_t *cursor, uint64_t now_us, struct limit_words *out);
void proxy_hear_limits(struct proxy *proxy, const struct limit_words *words, uint64_t now_us,
    uint64_t results[LIMIT_HEARD_COUNT]);

/* What was refused, by what that was ("request", "connection") and the word for it, which is that of
 * the access log. Only words that occurred. */
typedef void proxy_refusal_fn(void *arg, const char *what, const char *reason, uint64_t count);
void proxy_each_refusal(struct proxy *proxy, proxy_refusal_fn *fn, void *arg);
/* The same for attempts at targets that failed, whether another one followed or not ("attempt"). */
void proxy_each_failure(struct proxy *proxy, proxy_refusal_fn *fn, void *arg);

void proxy_stats(struct proxy *proxy, struct proxy_stats *out);

/* Paused: new connections are not refused but unheard, so that TCP asks again (after a second, and
 * then perhaps another node). Those that are established or half-way go on. Changes nothing after
 * proxy_drain, from which on nobody new comes. */
void proxy_pause(struct proxy *proxy, bool paused);
/* Connections of which a request is to be expected at any moment: established and not accepted yet,
 * or accepted and without a request so far. */
uint64_t proxy_expectant(struct proxy *proxy);

/* Stop accepting, let requests in flight end (keep-alive responses carry Connection: close, idle
 * connections are closed). */
void proxy_drain(struct proxy *proxy);
bool proxy_drained(struct proxy *proxy); /* no client connection is left */
/* Joins the threads, closes everything. */
void proxy_stop(struct proxy *proxy);
