/* The rows of pools: targets, health checks, sticky sessions, what happens after failures. */
#include "conf/conf.h"
#include "conf/format.h"
#include "conf/schema_rows.h"

static const char *const balance_words[] = {[CONF_BALANCE_ROUND_ROBIN] = "round_robin",
    [CONF_BALANCE_LEAST_CONNECTIONS] = "least_connections",
    [CONF_BALANCE_SOURCE_HASH] = "source_hash",
    [CONF_BALANCE_RANDOM_TWO] = "random_two",
    [CONF_BALANCE_MAGLEV] = "maglev",
    [CONF_BALANCE_LEAST_TIME] = "least_time",
    NULL};
static const char *const method_words[] = {"GET", "HEAD", NULL};
static const char *const initial_words[] = {[CONF_INITIAL_UNKNOWN] = "unknown",
    [CONF_INITIAL_UP] = "up",
    [CONF_INITIAL_DOWN] = "down",
    NULL};
static const char *const when_down_words[] = {"rebalance", "fail", NULL};

static const struct conf_key target_keys[] = {
    {"address", CONF_ENDPOINT, FIELD(struct conf_target, addr), .required = true,
	.help = "Address and port"},
    {"weight", CONF_INT, FIELD(struct conf_target, weight), .min = 1, .max = 256, .def = "1",
	.help = "Share of the traffic relative to the other targets"},
    {"backup", CONF_BOOL, FIELD(struct conf_target, backup), .def = "false",
	.help = "Used only when no other target of the pool is usable"},
    {"max_connections", CONF_INT, FIELD(struct conf_target, max_connections), .min = 0,
	.max = CONF_PLACES_MAX, .def = "0",
	.help =
	    "How much it gets at a time, over all workers: requests in mode http, connections in "
	    "mode tcp and of tunnels, sessions in mode udp, which has no queue and drops what is "
	    "too much; 0: no limit. A target at its limit is passed over, by all ways to balance; "
	    "when all are, requests wait in the pool's queue. Who is sticky waits for its own "
	    "target. Backups do not stand in"},
};
const struct conf_object conf_schema_target = {
    "Targets", KEYS(target_keys), .size = sizeof(struct conf_target), .shorthand = "address"};
static const struct conf_key target_element = {"", CONF_OBJECT, 0, sizeof(struct conf_target),
    .object = &conf_schema_target, .help = "Address, or an object with more"};

static const struct conf_key health_header_keys[] = {
    {"value", CONF_STRING, FIELD(struct route_field, value), .format = &conf_format_field_value,
	.help = "Text, as it is"},
};
static const struct conf_object health_header_object = {"Fields of health checks",
    KEYS(health_header_keys), .size = sizeof(struct route_field), .shorthand = "value"};
static const struct conf_key health_http_keys[] = {
    {"path", CONF_STRING, FIELD(struct conf_health, path), .format = &conf_format_url_path,
	.def = "/", .help = "What to ask for"},
    {"method", CONF_WORD, FIELD(struct conf_health, method), .words = method_words, .def = "GET",
	.help = "How to ask"},
    {"host", CONF_STRING, FIELD(struct conf_health, host), .format = &conf_format_host,
	.def_note = "the target's address", .help = "The Host header"},
    {"expect", CONF_STATUS, FIELD(struct conf_health, expect_min), .def = "200-399",
	.help = "The status, or range of statuses, of a healthy target"},
    {"body", CONF_STRING, FIELD(struct conf_health, body), .format = &conf_format_health_body,
	.def_note = "any, which is not read",
	.help = "What a healthy target's body has: this text somewhere in its first 64 KiB; or "
		"behind ~ a regular expression (PCRE2) that is found in its first 8 KiB, as "
		"~^\\{\"status\":\"(up|busy)\". The body is compared as it comes, without its "
		"chunks, also when it is compressed"},
    {"headers", CONF_MAP, ENTRIES(struct conf_health, headers, n_headers),
	.object = &health_header_object, .max = ROUTE_FIELDS_MAX, .format = &conf_format_field_name,
	.def_note = "none",
	.help = "Further fields of the request, as {\"Authorization\": \"Bearer ...\"}"},
};
static const struct conf_object health_http_object = {"HTTP health checks", KEYS(health_http_keys)};
static const struct conf_key health_udp_keys[] = {
    {"send", CONF_STRING, FIELD(struct conf_health, send), .required = true,
	.format = &conf_format_payload,
	.help = "The datagram that is sent; \\xHH in it, in JSON \\\\xHH, is a byte"},
    {"expect", CONF_STRING, FIELD(struct conf_health, answer), .format = &conf_format_payload,
	.def_note = "any answer", .help = "What the answer begins with, written in the same way"},
};
static const struct conf_object health_udp_object = {"UDP health checks", KEYS(health_udp_keys)};
static const struct conf_object health_tcp_object = {.title = "TCP health checks"};
static const struct conf_key health_keys[] = {
    {"http", CONF_OBJECT, 0, 0, .variant = CONF_HEALTH_HTTP, .object = &health_http_object,
	.help = "Check by an HTTP request"},
    {"tcp", CONF_OBJECT, 0, 0, .variant = CONF_HEALTH_TCP, .object = &health_tcp_object,
	.help = "Check by opening a connection; an empty object"},
    {"udp", CONF_OBJECT, 0, 0, .variant = CONF_HEALTH_UDP, .object = &health_udp_object,
	.help =
	    "Check by a datagram that must be answered; a port that is not there fails at once"},
    {"interval", CONF_DURATION, FIELD(struct conf_health, interval_us), .min = 10 * MS, .max = D,
	.def = "2s",
	.help = "Time between checks of a target, from start to start; each time up to 5 % more or "
		"less, so that the checks of many targets do not come together"},
    {"fast_interval", CONF_DURATION, FIELD(struct conf_health, fast_interval_us), .min = 10 * MS,
	.max = D, .def_note = "the interval",
	.help = "The same while the state of a target is in doubt: from the first result that "
		"speaks against it until rise or fall decides (fastinter of haproxy)"},
    {"down_interval", CONF_DURATION, FIELD(struct conf_health, down_interval_us), .min = 10 * MS,
	.max = D, .def_note = "the interval",
	.help = "The same while a target is down and not in doubt (downinter of haproxy)"},
    {"timeout", CONF_DURATION, FIELD(struct conf_health, timeout_us), .min = MS, .max = H,
	.def_note = "1s, or the interval if that is shorter",
	.help = "A check that takes longer has failed; not longer than the interval"},
    {"rise", CONF_INT, FIELD(struct conf_health, rise), .min = 1, .max = 100, .def = "2",
	.help = "Good checks in a row that bring a target up"},
    {"fall", CONF_INT, FIELD(struct conf_health, fall), .min = 1, .max = 100, .def = "3",
	.help = "Failed checks in a row that take a target down"},
    {"initial", CONF_ENUM, FIELD(struct conf_health, initial), .words = initial_words,
	.def = "unknown",
	.help =
	    "What a new target is until it was checked, which begins within a second. unknown: "
	    "it gets traffic, and the first check decides; up: it gets traffic until fall checks "
	    "have failed; down: it gets none until rise checks were good. A reload does not make "
	    "a target new"},
};
static const struct conf_object health_object = {"Health checks", KEYS(health_keys),
    .variants = true, .kind_offset = offsetof(struct conf_health, kind), .later = "grpc"};

static const struct conf_key sticky_cookie_keys[] = {
    {"name", CONF_STRING, FIELD(struct conf_sticky, cookie_name), .format = &conf_format_cookie,
	.def = "YOKE", .help = "Name of the cookie that yoke inserts"},
};
static const struct conf_object sticky_cookie_object = {
    "Sticky by cookie", KEYS(sticky_cookie_keys)};
static const struct conf_key sticky_app_cookie_keys[] = {
    {"name", CONF_STRING, FIELD(struct conf_sticky, cookie_name), .format = &conf_format_cookie,
	.required = true, .help = "Name of the application's cookie, such as JSESSIONID"},
};
static const struct conf_object sticky_app_cookie_object = {
    "Sticky by the application's cookie", KEYS(sticky_app_cookie_keys)};
static const struct conf_key sticky_header_keys[] = {
    {"name", CONF_STRING, FIELD(struct conf_sticky, header_name), .format = &conf_format_field_name,
	.required = true, .help = "Name of the field in requests"},
    {"response_name", CONF_STRING, FIELD(struct conf_sticky, response_name),
	.format = &conf_format_field_name,
	.def_note = "the first request with a value begins its session",
	.help = "Name of a field in responses: a session begins when a target names a value there, "
		"which requests then bring as \"name\", and not before"},
};
static const struct conf_object sticky_header_object = {
    "Sticky by a header", KEYS(sticky_header_keys)};
static const struct conf_key sticky_source_keys[] = {
    {"prefix4", CONF_INT, FIELD(struct conf_sticky, prefix4), .min = 1, .max = 32, .def = "32",
	.unit = "bits", .help = "How much of an IPv4 address counts"},
    {"prefix6", CONF_INT, FIELD(struct conf_sticky, prefix6), .min = 1, .max = 128, .def = "64",
	.unit = "bits", .help = "How much of an IPv6 address counts"},
};
static const struct conf_object sticky_source_object = {
    "Sticky by source address", KEYS(sticky_source_keys)};
static const struct conf_key sticky_keys[] = {
    {"cookie", CONF_OBJECT, 0, 0, .variant = CONF_STICKY_COOKIE, .object = &sticky_cookie_object,
	.help = "By a cookie, authenticated and encrypted, that yoke inserts; mode http only"},
    {"source", CONF_OBJECT, 0, 0, .variant = CONF_STICKY_SOURCE, .object = &sticky_source_object,
	.help = "By the client's address"},
    {"app_cookie", CONF_OBJECT, 0, 0, .variant = CONF_STICKY_APP_COOKIE,
	.object = &sticky_app_cookie_object,
	.help =
	    "By a cookie that the application sets: the target that sets a value keeps the "
	    "requests that bring it, until it deletes the cookie. A value that nobody knows stays "
	    "with the target that it came to; mode http only"},
    {"header", CONF_OBJECT, 0, 0, .variant = CONF_STICKY_HEADER, .object = &sticky_header_object,
	.help = "By the value of a field of the request; mode http only"},
    {"ttl", CONF_DURATION, FIELD(struct conf_sticky, ttl_us), .min = S, .max = 365 * D, .def = "1h",
	.help = "A client that was away for so long is balanced anew"},
    {"max_entries", CONF_INT, FIELD(struct conf_sticky, max_entries), .min = 1, .max = 50000000,
	.def_note = "no limit but sync.max_sessions",
	.help = "Sessions of this pool; a new one then makes one of the pool go that would expire "
		"first. Not for cookies of yoke, which need no table"},
    {"when_down", CONF_ENUM, FIELD(struct conf_sticky, fail_when_down), .words = when_down_words,
	.def = "rebalance",
	.help = "When the client's target is down: rebalance to another one, or fail with 503"},
};
static const struct conf_object sticky_object = {"Sticky sessions", KEYS(sticky_keys),
    .variants = true, .kind_offset = offsetof(struct conf_sticky, kind)};

const char *conf_sticky_name(enum conf_sticky_kind kind)
{
	for (uint32_t i = 0; i < sticky_object.n_keys; i++) {
		if (kind != CONF_STICKY_NONE && sticky_keys[i].variant == kind)
			return sticky_keys[i].name;
	}
	return NULL;
}

static const struct conf_key queue_keys[] = {
    {"max", CONF_INT, FIELD(struct conf_queue, max), .min = 0, .max = 1000000, .def = "1024",
	.help =
	    "Requests, or connections of mode tcp, that wait at a time, over all workers; one more "
	    "gets 503 at once, in mode tcp a reset; 0: nobody waits"},
    {"timeout", CONF_DURATION, FIELD(struct conf_queue, timeout_us), .min = MS, .max = H,
	.def = "5s", .help = "How long one waits at most; then the same happens"},
};
static const struct conf_object queue_object = {
    "Queues", KEYS(queue_keys), .size = sizeof(struct conf_queue), .shorthand = "max"};

static const char *const proxy_version_words[] = {
    [CONF_PROXY_NONE] = "none", [CONF_PROXY_V1] = "v1", [CONF_PROXY_V2] = "v2", NULL};
static const struct conf_key send_proxy_keys[] = {
    {"version", CONF_ENUM, FIELD(struct conf_send_proxy, version), .words = proxy_version_words,
	.def = "none", .help = "v1 is a line of text, v2 is binary"},
    {"pass_tlvs", CONF_BOOL, FIELD(struct conf_send_proxy, pass_tlvs), .def = "false",
	.help = "v2: what else the PROXY header of the client said (ALPN, SSL, an id, ...) is "
		"passed on"},
    {"crc32c", CONF_BOOL, FIELD(struct conf_send_proxy, crc32c), .def = "false",
	.help = "v2: with a checksum"},
};
static const struct conf_object send_proxy_object = {"PROXY headers to targets",
    KEYS(send_proxy_keys), .size = sizeof(struct conf_send_proxy), .shorthand = "version"};

/* The two that need a name are keys of their own, and hash_on.key follows from them. */
static const char *const hash_key_words[] = {
    [CONF_HASH_SOURCE] = "source", [CONF_HASH_PATH] = "path", NULL};
static const struct conf_key hash_on_keys[] = {
    {"key", CONF_ENUM, FIELD(struct conf_hash_on, key), .words = hash_key_words, .def = "source",
	.help = "The client's address, or the path of the request, without its query"},
    {"header", CONF_STRING, FIELD(struct conf_hash_on, header), .format = &conf_format_field_name,
	.def_note = "none", .help = "The value of this request header, the first of that name"},
    {"cookie", CONF_STRING, FIELD(struct conf_hash_on, cookie), .format = &conf_format_cookie,
	.def_note = "none", .help = "The value of this cookie"},
};
static const struct conf_object hash_on_object = {
    "Keys of a hash", KEYS(hash_on_keys), .size = sizeof(struct conf_hash_on), .shorthand = "key"};

static const char *const retry_on_words[] = {[CONF_RETRY_CONNECT_FAILURE] = "connect_failure",
    [CONF_RETRY_RESET] = "reset",
    [CONF_RETRY_TIMEOUT] = "timeout",
    [CONF_RETRY_502] = "502",
    [CONF_RETRY_503] = "503",
    [CONF_RETRY_504] = "504",
    [CONF_RETRY_NON_IDEMPOTENT] = "non_idempotent",
    NULL};
static const struct conf_key retry_on_element = {"", CONF_ENUM, 0, sizeof(enum conf_retry),
    .words = retry_on_words, .help = "A failure after which another target is tried"};
static const struct conf_key retry_budget_keys[] = {
    {"percent", CONF_PERCENT, FIELD(struct conf_retry_budget, percent), .min = 0, .max = 1000,
	.def = "20%", .help = "Share of the pool's requests of the last 10 seconds"},
    {"per_second", CONF_INT, FIELD(struct conf_retry_budget, per_sec), .min = 0, .max = 1000000,
	.def = "10", .help = "Besides, so many in any case, for pools with few requests"},
};
static const struct conf_object retry_budget_object = {"Retry budgets", KEYS(retry_budget_keys),
    .size = sizeof(struct conf_retry_budget), .shorthand = "percent"};

static const struct conf_key outlier_rate_keys[] = {
    {"percent", CONF_PERCENT, FIELD(struct outlier_error_rate, percent), .max = 100, .def = "0%",
	.help = "Failures among a target's results in an interval, from which on it is ejected; "
		"0%: not judged"},
    {"min_requests", CONF_INT, FIELD(struct outlier_error_rate, min_requests), .min = 1,
	.max = 1000000, .def = "50", .help = "With fewer results in it nothing is said"},
};
static const struct conf_object outlier_rate_object = {"Error rates", KEYS(outlier_rate_keys),
    .size = sizeof(struct outlier_error_rate), .shorthand = "percent"};
static const struct conf_key outlier_latency_keys[] = {
    {"factor", CONF_INT, FIELD(struct outlier_latency, factor), .max = 1000, .def = "0",
	.help = "A target is ejected whose mean time to respond in an interval is more than so "
		"many times the median of the pool's targets; 0: not judged"},
    {"min_requests", CONF_INT, FIELD(struct outlier_latency, min_requests), .min = 1,
	.max = 1000000, .def = "50", .help = "With fewer responses in it nothing is said"},
    {"min_difference", CONF_DURATION, FIELD(struct outlier_latency, min_difference_us), .max = H,
	.def = "10ms", .help = "Nor of one that is not slower than the median by so much"},
};
static const struct conf_object outlier_latency_object = {"Latency", KEYS(outlier_latency_keys),
    .size = sizeof(struct outlier_latency), .shorthand = "factor"};
static const struct conf_key outlier_keys[] = {
    {"consecutive_failures", CONF_INT, FIELD(struct outlier_settings, consecutive_failures),
	.max = 1000000, .def = "5",
	.help = "Failures in a row, of all clients, that eject a target at once; 0: not judged"},
    {"error_rate", CONF_OBJECT, FIELD(struct outlier_settings, error_rate),
	.object = &outlier_rate_object, .help = "Ejects by the share of failures"},
    {"latency", CONF_OBJECT, FIELD(struct outlier_settings, latency),
	.object = &outlier_latency_object,
	.help = "mode http: ejects by the time from the end of the request to the head of the "
		"response"},
    {"interval", CONF_DURATION, FIELD(struct outlier_settings, interval_us), .min = 100 * MS,
	.max = H, .def = "10s", .help = "How often error_rate and latency are judged"},
    {"ejection_time", CONF_DURATION, FIELD(struct outlier_settings, ejection_us), .min = 100 * MS,
	.max = D, .def = "30s",
	.help = "How long a target gets nothing, times the number of ejections in a row. Then one "
		"failure ejects it again, until it has been good for an interval and for "
		"consecutive_failures requests"},
    {"max_ejection_time", CONF_DURATION, FIELD(struct outlier_settings, max_ejection_us),
	.min = 100 * MS, .max = D, .def = "5m", .help = "It is not longer than this"},
    {"max_ejected", CONF_PERCENT, FIELD(struct outlier_settings, max_ejected), .max = 100,
	.def = "50%",
	.help = "Share of the targets, of those that are not down, drained or disabled, that may "
		"be ejected at a time; never the last one"},
};
static const struct conf_object outlier_object = {"Outlier ejection", KEYS(outlier_keys)};
static const struct conf_key breaker_keys[] = {
    {"error_rate", CONF_PERCENT, FIELD(struct breaker_settings, error_rate), .min = 1, .max = 100,
	.def = "50%", .help = "Share of failed attempts within the interval that opens it"},
    {"min_requests", CONF_INT, FIELD(struct breaker_settings, min_requests), .min = 1,
	.max = 1000000, .def = "20", .help = "With fewer attempts in it, it does not open"},
    {"interval", CONF_DURATION, FIELD(struct breaker_settings, interval_us), .min = 100 * MS,
	.max = H, .def = "10s", .help = "What counts is what happened in the last while so long"},
    {"open_time", CONF_DURATION, FIELD(struct breaker_settings, open_us), .min = 100 * MS, .max = H,
	.def = "5s", .help = "How long it stays open before requests are tried"},
    {"trials", CONF_INT, FIELD(struct breaker_settings, trials), .min = 1, .max = 1000, .def = "3",
	.help = "Requests that are let through then: if all are good, it closes; a failure opens "
		"it again"},
};
static const struct conf_object breaker_object = {"Circuit breakers", KEYS(breaker_keys)};

static const struct conf_key pool_keys[] = {
    {"balance", CONF_ENUM, FIELD(struct conf_pool, balance), .words = balance_words,
	.def = "round_robin",
	.help =
	    "How a target is chosen; all of them heed weights. round_robin: in turn; "
	    "least_connections: who has the fewest requests or connections; random_two: of two "
	    "random ones who has fewer; least_time: of two random ones who answers sooner "
	    "(mode tcp: accepts connections sooner) and has less to do; maglev: always the same "
	    "one for the same hash_on; source_hash: maglev by the client's address"},
    {"hash_on", CONF_OBJECT, FIELD(struct conf_pool, hash_on), .object = &hash_on_object,
	.def_note = "the client's address",
	.help = "With balance maglev: what decides where a request goes. Without that header or "
		"cookie, or when it is empty: the client's address. In modes tcp and udp only "
		"source"},
    {"hash_balance_factor", CONF_PERCENT, FIELD(struct conf_pool, hash_balance_factor), .max = 1000,
	.def = "0%",
	.help = "With maglev and source_hash: how much of its fair share of what is in flight a "
		"target may have at most, like 125%; what is beyond goes to the next target that "
		"is its hash's. 0%: no limit"},
    {"targets", CONF_LIST, ENTRIES(struct conf_pool, targets, n_targets), .required = true,
	.min = 1, .max = CONF_TARGETS_MAX, .element = &target_element,
	.help = "The servers, each \"ADDRESS:PORT\" or an object"},
    {"health", CONF_OBJECT, FIELD(struct conf_pool, health), .object = &health_object,
	.def_note = "no checks, all targets are taken for healthy",
	.help = "How to find out whether a target works"},
    {"sticky", CONF_OBJECT, FIELD(struct conf_pool, sticky), .object = &sticky_object,
	.def_note = "not sticky", .help = "Keeps a client on the target it had"},
    {"queue", CONF_OBJECT, FIELD(struct conf_pool, queue), .object = &queue_object,
	.help =
	    "Where requests wait for a place, in the order in which they came, while all targets "
	    "are at their max_connections"},
    {"connect_timeout", CONF_DURATION, FIELD(struct conf_pool, connect_timeout_us), .min = MS,
	.max = H, .def = "2s", .help = "For a connection to a target"},
    {"response_timeout", CONF_DURATION, FIELD(struct conf_pool, response_timeout_us), .min = MS,
	.max = D, .def = "60s",
	.help = "From the end of the request to the first byte of the response"},
    {"retries", CONF_INT, FIELD(struct conf_pool, retries), .min = 0, .max = 10, .def = "2",
	.help = "Attempts on other targets, before a byte of the response and where it is safe"},
    {"drain_timeout", CONF_DURATION, FIELD(struct conf_pool, drain_timeout_us),
	.max = CONF_DRAIN_MAX_US, .def = "5m",
	.help = "How long a target that drains keeps its sticky clients and its connections. Then "
		"it is disabled: requests in progress are answered, TCP connections, tunnels and "
		"UDP sessions are closed. 0s: at once"},
    {"retry_on", CONF_LIST, ENTRIES(struct conf_pool, retry_on, n_retry_on), .max = 7,
	.notes_given = true, .given_offset = offsetof(struct conf_pool, retry_on_given),
	.element = &retry_on_element, .def_note = "[\"connect_failure\", \"reset\"]",
	.help = "What is tried again on another target. connect_failure: no connection within "
		"connect_timeout, nothing was sent. reset: it was closed before a byte of the "
		"response. timeout: no byte of it within response_timeout. 502, 503, 504: statuses "
		"of the target. All but the first only for methods that are idempotent, unless "
		"non_idempotent is given: then a request may be served twice. Modes tcp and udp "
		"know connect_failure"},
    {"retry_budget", CONF_OBJECT, FIELD(struct conf_pool, retry_budget),
	.object = &retry_budget_object,
	.help = "How many attempts on other targets there are at most, so that targets that fail "
		"are not drowned in repeated requests"},
    {"failure_status", CONF_STATUS, FIELD(struct conf_pool, failure_min), .def = "502-504",
	.help = "For outlier and circuit_breaker: the statuses of a target that count as its "
		"failure, besides connections that fail, break, or time out, and responses that "
		"are malformed"},
    {"outlier", CONF_OBJECT, FIELD(struct conf_pool, outlier), .object = &outlier_object,
	.notes_given = true, .given_offset = offsetof(struct conf_pool, outlier_given),
	.def_note = "none",
	.help = "Ejects a target that fails requests, or is much slower than the others: it gets "
		"no new ones for a while, also none of sticky clients, whatever its health checks "
		"say. {} means the defaults"},
    {"circuit_breaker", CONF_OBJECT, FIELD(struct conf_pool, breaker), .object = &breaker_object,
	.notes_given = true, .given_offset = offsetof(struct conf_pool, breaker_given),
	.def_note = "none",
	.help = "While too many requests of the pool fail, answers 503 at once, with Retry-After, "
		"instead of sending them to targets. {} means the defaults"},
    {"fail_open", CONF_BOOL, FIELD(struct conf_pool, fail_open), .def = "false",
	.help = "When all targets are down: use them all instead of answering 503"},
    {"panic_threshold", CONF_PERCENT, FIELD(struct conf_pool, panic_threshold), .max = 100,
	.def = "0%",
	.help = "When fewer than this share of the targets that are not drained or disabled are "
		"usable: use all of these, whatever their health, instead of breaking the rest by "
		"the load of all"},
    {"slow_start", CONF_DURATION, FIELD(struct conf_pool, slow_start_us), .max = D, .def = "0s",
	.help = "A target that came up, was made ready, was ejected before or is new gets a tenth "
		"of its weight, and the whole after this time, in ten steps; not while no other "
		"target is warm"},
    TCP_KEEPALIVE(conf_pool),
    TCP_USER_TIMEOUT_KEY(conf_pool),
    {"source", CONF_STRING, FIELD(struct conf_pool, source), .format = &conf_format_source,
	.def_note = "as the kernel chooses",
	.help =
	    "The address that targets are connected to from, one of the host, like a virtual one; "
	    "not for health checks. client: the client's own address (transparent proxying); the "
	    "answers must be routed through the node, see yoked(8). Connections to targets are "
	    "then not kept for other requests"},
    {"send_proxy_protocol", CONF_OBJECT, FIELD(struct conf_pool, send_proxy),
	.object = &send_proxy_object, .def_note = "none",
	.help = "Each connection to a target begins with a PROXY header that names the client; of "
		"a health check it says that nobody is behind it (v2: LOCAL, v1: our own address). "
		"In mode http each request has a connection of its own then"},
};
const struct conf_object conf_schema_pool = {
    "Pools", KEYS(pool_keys), .size = sizeof(struct conf_pool), .later = "tls"};
