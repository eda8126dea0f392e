#include "conf/schema.h"

#include <string.h>

#include "conf/conf.h"
#include "conf/format.h"
#include "conf/schema_rows.h"

/* Keys that tracked things have in common. */
#define TRACK_WEIGHT(t)                                                                           \
	{                                                                                         \
		"weight", CONF_INT, FIELD(struct t, weight),                                      \
		    .min = 1, .max = 254, .def_note = "none: a failure is a fault",               \
		    .help = "What a failure takes from the priority; without it, a failure is a " \
			    "fault, "                                                             \
			    "and the addresses go to the peer"                                    \
	}
#define TRACK_RISE(t, value)                                           \
	{                                                              \
		"rise", CONF_INT, FIELD(struct t, rise),               \
		    .min = 1, .max = 100, .def = (value),              \
		    .help = "Good results in a row that end a failure" \
	}
#define TRACK_FALL(t, value)                                          \
	{                                                             \
		"fall", CONF_INT, FIELD(struct t, fall),              \
		    .min = 1, .max = 100, .def = (value),             \
		    .help = "Bad results in a row that are a failure" \
	}

#define MS 1000ULL
#define S  (1000 * MS)
#define H  (3600 * S)
#define D  (24 * H)

static const char *const balance_words[] = {[CONF_BALANCE_ROUND_ROBIN] = "round_robin",
    [CONF_BALANCE_LEAST_CONNECTIONS] = "least_connections",
    [CONF_BALANCE_SOURCE_HASH] = "source_hash",
    [CONF_BALANCE_RANDOM_TWO] = "random_two",
    [CONF_BALANCE_MAGLEV] = "maglev",
    [CONF_BALANCE_LEAST_TIME] = "least_time",
    NULL};
static const char *const failback_words[] = {[CONF_FAILBACK_NEVER] = "never",
    [CONF_FAILBACK_MANUAL] = "manual",
    [CONF_FAILBACK_WHEN_WARM] = "when_warm",
    NULL};
static const char *const vrrp_mode_words[] = {
    [CONF_VRRP_MULTICAST] = "multicast", [CONF_VRRP_UNICAST] = "unicast", NULL};
static const char *const authenticate_words[] = {[CONF_AUTHENTICATE_FALSE] = "false",
    [CONF_AUTHENTICATE_PERMISSIVE] = "permissive",
    [CONF_AUTHENTICATE_TRUE] = "true",
    NULL};
static const char *const checksum_words[] = {[CONF_CHECKSUM_AUTO] = "auto",
    [CONF_CHECKSUM_RFC9568] = "rfc9568",
    [CONF_CHECKSUM_RFC5798] = "rfc5798",
    NULL};
static const char *const listener_mode_words[] = {
    [CONF_MODE_HTTP] = "http", [CONF_MODE_TCP] = "tcp", [CONF_MODE_UDP] = "udp", NULL};
static const char *const log_format_words[] = {
    [CONF_LOG_JSON] = "json", [CONF_LOG_COMBINED] = "combined", NULL};
static const char *const method_words[] = {"GET", "HEAD", NULL};
static const char *const initial_words[] = {[CONF_INITIAL_UNKNOWN] = "unknown",
    [CONF_INITIAL_UP] = "up",
    [CONF_INITIAL_DOWN] = "down",
    NULL};
static const char *const when_down_words[] = {"rebalance", "fail", NULL};
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

static const struct conf_key track_interface_keys[] = {
    {"name", CONF_STRING, FIELD(struct conf_track_interface, name), .required = true,
	.format = &conf_format_interface, .help = "Network interface that must have a carrier"},
    TRACK_WEIGHT(conf_track_interface),
};
static const struct conf_object track_interface_object = {"Tracked interfaces",
    KEYS(track_interface_keys), .size = sizeof(struct conf_track_interface), .shorthand = "name"};
static const struct conf_key track_interface_element = {"", CONF_OBJECT, 0,
    sizeof(struct conf_track_interface), .object = &track_interface_object,
    .help = "Name of an interface, or an object with more"};

static const struct conf_key track_pool_keys[] = {
    {"name", CONF_POOL, FIELD(struct conf_track_pool, pool), .required = true,
	.format = &conf_format_name, .help = "Name of a pool that has a health check"},
    {"at_least", CONF_PERCENT, FIELD(struct conf_track_pool, at_least), .min = 1, .max = 100,
	.def = "50%",
	.help = "Share of its targets that must be up, as seen from this node by its own checks"},
    TRACK_WEIGHT(conf_track_pool),
};
static const struct conf_object track_pool_object = {"Tracked pools", KEYS(track_pool_keys),
    .size = sizeof(struct conf_track_pool), .shorthand = "name"};
static const struct conf_key track_pool_element = {"", CONF_OBJECT, 0,
    sizeof(struct conf_track_pool), .object = &track_pool_object,
    .help = "Name of a pool, or an object with more"};

static const struct conf_key track_address_keys[] = {
    {"address", CONF_IP, FIELD(struct conf_track_address, address), .required = true,
	.help = "A gateway, or another host that must answer to ICMP echo"},
    {"interval", CONF_DURATION, FIELD(struct conf_track_address, interval_us), .min = 50 * MS,
	.max = 60 * S, .def = "500ms", .help = "Time between requests"},
    {"timeout", CONF_DURATION, FIELD(struct conf_track_address, timeout_us), .min = 10 * MS,
	.max = 60 * S, .def_note = "200ms, or the interval if that is shorter",
	.help = "An answer that takes longer counts as none; not longer than the interval"},
    TRACK_RISE(conf_track_address, "2"),
    TRACK_FALL(conf_track_address, "3"),
    TRACK_WEIGHT(conf_track_address),
};
static const struct conf_object track_address_object = {"Tracked addresses",
    KEYS(track_address_keys), .size = sizeof(struct conf_track_address), .shorthand = "address"};
static const struct conf_key track_address_element = {"", CONF_OBJECT, 0,
    sizeof(struct conf_track_address), .object = &track_address_object,
    .help = "Address, or an object with more"};

static const struct conf_key argument_element = {"", CONF_STRING, 0, sizeof(const char *),
    .format = &conf_format_argument, .help = "The path of a program, then its arguments"};
static const struct conf_key track_script_keys[] = {
    {"command", CONF_LIST, ENTRIES(struct conf_track_script, command, n_command), .required = true,
	.min = 1, .max = CONF_ARGUMENTS_MAX, .element = &argument_element,
	.help =
	    "Absolute path of a program and its arguments; run without a shell as the user of "
	    "the configuration; its exit code 0 is good, the first line that it writes the reason"},
    {"interval", CONF_DURATION, FIELD(struct conf_track_script, interval_us), .min = 100 * MS,
	.max = H, .def = "2s", .help = "Time between starts"},
    {"timeout", CONF_DURATION, FIELD(struct conf_track_script, timeout_us), .min = 10 * MS,
	.max = H, .def_note = "1s, or the interval if that is shorter",
	.help = "One that takes longer is killed and has failed; not longer than the interval"},
    TRACK_RISE(conf_track_script, "1"),
    TRACK_FALL(conf_track_script, "2"),
    TRACK_WEIGHT(conf_track_script),
};
static const struct conf_object track_script_object = {
    "Tracked scripts", KEYS(track_script_keys), .size = sizeof(struct conf_track_script)};
static const struct conf_key track_script_element = {"", CONF_OBJECT, 0,
    sizeof(struct conf_track_script), .object = &track_script_object, .help = "A script"};

static const struct conf_key track_keys[] = {
    {"interfaces", CONF_LIST, ENTRIES(struct conf_track, interfaces, n_interfaces),
	.max = CONF_TRACKED_MAX, .element = &track_interface_element, .def_note = "none",
	.help = "Other interfaces that must have a carrier; its own one always must"},
    {"pools", CONF_LIST, ENTRIES(struct conf_track, pools, n_pools), .max = CONF_TRACKED_MAX,
	.element = &track_pool_element, .def_note = "none",
	.help = "Pools whose targets this node must reach"},
    {"addresses", CONF_LIST, ENTRIES(struct conf_track, addresses, n_addresses),
	.max = CONF_TRACKED_MAX, .element = &track_address_element, .def_note = "none",
	.help = "Hosts that must answer to ICMP echo, like a gateway"},
    {"scripts", CONF_LIST, ENTRIES(struct conf_track, scripts, n_scripts), .max = CONF_TRACKED_MAX,
	.element = &track_script_element, .def_note = "none",
	.help = "Programs that judge, where nothing else can"},
    {"witness", CONF_IP, FIELD(struct conf_track, witness), .def_note = "none",
	.help =
	    "A host that tells a dead peer from a cut cable: while adverts are missing, a Backup "
	    "becomes Active only if it answers to ICMP echo; an Active goes on without it"},
};
static const struct conf_object track_object = {
    "Tracking", KEYS(track_keys), .size = sizeof(struct conf_track)};

static const struct conf_key announce_keys[] = {
    {"interval", CONF_DURATION, FIELD(struct conf_announce, interval_us), .max = 1 * S,
	.def = "1ms",
	.help = "Time between two addresses, so that a switch is not flooded (garp_interval of "
		"keepalived)"},
    {"refresh", CONF_DURATION, FIELD(struct conf_announce, refresh_us), .max = 24 * H,
	.step = 1 * S, .def = "60s",
	.help = "An Active announces its addresses again so often; 0s: only after a promotion "
		"(garp_master_refresh of keepalived)"},
};
static const struct conf_object announce_object = {
    "Announcing", KEYS(announce_keys), .size = sizeof(struct conf_announce)};

static const struct conf_key vip_element = {
    "", CONF_CIDR, 0, sizeof(struct conf_vip), .help = "Virtual IP address with prefix length"};
static const struct conf_key router_keys[] = {
    {"vrid", CONF_INT, FIELD(struct conf_router, vrid), .required = true, .min = 1, .max = 255,
	.help = "Virtual router identifier, unique on the network segment"},
    {"interface", CONF_STRING, FIELD(struct conf_router, interface), .required = true,
	.format = &conf_format_interface, .help = "Network interface of the virtual addresses"},
    {"addresses", CONF_LIST, ENTRIES(struct conf_router, addresses, n_addresses), .required = true,
	.min = 1, .max = CONF_ADDRESSES_MAX, .element = &vip_element,
	.help = "The virtual addresses, which move together: all IPv4, or all IPv6 with a "
		"link-local one first"},
    {"advertise", CONF_DURATION, FIELD(struct conf_router, advertise_us), .min = 10 * MS,
	.max = 40950 * MS, .step = 10 * MS, .def = "100ms",
	.help = "Time between adverts; a dead Active is noticed after about three of them"},
    {"failback", CONF_ENUM, FIELD(struct conf_router, failback), .words = failback_words,
	.def = "manual",
	.help =
	    "Whether a recovered node with the higher priority takes the addresses back: never; "
	    "manual, when told by yokectl failover; when_warm, when it has the sessions of its "
	    "peer"},
    {"mode", CONF_ENUM, FIELD(struct conf_router, mode), .words = vrrp_mode_words,
	.def = "multicast", .help = "How adverts are sent"},
    {"checksum", CONF_ENUM, FIELD(struct conf_router, checksum), .words = checksum_words,
	.def = "auto",
	.help = "Checksum of IPv4 adverts: without pseudo-header as in RFC 9568, with it as in RFC "
		"5798; auto follows the peer"},
    {"min_ttl", CONF_INT, FIELD(struct conf_router, min_ttl), .min = 1, .max = 255, .def = "255",
	.help = "Lowest TTL or hop limit of adverts that are accepted; below 255 only in mode "
		"unicast, for a peer behind routers"},
    {"authenticate", CONF_ENUM, FIELD(struct conf_router, authenticate),
	.words = authenticate_words, .bool_words = true, .notes_given = true,
	.given_offset = offsetof(struct conf_router, authenticate_given),
	.def_note = "true; for VRRPv2, and without sync.key_file, false",
	.help = "Whether adverts are signed by a key that comes from sync.key_file, and others "
		"refused; permissive: signed, but unsigned ones are taken; false towards a peer "
		"that is no yoke"},
    {"virtual_mac", CONF_BOOL, FIELD(struct conf_router, virtual_mac), .def = "false",
	.help = "Whether the addresses have a MAC of their own (00-00-5E-00-01-VRID, for IPv6 "
		"00-00-5E-00-02-VRID), which moves with them; needs macvlan"},
    {"version", CONF_INT, FIELD(struct conf_router, version), .min = 2, .max = 3, .def = "3",
	.help = "VRRP version; 2 is for an old peer: IPv4 only, in whole seconds"},
    {"group", CONF_STRING, FIELD(struct conf_router, group), .format = &conf_format_name,
	.def_note = "none",
	.help = "Virtual routers of the same group are Active on the same node, and move together"},
    {"startup_delay", CONF_DURATION, FIELD(struct conf_router, startup_delay_us), .max = 600 * S,
	.def = "3s",
	.help = "How long after the start, or after a carrier came back, a node on whose interface "
		"no frame arrives does not become Active: its switch port may still be blocked"},
    {"track", CONF_OBJECT, FIELD(struct conf_router, track), .object = &track_object,
	.help = "What else decides about the priority, or is a fault"},
    {"announce", CONF_OBJECT, FIELD(struct conf_router, announce), .object = &announce_object,
	.help = "Gratuitous ARP and unsolicited neighbour advertisements: after a promotion 0, 10, "
		"50, 200 ms, 1.1 s and 5 s, and then"},
};
static const struct conf_object router_object = {
    "Virtual routers", KEYS(router_keys), .size = sizeof(struct conf_router)};

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

static const struct conf_key keepalive_keys[] = {
    {"idle", CONF_DURATION, FIELD(struct conf_keepalive, idle_us), .required = true, .min = S,
	.max = 32767 * S, .step = S, .help = "Probes begin when no byte came for so long"},
    {"interval", CONF_DURATION, FIELD(struct conf_keepalive, interval_us), .min = S,
	.max = 32767 * S, .step = S, .def = "10s", .help = "Time between probes"},
    {"count", CONF_INT, FIELD(struct conf_keepalive, count), .min = 1, .max = 127, .def = "3",
	.help = "Probes without an answer that end the connection"},
};
static const struct conf_object keepalive_object = {
    "TCP keep-alive", KEYS(keepalive_keys), .size = sizeof(struct conf_keepalive)};
/* Of listeners and pools alike. */
#define TCP_KEEPALIVE(t)                                                                         \
	{                                                                                        \
		"tcp_keepalive", CONF_OBJECT, FIELD(struct t, tcp_keepalive),                    \
		    .object = &keepalive_object, .def_note = "no probes",                        \
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
	.format = &conf_format_token, .help = "Name of the field, as X-Yoke-Decision"},
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
	.help = "http, tcp: whether its requests or connections are in the access log, if "
		"there is one; sessions of mode udp are not"},
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
static const struct conf_object listener_object = {
    "Listeners", KEYS(listener_keys), .size = sizeof(struct conf_listener), .later = "tls"};

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
	.object = &health_header_object, .max = ROUTE_FIELDS_MAX, .format = &conf_format_token,
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
    {"name", CONF_STRING, FIELD(struct conf_sticky, header_name), .format = &conf_format_token,
	.required = true, .help = "Name of the field in requests"},
    {"response_name", CONF_STRING, FIELD(struct conf_sticky, response_name),
	.format = &conf_format_token,
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
    {"header", CONF_STRING, FIELD(struct conf_hash_on, header), .format = &conf_format_token,
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
static const struct conf_object pool_object = {
    "Pools", KEYS(pool_keys), .size = sizeof(struct conf_pool), .later = "tls"};

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
		"reload), a FIFO, or stdout or stderr of yoked"},
    {"format", CONF_ENUM, FIELD(struct conf_access_log, format), .words = log_format_words,
	.def = "json",
	.help = "json: an object a line, see ACCESS LOG; combined: as Apache and nginx write it, "
		"which has no line for connections of mode tcp"},
    {"sample", CONF_INT, FIELD(struct conf_access_log, sample), .min = 1, .max = 1000000,
	.def = "1",
	.help = "One in so many requests or connections that went well has a line; all others "
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
	.object = &router_object, .max = CONF_ROUTERS_MAX, .def_note = "none",
	.help = "The virtual addresses and how the nodes agree on who has them, by name"},
    {"listeners", CONF_MAP, ENTRIES(struct conf, listeners, n_listeners),
	.object = &listener_object, .max = CONF_LISTENERS_MAX, .def_note = "none",
	.help = "Where clients connect, by name"},
    {"pools", CONF_MAP, ENTRIES(struct conf, pools, n_pools), .object = &pool_object,
	.max = CONF_POOLS_MAX, .def_note = "none",
	.help = "Groups of servers that do the same, by name"},
    {"rate_limit_keys", CONF_INT, FIELD(struct conf, rate_limit_keys), .min = 1000, .max = 50000000,
	.def = "100000",
	.help = "For how many keys at a time all rate limits together have room, 32 bytes each, "
		"taken when there is a limit. With more, those are forgotten first that are "
		"furthest from their limit. A change forgets all; and the peer knows none of them, "
		"so after a takeover all limits begin anew"},
    {"sync", CONF_OBJECT, FIELD(struct conf, sync), .object = &sync_object,
	.help = "Replication to the peer, and the session table"},
    {"access_log", CONF_OBJECT, FIELD(struct conf, access_log), .object = &access_log_object,
	.def_note = "none", .help = "A line for each request or connection"},
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
