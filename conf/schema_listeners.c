/* The rows of listeners. */
#include "conf/conf.h"
#include "conf/format.h"
#include "conf/schema_rows.h"

static const char *const listener_mode_words[] = {
    [CONF_MODE_HTTP] = "http", [CONF_MODE_TCP] = "tcp", [CONF_MODE_UDP] = "udp", NULL};

static const char *const forward_words[] = {[CONF_FORWARD_PRESERVE] = "preserve",
    [CONF_FORWARD_REMOVE] = "remove",
    [CONF_FORWARD_REPLACE] = "replace",
    NULL};
static const char *const forward_list_words[] = {[CONF_FORWARD_PRESERVE] = "preserve",
    [CONF_FORWARD_REMOVE] = "remove",
    [CONF_FORWARD_REPLACE] = "replace",
    [CONF_FORWARD_APPEND] = "append",
    NULL};
static const struct conf_key forwarded_keys[] = {
    {"for", CONF_ENUM, FIELD(struct conf_forwarded, for_), .words = forward_list_words,
	.def = "append",
	.help = "X-Forwarded-For, the client's address: appended to the list that came; replace: "
		"the list that came is dropped, as it should be where clients come directly; "
		"preserve: passed on as it came; remove: kept from the targets"},
    {"proto", CONF_ENUM, FIELD(struct conf_forwarded, proto), .words = forward_words,
	.def = "replace", .help = "X-Forwarded-Proto, what the client speaks: http"},
    {"host", CONF_ENUM, FIELD(struct conf_forwarded, host), .words = forward_words,
	.def = "preserve",
	.help = "X-Forwarded-Host, the host that the client asks for; the Host field says the same "
		"to targets in any case"},
    {"port", CONF_ENUM, FIELD(struct conf_forwarded, port), .words = forward_words,
	.def = "preserve", .help = "X-Forwarded-Port, where the listener listens"},
    {"rfc7239", CONF_ENUM, FIELD(struct conf_forwarded, rfc7239), .words = forward_list_words,
	.def = "preserve", .help = "Forwarded, the standard's word for all of them (RFC 7239)"},
};
static const struct conf_object forwarded_object = {
    "Forwarded fields", KEYS(forwarded_keys), .size = sizeof(struct conf_forwarded)};

static const struct conf_key via_keys[] = {
    {"name", CONF_STRING, FIELD(struct conf_via, name), .format = &conf_format_name, .def = "yoke",
	.help = "Our name in Via: a pseudonym, or a host"},
    {"requests", CONF_BOOL, FIELD(struct conf_via, requests), .def = "true",
	.help = "Whether targets are told; false is for those that treat requests with Via worse, "
		"like an nginx that does not compress for them (gzip_proxied)"},
    {"responses", CONF_BOOL, FIELD(struct conf_via, responses), .def = "false",
	.help = "Whether clients are told"},
};
static const struct conf_object via_object = {
    "Via", KEYS(via_keys), .size = sizeof(struct conf_via)};

/* Of listeners and pools alike. */
static const struct conf_key keepalive_keys[] = {
    {"idle", CONF_DURATION, FIELD(struct conf_keepalive, idle_us), .required = true, .min = S,
	.max = 32767 * S, .step = S, .help = "Probes begin when no byte came for so long"},
    {"interval", CONF_DURATION, FIELD(struct conf_keepalive, interval_us), .min = S,
	.max = 32767 * S, .step = S, .def = "10s", .help = "Time between probes"},
    {"count", CONF_INT, FIELD(struct conf_keepalive, count), .min = 1, .max = 127, .def = "3",
	.help = "Probes without an answer that end the connection"},
};
const struct conf_object conf_schema_keepalive = {
    "TCP keep-alive", KEYS(keepalive_keys), .size = sizeof(struct conf_keepalive)};

static const struct conf_key per_source_keys[] = {
    {"max", CONF_INT, FIELD(struct conf_per_source, max), .max = 10000000, .def = "0",
	.help = "How many; 0: any number"},
    {"prefix4", CONF_INT, FIELD(struct conf_per_source, prefix4), .min = 1, .max = 32, .def = "32",
	.unit = "bits", .help = "How much of an IPv4 address is a source"},
    {"prefix6", CONF_INT, FIELD(struct conf_per_source, prefix6), .min = 1, .max = 128, .def = "64",
	.unit = "bits", .help = "How much of an IPv6 address is a source"},
};
static const struct conf_object per_source_object = {"Connections of a source",
    KEYS(per_source_keys), .size = sizeof(struct conf_per_source), .shorthand = "max"};
static const struct conf_key pace_keys[] = {
    {"rate", CONF_BYTE_RATE, FIELD(struct conf_pace, bytes), .max = 1ULL << 30, .def = "0B/s",
	.help = "Bytes a second; 0B/s: as they come, idle_timeout apart at most"},
    {"grace", CONF_DURATION, FIELD(struct conf_pace, grace_us), .min = 100 * MS, .max = H,
	.def = "5s", .help = "Nobody is judged before this time"},
};
static const struct conf_object pace_object = {
    "Minimum rates", KEYS(pace_keys), .size = sizeof(struct conf_pace), .shorthand = "rate"};

static const struct conf_key bind_element = {
    "", CONF_ENDPOINT, 0, sizeof(struct addr), .help = "Address and port"};
static const struct conf_key upgrade_element = {"", CONF_STRING, 0, sizeof(const char *),
    .format = &conf_format_protocol, .help = "Name of a protocol, with its version if it has one"};
static const struct conf_key network_element = {
    "", CONF_CIDR, 0, sizeof(struct conf_vip), .help = "Network, or address"};
static const struct conf_key explain_keys[] = {
    {"name", CONF_STRING, FIELD(struct conf_explain, name), .required = true,
	.format = &conf_format_field_name, .help = "Name of the field, as X-Yoke-Decision"},
    {"from", CONF_LIST, ENTRIES(struct conf_explain, from, n_from), .min = 1,
	.max = CONF_NETWORKS_MAX, .element = &network_element, .def_note = "all",
	.help = "Only clients from these networks are told"},
};
static const struct conf_object explain_object = {
    "Explanations", KEYS(explain_keys), .size = sizeof(struct conf_explain), .shorthand = "name"};
static const struct conf_key listener_keys[] = {
    {"bind", CONF_LIST, ENTRIES(struct conf_listener, binds, n_binds), .required = true, .min = 1,
	.max = CONF_BINDS_MAX, .one_or_list = true, .element = &bind_element,
	.help = "Where to listen; the address need not be on this host yet"},
    {"mode", CONF_ENUM, FIELD(struct conf_listener, mode), .words = listener_mode_words,
	.def = "http", .help = "What is spoken there"},
    {"pool", CONF_POOL, FIELD(struct conf_listener, pool), .format = &conf_format_name,
	.def_note = "none; without routes required",
	.help = "Name of the pool that serves it, or what no route takes; without one that is "
		"answered with 404, in mode tcp closed"},
    {"routes", CONF_LIST, ENTRIES(struct conf_listener, routes, n_routes), .max = ROUTES_MAX,
	.element = &conf_schema_route, .def_note = "none",
	.help = "The first one whose conditions all hold takes a request, or in mode tcp a "
		"connection, by its TLS ClientHello (sni, alpn, source): that must be there within "
		"header_timeout, so that the server cannot speak first. A connection that begins "
		"otherwise goes to the listener's pool"},
    {"header_timeout", CONF_DURATION, FIELD(struct conf_listener, header_timeout_us),
	.min = 100 * MS, .max = H, .def = "10s",
	.help = "http: from the first byte of a request head to its last; with proxy_protocol, "
		"also from the beginning of a connection to the end of its PROXY header, and in "
		"mode tcp with routes to that of its ClientHello: then it is closed"},
    {"idle_timeout", CONF_DURATION, FIELD(struct conf_listener, idle_timeout_us), .min = 100 * MS,
	.max = 7 * D, .def_note = "60s, in mode tcp 1h, in mode udp 30s",
	.help = "Closes a connection on which no byte moved for so long, also between requests; "
		"ends a UDP session without datagrams for so long"},
    {"max_header_size", CONF_SIZE, FIELD(struct conf_listener, max_header_size), .min = 4096,
	.max = 32768, .def = "16KiB", .help = "http: largest head of a request or response"},
    {"max_connections", CONF_INT, FIELD(struct conf_listener, max_connections), .min = 0,
	.max = 10000000, .def = "0",
	.help = "Connections at a time; one more is reset. In mode udp sessions: the one that was "
		"quiet longest makes room; 0: as many as the process may open"},
    {"max_connections_per_source", CONF_OBJECT,
	FIELD(struct conf_listener, max_connections_per_source), .object = &per_source_object,
	.def_note = "no limit",
	.help =
	    "Connections that a source has at a time, in mode udp sessions; further ones are "
	    "reset before a byte is read, and datagrams dropped. With proxy_protocol the source "
	    "is whom the PROXY header names. Those that were there before there was a limit do "
	    "not count"},
    {"rate_limit", CONF_LIST, ENTRIES(struct conf_listener, rate_limits, n_rate_limits),
	.one_or_list = true, .max = LIMIT_LIST_MAX, .element = &conf_schema_rate_limit,
	.def_note = "none",
	.help = "How many requests may come in a time, in mode tcp connections: these are reset. "
		"Of several limits, in their order, the first that does not allow it ends it"},
    {"max_body_size", CONF_SIZE, FIELD(struct conf_listener, max_body_size), .min = 0,
	.max = 1ULL << 50, .def = "0B",
	.help = "http: largest body of a request; others are answered 413; 0B: no limit"},
    {"buffer_request", CONF_SIZE, FIELD(struct conf_listener, buffer_request), .min = 0,
	.max = 64 << 20, .def = "0B",
	.help = "http: a request whose body is not larger is read to its end before a target is "
		"chosen, so that slow clients do not occupy targets; it is kept in memory. Larger "
		"ones, and those with Expect: 100-continue, pass as they come"},
    {"min_body_rate", CONF_OBJECT, FIELD(struct conf_listener, min_body_rate),
	.object = &pace_object, .def_note = "no minimum",
	.help = "http: how fast the body of a request must come, on average; a slower one is "
		"answered 408. Time in which a target does not take it does not count"},
    {"upgrade", CONF_LIST, ENTRIES(struct conf_listener, upgrade, n_upgrade),
	.max = CONF_UPGRADES_MAX, .notes_given = true,
	.given_offset = offsetof(struct conf_listener, upgrade_given), .element = &upgrade_element,
	.def_note = "[\"websocket\"]",
	.help = "http: protocols that clients may switch to (RFC 9110, Upgrade); an empty list: "
		"none. After the switch all bytes pass as in mode tcp"},
    {"tunnel_timeout", CONF_DURATION, FIELD(struct conf_listener, tunnel_timeout_us),
	.min = 100 * MS, .max = 7 * D, .def = "1h",
	.help = "http: closes a connection that has switched and on which no byte moved for so "
		"long, either way"},
    {"forwarded", CONF_OBJECT, FIELD(struct conf_listener, forwarded), .object = &forwarded_object,
	.help = "http: what becomes of fields that tell targets where a request came from"},
    {"via", CONF_OBJECT, FIELD(struct conf_listener, via), .object = &via_object,
	.help = "http: the field in which each proxy on the way names itself (RFC 9110)"},
    {"backlog", CONF_INT, FIELD(struct conf_listener, backlog), .min = 1, .max = 1000000,
	.def = "16384",
	.help =
	    "Connections of each worker that may wait to be accepted; net.core.somaxconn of the "
	    "kernel limits it"},
    {"defer_accept", CONF_BOOL, FIELD(struct conf_listener, defer_accept), .def = "false",
	.help = "A connection is taken when its first byte is there, or after a second "
		"(TCP_DEFER_ACCEPT); not for protocols in which the server speaks first"},
    {"fast_open", CONF_BOOL, FIELD(struct conf_listener, fast_open), .def = "false",
	.help = "Takes data that comes with the SYN (TCP Fast Open, RFC 7413), if "
		"net.ipv4.tcp_fastopen of the kernel has bit 2; such data can come twice"},
    TCP_KEEPALIVE(conf_listener),
    TCP_USER_TIMEOUT_KEY(conf_listener),
    {"access_log", CONF_BOOL, FIELD(struct conf_listener, access_log), .def = "true",
	.help = "Whether its requests, connections or UDP sessions are in the access log, if there "
		"is one"},
    {"explain_header", CONF_OBJECT, FIELD(struct conf_listener, explain), .object = &explain_object,
	.def_note = "none",
	.help = "http: each response has a field of this name that says which route took the "
		"request, which target of which pool it went to and why, which ones failed "
		"before, and how long it took; see EXPLANATIONS. It names targets: for those who "
		"may know only"},
    {"requests", CONF_INT, FIELD(struct conf_listener, requests), .min = 0, .max = 1000000,
	.def = "0",
	.help = "udp: datagrams of a client after which its next one begins another session, so "
		"that it is balanced anew; 0: no limit"},
    {"responses", CONF_INT, FIELD(struct conf_listener, responses), .min = 0, .max = 1000000,
	.def = "0",
	.help = "udp: answers to each datagram of a client; a session ends as soon as all have "
		"come, for example 1 for DNS; 0: any number, it ends by idle_timeout"},
    {"proxy_protocol", CONF_BOOL, FIELD(struct conf_listener, proxy_protocol), .def = "false",
	.help = "Whether each connection begins with a PROXY header, version 1 or 2, which names "
		"the client; one that does not is closed, also when it is not there within "
		"header_timeout. Who may connect can pretend to be anybody: let in proxies only"},
    {"proxy_protocol_from", CONF_LIST,
	ENTRIES(struct conf_listener, proxy_protocol_from, n_proxy_protocol_from), .min = 1,
	.max = CONF_NETWORKS_MAX, .element = &network_element, .def_note = "all",
	.help = "With proxy_protocol: the proxies. Only connections from these networks begin "
		"with a PROXY header, and have to; others are served as they come"},
};
const struct conf_object conf_schema_listener = {
    "Listeners", KEYS(listener_keys), .size = sizeof(struct conf_listener), .later = "tls"};
