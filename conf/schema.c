#include "conf/schema.h"

#include <string.h>

#include "conf/conf.h"
#include "conf/format.h"
#include "conf/schema_rows.h"

static const char *const log_format_words[] = {
    [CONF_LOG_JSON] = "json", [CONF_LOG_COMBINED] = "combined", NULL};
static const char *const sessions_words[] = {
    [CONF_SYNC_ASYNC] = "async", [CONF_SYNC_ACKED] = "acked", NULL};
static const char *const log_level_words[] = {[LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_NOTICE] = "notice",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
    NULL};

static const struct conf_key priority_keys[] = {
    {"value", CONF_INT, FIELD(struct conf_priority, value), .min = 1, .max = 255, .def = "100",
	.help = "Priority for this virtual router; 255: Active as soon as it can be"},
};
static const struct conf_object priority_object = {
    "Priorities", KEYS(priority_keys), .size = sizeof(struct conf_priority), .shorthand = "value"};
static const struct conf_key priority_by_router = {"", CONF_MAP,
    ENTRIES(struct conf_node, priorities, n_priorities), .object = &priority_object,
    .max = CONF_ROUTERS_MAX, .help = "Priorities by virtual router"};
static const struct conf_key node_keys[] = {
    {"address", CONF_IP, FIELD(struct conf_node, address), .required = true, .restart = true,
	.help = "Where the node is reached by its peer: sync channel and unicast VRRP"},
    {"priority", CONF_INT, FIELD(struct conf_node, priority), .min = 1, .max = 254, .def = "100",
	.by_name = &priority_by_router,
	.help = "The node with the higher priority becomes Active when both start together; as "
		"an object, for each virtual router"},
};
static const struct conf_object node_object = {
    "Nodes", KEYS(node_keys), .size = sizeof(struct conf_node)};

static const struct conf_key sync_keys[] = {
    {"port", CONF_INT, FIELD(struct conf_sync, port), .min = 1, .max = 65535, .def = "5405",
	.restart = true, .help = "TCP port of the sync channel on the nodes' addresses"},
    {"key_file", CONF_STRING, FIELD(struct conf_sync, key_file), .format = &conf_format_file,
	.def_note = "none; with nodes and without certificate: required",
	.help =
	    "The secret of the pair: 32 bytes in base64, mode 0600, the same on both nodes; with "
	    "a second line while the key is changed"},
    {"certificate", CONF_STRING, FIELD(struct conf_sync, certificate), .format = &conf_format_file,
	.def_note = "none: the nodes know each other by key_file",
	.help = "The node's certificate in PEM, with those that lead to an authority of ca; the "
		"node's name in nodes is a DNS name of it"},
    {"private_key", CONF_STRING, FIELD(struct conf_sync, private_key), .format = &conf_format_file,
	.def_note = "none", .help = "The certificate's private key in PEM; mode 0600"},
    {"ca", CONF_STRING, FIELD(struct conf_sync, ca), .format = &conf_format_file,
	.def_note = "none", .help = "The authorities in PEM that may sign the peer's certificate"},
    {"sessions", CONF_ENUM, FIELD(struct conf_sync, sessions), .words = sessions_words,
	.def = "async",
	.help = "acked: the response that makes a sticky session leaves only when the peer has it. "
		"async: it leaves at once, and what the peer has not acknowledged is lost if this "
		"node dies. Whether the pair keeps that promise is shown as protected or "
		"unprotected; traffic goes on in any case"},
    {"ack_timeout", CONF_DURATION, FIELD(struct conf_sync, ack_timeout_us), .min = MS,
	.max = 10 * S, .def = "50ms",
	.help = "acked: a response waits no longer than this for the peer; then the pair is "
		"unprotected and none waits, until the peer has been quick for a second"},
    {"max_lag", CONF_DURATION, FIELD(struct conf_sync, max_lag_us), .min = MS, .max = 60 * S,
	.def = "1s",
	.help = "async: the pair is unprotected while a record is older than this and not "
		"acknowledged by the peer"},
    {"max_lag_entries", CONF_INT, FIELD(struct conf_sync, max_lag_entries), .min = 1, .max = 65536,
	.def = "50000",
	.help = "async: the pair is unprotected while more records than this are not acknowledged "
		"by the peer"},
    {"start_timeout", CONF_DURATION, FIELD(struct conf_sync, start_timeout_us), .max = 60 * S,
	.def = "5s",
	.help =
	    "A node that starts waits so long at most for the sessions of a peer that is Active "
	    "before it may take the virtual addresses; 0s: not at all. It does not wait for one "
	    "that refuses, does not answer, or is not Active either"},
    {"max_sessions", CONF_INT, FIELD(struct conf_sync, max_sessions), .min = 1, .max = 50000000,
	.def = "1000000", .help = "Size of the session table; older entries make room"},
};
static const struct conf_object sync_object = {"Replication", KEYS(sync_keys)};

static const struct conf_key access_log_keys[] = {
    {"file", CONF_STRING, FIELD(struct conf_access_log, file), .required = true,
	.format = &conf_format_log_file,
	.help = "Where the lines go: a file (made if it is not there, and opened anew by each "
		"reload, and by SIGUSR1 to yoked), a FIFO, or stdout or stderr of yoked"},
    {"format", CONF_ENUM, FIELD(struct conf_access_log, format), .words = log_format_words,
	.def = "json",
	.help = "json: an object a line, see ACCESS LOG; combined: as Apache and nginx write it, "
		"which has no line for modes tcp and udp"},
    {"sample", CONF_INT, FIELD(struct conf_access_log, sample), .min = 1, .max = 1000000,
	.def = "1",
	.help = "One in so many requests, connections or UDP sessions that went well has a line; "
		"all others "
		"always have one: status 400 and above, or with a reason"},
    {"query", CONF_BOOL, FIELD(struct conf_access_log, query), .def = "true",
	.help = "Whether the query of the request's target is written; it may hold secrets"},
    {"buffer", CONF_SIZE, FIELD(struct conf_access_log, buffer), .min = 65536, .max = 1ULL << 28,
	.def = "1MiB",
	.help = "Lines that each worker keeps while the disk is slow or full; when it is full, "
		"further ones are dropped and counted: traffic does not wait"},
};
static const struct conf_object access_log_object = {
    "Access log", KEYS(access_log_keys), .size = sizeof(struct conf_access_log)};

static const struct conf_key admin_keys[] = {
    {"listen", CONF_ENDPOINT, FIELD(struct conf, admin_listen), .notes_given = true,
	.given_offset = offsetof(struct conf, admin_tcp), .def_note = "none",
	.help = "Where the admin API listens, besides its unix socket; loopback, or with a token"},
    {"token_file", CONF_STRING, FIELD(struct conf, admin_token_file), .format = &conf_format_file,
	.def_note = "none", .help = "A file with the token that TCP clients must show"},
};
static const struct conf_object admin_object = {"Admin API", KEYS(admin_keys)};

static const struct conf_key root_keys[] = {
    {"cluster", CONF_STRING, FIELD(struct conf, cluster), .format = &conf_format_name,
	.def = "yoke", .help = "Name of the pair, shown everywhere"},
    {"nodes", CONF_MAP, ENTRIES(struct conf, nodes, n_nodes), .object = &node_object,
	.min = CONF_NODES_MAX, .max = CONF_NODES_MAX, .def_note = "none: a single balancer",
	.help = "The two nodes of the pair, by name"},
    {"virtual_routers", CONF_MAP, ENTRIES(struct conf, routers, n_routers),
	.object = &conf_schema_router, .max = CONF_ROUTERS_MAX, .def_note = "none",
	.help = "The virtual addresses and how the nodes agree on who has them, by name"},
    {"listeners", CONF_MAP, ENTRIES(struct conf, listeners, n_listeners),
	.object = &conf_schema_listener, .max = CONF_LISTENERS_MAX, .def_note = "none",
	.help = "Where clients connect, by name"},
    {"pools", CONF_MAP, ENTRIES(struct conf, pools, n_pools), .object = &conf_schema_pool,
	.max = CONF_POOLS_MAX, .def_note = "none",
	.help = "Groups of servers that do the same, by name"},
    {"rate_limit_keys", CONF_INT, FIELD(struct conf, rate_limit_keys), .min = 1000, .max = 50000000,
	.def = "100000",
	.help = "For how many keys at a time all rate limits together have room, 32 bytes each, "
		"taken when there is a limit. With more, those are forgotten first that are "
		"furthest from their limit. The peer knows within a second who has used more than "
		"half of his burst (later where they are many, or the keys more than a million), "
		"and goes on from there after a takeover; without sync.key_file it knows nobody. "
		"A change forgets all, and so does a change of the first key in sync.key_file"},
    {"sync", CONF_OBJECT, FIELD(struct conf, sync), .object = &sync_object,
	.help = "Replication to the peer, and the session table"},
    {"access_log", CONF_OBJECT, FIELD(struct conf, access_log), .object = &access_log_object,
	.def_note = "none", .help = "A line for each request, connection or UDP session"},
    {"admin", CONF_OBJECT, 0, 0, .object = &admin_object, .help = "The admin API"},
    {"max_connections", CONF_INT, FIELD(struct conf, max_connections), .min = 0, .max = 10000000,
	.def = "0",
	.help = "Connections of clients at a time, and UDP sessions, of all listeners; one more is "
		"reset, and those that are there go on; 0: as many as the process may have "
		"descriptors"},
    {"workers", CONF_INT, FIELD(struct conf, workers), .min = 1, .max = CONF_WORKERS_MAX,
	.notes_given = true, .given_offset = offsetof(struct conf, workers_given),
	.def_note = "the number of CPUs", .restart = true, .help = "Threads that serve traffic"},
    {"user", CONF_STRING, FIELD(struct conf, user), .format = &conf_format_user, .def = "yoke",
	.notes_given = true, .given_offset = offsetof(struct conf, user_given), .restart = true,
	.help = "The user that serves traffic when yoked was started by root"},
    {"shutdown_timeout", CONF_DURATION, FIELD(struct conf, shutdown_timeout_us), .min = 0, .max = H,
	.def = "10s", .help = "How long a stop waits for what is in flight"},
    {"log_level", CONF_ENUM, FIELD(struct conf, log_level), .words = log_level_words,
	.def = "notice", .help = "What is logged: this and what is more severe"},
};
const struct conf_object conf_schema_root = {
    "Top level", KEYS(root_keys), .size = sizeof(struct conf)};

const struct conf_key *conf_schema_find(const struct conf_object *object, const char *name)
{
	for (uint32_t i = 0; i < object->n_keys; i++) {
		if (strcmp(object->keys[i].name, name) == 0)
			return &object->keys[i];
	}
	return NULL;
}

bool conf_schema_word_in(const char *list, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = list; at && *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");
		if (n == len && memcmp(at, word, n) == 0)
			return true;
		at += n;
	}
	return false;
}

#define NEAREST_LEN_MAX 31

/* Edits (insert, delete, replace, swap of neighbours) that make `a` from `b`; large when one of
 * them is long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[NEAREST_LEN_MAX + 1][NEAREST_LEN_MAX + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > NEAREST_LEN_MAX || m > NEAREST_LEN_MAX)
		return UINT32_MAX;
	for (unsigned i = 0; i <= n; i++) {
		for (unsigned j = 0; j <= m; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

void conf_schema_consider(
    const char *candidate, const char *text, const char **best, unsigned *edits)
{
	unsigned found = distance(candidate, text);
	unsigned allowed = (unsigned)(strlen(candidate) + 1) / 3;
	if (found <= allowed && found < *edits) {
		*best = candidate;
		*edits = found;
	}
}

const char *conf_schema_nearest_key(const struct conf_object *object, const char *text)
{
	const char *best = NULL;
	unsigned edits = UINT32_MAX;
	for (uint32_t i = 0; i < object->n_keys; i++)
		conf_schema_consider(object->keys[i].name, text, &best, &edits);
	return best;
}

const char *conf_schema_nearest_word(const char *const *words, const char *text)
{
	const char *best = NULL;
	unsigned edits = UINT32_MAX;
	for (; *words; words++)
		conf_schema_consider(*words, text, &best, &edits);
	return best;
}
