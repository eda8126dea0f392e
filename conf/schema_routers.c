/* The rows of virtual routers and of what they track. */
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
const struct conf_object conf_schema_router = {
    "Virtual routers", KEYS(router_keys), .size = sizeof(struct conf_router)};
