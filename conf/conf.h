/* The configuration as an immutable tree of plain structs. Loaded from one JSON text, checked
 * completely, then shared read-only between threads and replaced whole at a reload. All strings and
 * arrays belong to the `struct conf` and die with it. Addresses were parsed, names resolved to
 * indexes, defaults filled in: nobody downstream checks again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/balance/breaker.h"
#include "daemon/balance/outlier.h"
#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "daemon/base/keys.h"
#include "daemon/base/log.h"
#include "daemon/limit/spec.h"
#include "daemon/route/spec.h"

#define CONF_NAME_MAX      63 /* bytes of a name (node, virtual router, listener, pool) */
#define CONF_NODES_MAX     2
#define CONF_ROUTERS_MAX   32
#define CONF_ADDRESSES_MAX 16 /* VIPs per virtual router */
#define CONF_LISTENERS_MAX 256
#define CONF_BINDS_MAX     16
#define CONF_UPGRADES_MAX  8  /* protocols, per listener */
#define CONF_NETWORKS_MAX  64 /* of proxy_protocol_from */
#define CONF_POOLS_MAX     1024
#define CONF_TARGETS_MAX   1024 /* per pool */
#define CONF_WORKERS_MAX   64
#define CONF_PLACES_MAX    10000000                   /* of a target's max_connections */
#define CONF_DRAIN_MAX_US  (365 * 86400ULL * 1000000) /* of a drain_timeout */
#define CONF_TRACKED_MAX   8                          /* of each kind, per virtual router */
#define CONF_ARGUMENTS_MAX 16                         /* of a script, its path among them */
#define CONF_NONE          UINT32_MAX                 /* an index that points nowhere */

/* For one virtual router. 255: the owner, which is Active as soon as it can be. */
struct conf_priority {
	const char *router;
	uint8_t value; /* 1..255 */
};

struct conf_node {
	const char *name;
	struct addr address; /* no port: sync channel and unicast VRRP */
	uint8_t priority;    /* 1..254, where `priorities` does not say another one */
	struct conf_priority *priorities;
	uint32_t n_priorities;
};

enum conf_failback { CONF_FAILBACK_NEVER, CONF_FAILBACK_MANUAL, CONF_FAILBACK_WHEN_WARM };
enum conf_vrrp_mode { CONF_VRRP_MULTICAST, CONF_VRRP_UNICAST };
/* In the order of vrrp/core/auth.h. */
enum conf_authenticate {
	CONF_AUTHENTICATE_FALSE,
	CONF_AUTHENTICATE_PERMISSIVE,
	CONF_AUTHENTICATE_TRUE
};
enum conf_checksum { CONF_CHECKSUM_AUTO, CONF_CHECKSUM_RFC9568, CONF_CHECKSUM_RFC5798 };

struct conf_vip {
	struct addr addr;
	uint8_t prefix; /* as written; the kernel gets /32 or /128 */
};

/* What a virtual router watches besides its peer. weight: how much a failure takes from the
 * priority; 0: a failure is a fault. */
struct conf_track_interface {
	const char *name;
	uint8_t weight;
};

struct conf_track_pool {
	uint32_t pool;    /* index into conf.pools */
	uint8_t at_least; /* per cent of its targets that must be up */
	uint8_t weight;
};

struct conf_track_address {
	struct addr address;
	uint64_t interval_us, timeout_us;
	uint16_t rise, fall;
	uint8_t weight;
};

struct conf_track_script {
	const char **command;
	uint32_t n_command;
	uint64_t interval_us, timeout_us;
	uint16_t rise, fall;
	uint8_t weight;
};

struct conf_track {
	struct conf_track_interface *interfaces;
	struct conf_track_pool *pools;
	struct conf_track_address *addresses;
	struct conf_track_script *scripts;
	uint32_t n_interfaces, n_pools, n_addresses, n_scripts;
	struct addr witness; /* or none */
};

struct conf_announce {
	uint64_t interval_us; /* between two addresses */
	uint64_t refresh_us;  /* 0: never again after the burst */
};

struct conf_router {
	const char *name;
	uint8_t vrid; /* 1..255 */
	const char *interface;
	struct conf_vip *addresses; /* of one family */
	uint32_t n_addresses;
	uint32_t advertise_us; /* 10 ms .. 40.95 s, a multiple of 10 ms */
	enum conf_failback failback;
	enum conf_vrrp_mode mode;
	enum conf_checksum checksum;
	uint8_t version; /* 2 or 3 */
	uint8_t min_ttl; /* of adverts that are accepted */
	bool virtual_mac;
	enum conf_authenticate authenticate;
	bool authenticate_given;   /* written in the file; else it depends on the version */
	const char *group;         /* or NULL */
	uint64_t startup_delay_us; /* at most so long without promotion on a silent link */
	struct conf_track track;
	struct conf_announce announce;
};

/* What happens to a field that says where a request came from. */
enum conf_forward {
	CONF_FORWARD_PRESERVE,
	CONF_FORWARD_REMOVE,
	CONF_FORWARD_REPLACE,
	CONF_FORWARD_APPEND
};

struct conf_forwarded {
	enum conf_forward for_, proto, host, port; /* X-Forwarded-*; only for_ is appended to */
	enum conf_forward rfc7239;                 /* Forwarded */
};

struct conf_via {
	const char *name;
	bool requests, responses;
};

/* Probes on a connection on which nothing moves; idle 0: none. Whole seconds. */
struct conf_keepalive {
	uint64_t idle_us, interval_us;
	uint16_t count;
};

/* In the order of daemon/accesslog/line.h. */
enum conf_log_format { CONF_LOG_JSON, CONF_LOG_COMBINED };

struct conf_access_log {
	const char *file; /* absolute, or "stdout", "stderr"; NULL: no access log */
	enum conf_log_format format;
	uint32_t sample; /* one in so many of the requests that went well */
	uint64_t buffer; /* bytes a worker */
	bool query;      /* of the request's target */
};

/* Connections, or UDP sessions, that a source has at a time; 0: no limit. */
struct conf_per_source {
	uint32_t max;
	uint8_t prefix4, prefix6; /* bits of its address that count */
};

/* How fast bytes must come, on average since `grace_us` after the beginning; 0: as they like. */
struct conf_pace {
	uint64_t bytes; /* a second */
	uint64_t grace_us;
};

/* Who is told, and how, why a request went where it went. */
struct conf_explain {
	const char *name;      /* of the field; NULL: nobody */
	struct conf_vip *from; /* clients from there; none: all */
	uint32_t n_from;
};

enum conf_listener_mode { CONF_MODE_HTTP, CONF_MODE_TCP, CONF_MODE_UDP };

struct conf_listener {
	const char *name;
	struct addr *binds;
	uint32_t n_binds;
	enum conf_listener_mode mode;
	uint32_t pool;             /* index into conf.pools; CONF_NONE: only what `routes` say */
	struct route_spec *routes; /* http; the first that takes a request, else `pool` */
	uint32_t n_routes;
	uint64_t header_timeout_us; /* from the first byte of a request head to its last */
	uint64_t idle_timeout_us;   /* http: no byte moved, also between requests; tcp, udp: nothing
				     either way */
	uint32_t max_header_size;   /* bytes of a request or response head */
	uint64_t max_connections;   /* 0: no limit but the process' file descriptors */
	struct conf_per_source max_connections_per_source;
	struct limit_spec *rate_limits; /* of requests; tcp: of connections */
	uint32_t n_rate_limits;
	uint64_t max_body_size;  /* http: bytes of a request's body; 0: no limit */
	uint32_t buffer_request; /* http: bytes of a body that is read before a target is chosen */
	struct conf_pace min_body_rate; /* http: of requests */
	const char **upgrade;           /* http: protocols that a target may switch to */
	uint32_t n_upgrade;
	bool upgrade_given;         /* written in the file */
	uint64_t tunnel_timeout_us; /* http, after such a switch: no byte either way */
	struct conf_forwarded forwarded;
	struct conf_via via;
	uint32_t backlog;
	bool defer_accept, fast_open;
	struct conf_keepalive tcp_keepalive;
	uint64_t tcp_user_timeout_us; /* 0: the kernel's retransmissions */
	bool access_log;              /* there is one, and this listener is in it */
	struct conf_explain explain;
	uint32_t requests;   /* udp: datagrams of a client in a session; 0: no limit */
	uint32_t responses;  /* udp: answers to each of them; 0: no limit */
	bool proxy_protocol; /* connections begin with a PROXY header */
	/* Only those from these networks do; none: all. */
	struct conf_vip *proxy_protocol_from;
	uint32_t n_proxy_protocol_from;
};

enum conf_balance {
	CONF_BALANCE_ROUND_ROBIN,
	CONF_BALANCE_LEAST_CONNECTIONS,
	CONF_BALANCE_SOURCE_HASH,
	CONF_BALANCE_RANDOM_TWO,
	CONF_BALANCE_MAGLEV,
	CONF_BALANCE_LEAST_TIME
};

/* What a request is known by, for balance maglev. */
enum conf_hash_key { CONF_HASH_SOURCE, CONF_HASH_PATH, CONF_HASH_HEADER, CONF_HASH_COOKIE };

struct conf_hash_on {
	enum conf_hash_key key;
	const char *header, *cookie; /* the name, or NULL */
};

struct conf_target {
	const char *text; /* the canonical "ADDRESS:PORT": its name in logs, API and metrics */
	struct addr addr;
	uint16_t weight;          /* 1..256 */
	bool backup;              /* used only when no target without `backup` is usable */
	uint32_t max_connections; /* http: requests at a time; 0: no limit */
};

enum conf_target_state { CONF_STATE_READY, CONF_STATE_DRAIN, CONF_STATE_DISABLED };

/* What the admin API may change of a target at run time. */
struct conf_target_change {
	uint16_t weight;
	uint32_t max_connections;
	enum conf_target_state state;
	uint64_t drain_timeout_us;
	bool weight_given, max_connections_given, state_given, drain_timeout_given;
};

enum conf_health_kind { CONF_HEALTH_NONE, CONF_HEALTH_TCP, CONF_HEALTH_HTTP, CONF_HEALTH_UDP };

/* What a target is until it was checked. */
enum conf_health_initial { CONF_INITIAL_UNKNOWN, CONF_INITIAL_UP, CONF_INITIAL_DOWN };

struct conf_health {
	enum conf_health_kind kind;
	const char *path;                /* http */
	const char *method;              /* http: GET or HEAD */
	const char *host;                /* http: the Host header; NULL: the target's address */
	uint16_t expect_min, expect_max; /* http: status range */
	const char *body;            /* http: what the body has: daemon/health/answer.h; or NULL */
	struct route_field *headers; /* http: further fields of the request */
	uint32_t n_headers;
	const char *send, *answer; /* udp, as written; answer NULL: any */
	uint64_t interval_us, timeout_us;
	uint64_t fast_interval_us; /* between a result against the present state and the verdict */
	uint64_t down_interval_us; /* of a target that is down; both 0: interval_us */
	uint16_t rise, fall;
	enum conf_health_initial initial;
};

enum conf_sticky_kind {
	CONF_STICKY_NONE,
	CONF_STICKY_COOKIE,
	CONF_STICKY_SOURCE,
	CONF_STICKY_APP_COOKIE,
	CONF_STICKY_HEADER
};

struct conf_sticky {
	enum conf_sticky_kind kind;
	const char *cookie_name;   /* cookie: ours; app_cookie: the application's */
	const char *header_name;   /* header: of requests */
	const char *response_name; /* header: of the field in responses that begins sessions; NULL:
				      requests begin them */
	uint8_t prefix4, prefix6;  /* source: bits of the address that count; default 32 and 64 */
	uint64_t ttl_us;
	uint64_t max_entries; /* of the pool, in the session table; 0: no limit of its own */
	bool fail_when_down;  /* when_down "fail": 503 instead of another target */
};

/* The key that chooses it; NULL for none. */
const char *conf_sticky_name(enum conf_sticky_kind kind);

/* Its clients are in the session table. */
static inline bool conf_sticky_has_entries(const struct conf_sticky *sticky)
{
	return sticky->kind != CONF_STICKY_NONE && sticky->kind != CONF_STICKY_COOKIE;
}

/* Looks at heads of HTTP, and its clients are known by a secret that the nodes share. */
static inline bool conf_sticky_reads_heads(const struct conf_sticky *sticky)
{
	return sticky->kind != CONF_STICKY_NONE && sticky->kind != CONF_STICKY_SOURCE;
}

/* For who finds all targets at their max_connections. */
struct conf_queue {
	uint32_t max; /* requests that wait, over all workers; 0: none does */
	uint64_t timeout_us;
};

enum conf_proxy_version { CONF_PROXY_NONE, CONF_PROXY_V1, CONF_PROXY_V2 };

/* The PROXY header that a connection to a target begins with. */
struct conf_send_proxy {
	enum conf_proxy_version version;
	bool pass_tlvs; /* v2: those that the client's header had */
	bool crc32c;    /* v2: with a checksum */
};

/* After what a request goes to another target. */
enum conf_retry {
	CONF_RETRY_CONNECT_FAILURE,
	CONF_RETRY_RESET,
	CONF_RETRY_TIMEOUT,
	CONF_RETRY_502, /* statuses: in the order of their numbers */
	CONF_RETRY_503,
	CONF_RETRY_504,
	CONF_RETRY_NON_IDEMPOTENT /* also requests that are not idempotent */
};

struct conf_retry_budget {
	uint32_t percent; /* of the requests */
	uint32_t per_sec; /* in any case */
};

struct conf_pool {
	const char *name;
	enum conf_balance balance;
	struct conf_hash_on hash_on;
	uint16_t hash_balance_factor; /* percent; 0: no limit */
	uint8_t panic_threshold;      /* percent; 0: none */
	uint64_t slow_start_us;       /* 0: none */
	struct conf_target *targets;
	uint32_t n_targets;
	struct conf_health health;
	struct conf_sticky sticky;
	struct conf_queue queue;
	uint64_t connect_timeout_us;
	uint64_t
	    response_timeout_us; /* from the end of the request to the first byte of the response */
	uint16_t retries;        /* on other targets, before a byte of the response, where safe */
	enum conf_retry *retry_on;
	uint32_t n_retry_on;
	bool retry_on_given;
	unsigned retry_causes; /* what it means: 1 << enum conf_retry */
	struct conf_retry_budget retry_budget;
	uint16_t failure_min, failure_max; /* statuses of a target that count as its failure */
	struct outlier_settings outlier;
	struct breaker_settings breaker;
	bool outlier_given, breaker_given;
	bool judged;    /* by results: one of the two */
	bool fail_open; /* all down: use all, instead of 503 */
	struct conf_keepalive tcp_keepalive;
	uint64_t tcp_user_timeout_us;
	const char *source;      /* as written, or NULL */
	bool source_client;      /* targets see the client's address */
	struct addr source_addr; /* ours towards targets, or none */
	struct conf_send_proxy send_proxy;
	uint64_t drain_timeout_us;
	bool tracked; /* by a virtual router */
};

enum conf_sync_sessions { CONF_SYNC_ASYNC, CONF_SYNC_ACKED };

struct conf_sync {
	uint16_t port;
	const char *key_file;    /* NULL: no pair, or one that has certificates only */
	const char *certificate; /* these three, or NULL */
	const char *private_key, *ca;
	enum conf_sync_sessions sessions;
	uint64_t ack_timeout_us;              /* acked */
	uint64_t max_lag_us, max_lag_entries; /* async */
	uint64_t start_timeout_us;            /* 0: a start does not wait for the peer's sessions */
	uint64_t max_sessions; /* entries of the session table; older ones make room */
};

struct conf {
	const char *cluster;
	struct conf_node *nodes;
	uint32_t n_nodes;
	uint32_t self, peer; /* indexes into nodes or CONF_NONE; set by conf_select_node */
	struct conf_router *routers;
	uint32_t n_routers;
	struct conf_listener *listeners;
	uint32_t n_listeners;
	struct conf_pool *pools;
	uint32_t n_pools;
	uint32_t n_rate_limits;   /* of all listeners and routes */
	uint64_t rate_limit_keys; /* that are remembered at a time */
	struct conf_sync sync;
	struct conf_access_log access_log;
	bool admin_tcp;
	struct addr admin_listen;     /* when admin_tcp */
	const char *admin_token_file; /* or NULL */
	uint32_t workers;             /* 1..CONF_WORKERS_MAX; default: the number of CPUs */
	uint64_t max_connections;     /* of all listeners; 0: no limit but descriptors */
	bool workers_given;           /* written in the file */
	const char *user; /* whom yoke-proxy becomes when yoked is root; default "yoke" */
	bool user_given;  /* written in the file: then a missing user is an error */
	uint64_t shutdown_timeout_us;
	enum log_level log_level;
	uint64_t hash; /* of the meaning: the same for files that differ in white space and comments
			  only */
};

/* Where conf_load reports: each error is one line `FILE:LINE:COLUMN: PATH: message`, without
 * newline. */
typedef void conf_report_fn(void *arg, const char *line);

/* Parses and checks `text` (`file` is its name in messages). On success stores a tree that the
 * caller frees by conf_free and returns 0. On failure reports every error found and returns -EINVAL
 * (-ENOMEM when out of memory); *out stays untouched. */
int conf_load(const char *file, const char *text, size_t len, conf_report_fn *report, void *arg,
    struct conf **out);
/* Reads the file (at most 4 MiB) and loads it. -errno when it cannot be read, reported as well. */
int conf_load_file(const char *file, conf_report_fn *report, void *arg, struct conf **out);
void conf_free(struct conf *conf);

/* A target at run time, as JSON like one of a pool's targets in the file; no shorthand. out->text is
 * left NULL. -EINVAL with all that is wrong, each as `body:LINE:COLUMN: PATH: message`, or -ENOMEM. */
int conf_target_parse(const char *text, size_t len, struct conf_target *out, struct err *err);
/* What is to be changed of one: an object with weight, state, drain_timeout. */
int conf_target_change_parse(
    const char *text, size_t len, struct conf_target_change *out, struct err *err);
/* A duration as in the file: "90s". Not above CONF_DRAIN_MAX_US. */
bool conf_drain_timeout_parse(const char *text, uint64_t *out);

/* Says which node we are. `name` NULL: the one whose address is configured on this host, as
 * `is_local(addr)` tells; neither or both of them is an error. Without nodes: succeeds, self and
 * peer stay CONF_NONE. -ENOENT with a text otherwise. */
int conf_select_node(
    struct conf *conf, const char *name, bool (*is_local)(const struct addr *), struct err *err);

uint8_t conf_node_priority(const struct conf_node *node, const char *router);

/* A pool wants to connect from addresses that are not ours. */
bool conf_is_transparent(const struct conf *conf);

/* What can only change with a restart (workers, user, the node's own address, ...). 0, or -EINVAL
 * with a text that names the key. */
int conf_reload_allowed(const struct conf *from, const struct conf *to, struct err *err);

/* Reads a file that must be ours or root's, and that nobody else may read or write (`secret`), or
 * write. At most `size` - 1 bytes. -errno with a text without the path. */
int conf_guarded_read(
    const char *path, bool secret, char *buf, size_t size, size_t *len, struct err *err);
/* Reads sync.key_file: one or two keys of 32 bytes in base64, one a line, besides empty lines and
 * those that begin with #; mode 0600 or stricter, owned by us or root. -errno with a text that says
 * what to do, and *out untouched. */
int conf_keys_load(const char *path, struct keys *out, struct err *err);

/* Prints the JSON Schema (draft 2020-12) made from the schema table. */
void conf_schema_print(FILE *out);
