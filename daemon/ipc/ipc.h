/* Messages between yoked, yoke-vrrp and yoke-proxy: fixed structs over SOCK_SEQPACKET, one message
 * a packet, file descriptors beside it. All three programs are of one build; a message of the wrong
 * size for its type is a bug and refused.
 *
 *	yoked  --CONFIG+fd, ACCESS_LOG+fd, LISTENER+fd.., CONFIG_END-->      yoke-proxy
 *	yoked  --QUIESCE, SHUTDOWN-->                                        yoke-proxy
 *	yoked  <--APPLIED, HEARTBEAT, RELOAD, QUIET--                        yoke-proxy
 *	yoked  --RELOAD_RESULT-->                                            yoke-proxy
 *	yoked  --ROUTER.., ROUTERS_END, LINK+fd, SCRIPT, SHUTDOWN-->         yoke-vrrp
 *	yoked  <--APPLIED, HEARTBEAT, ROUTER_STATE--                         yoke-vrrp
 *	yoked  --LINK+fd-->                                                  yoke-proxy
 *	yoke-proxy --HEARTBEAT, POOL, RESIGN-->  yoke-vrrp
 *	yoke-proxy <--ROUTER_STATE, ROUTER_REMARK, ROUTER_STATS, RESIGN_RESULT-- yoke-vrrp
 *	yoke-proxy <--QUESTION, EVIDENCE, CLAIM, PEER_ROUTER--> yoke-vrrp: with the peer's, by
 *	                                                        replication
 *
 * The child's end of the channel to yoked is always file descriptor IPC_CHILD_FD. EOF on a channel
 * means that the other process is dead; nothing else does. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/keys.h"
#include "daemon/base/log.h"

#define IPC_CHILD_FD      3
#define IPC_NAME_MAX      64
#define IPC_REASON_MAX    192
#define IPC_TEXT_MAX      3072
#define IPC_ADDRESSES_MAX 16
#define IPC_USER_MAX      32
#define IPC_TOKEN_MAX     128
#define IPC_TRACKED_MAX   32 /* per virtual router */

#define IPC_TYPES(X)                    \
	X(CONFIG, config)               \
	X(LISTENER, listener)           \
	X(ACCESS_LOG, access_log)       \
	X(CONFIG_END, config_end)       \
	X(LINK, link)                   \
	X(SHUTDOWN, shutdown)           \
	X(QUIESCE, quiesce)             \
	X(QUIET, quiet)                 \
	X(APPLIED, applied)             \
	X(HEARTBEAT, heartbeat)         \
	X(RELOAD, reload)               \
	X(RELOAD_RESULT, reload_result) \
	X(ROUTER, router)               \
	X(ROUTERS_END, routers_end)     \
	X(ROUTER_STATE, router_state)   \
	X(ROUTER_REMARK, router_remark) \
	X(ROUTER_STATS, router_stats)   \
	X(POOL, pool)                   \
	X(SCRIPT, script)               \
	X(RESIGN, resign)               \
	X(RESIGN_RESULT, resign_result) \
	X(PEER_ROUTER, peer_router)     \
	X(WORD, word)

enum ipc_type {
#define X(type, name) IPC_##type,
	IPC_TYPES(X)
#undef X
	    IPC_TYPE_COUNT
};

struct ipc_header {
	uint32_t type;
	uint32_t size; /* of the whole message */
};

/* A new configuration begins. fd: a sealed memfd with the JSON text (already checked), and behind it
 * what the proxy could not read itself: certificate, private key and authorities in PEM. Listeners
 * follow, only those that the proxy does not have yet; listeners of the old configuration whose
 * (kind, name, bind) the new text does not name are the proxy's to close. */
struct ipc_config {
	struct ipc_header header;
	uint64_t generation; /* counts from 1 */
	uint32_t workers;
	uint32_t text_len, certificate_len, private_key_len, ca_len; /* in this order */
	bool pair;                                                   /* there is a peer */
	bool unprivileged; /* yoked is not root: no user to change to */
	bool has_token;
	char node[IPC_NAME_MAX];
	char user[IPC_USER_MAX];   /* whom yoke-proxy becomes; it exists. Empty when unprivileged */
	char file[256];            /* the configuration's name in messages */
	char token[IPC_TOKEN_MAX]; /* what admin.token_file holds: the proxy could not read it */
	struct keys keys;          /* of the pair; perhaps none */
};

enum ipc_listener_kind {
	IPC_LISTENER_TRAFFIC,
	IPC_LISTENER_UDP,
	IPC_LISTENER_SYNC,
	IPC_LISTENER_ADMIN_UNIX,
	IPC_LISTENER_ADMIN_TCP
};

/* fd: a bound, listening (UDP: bound), non-blocking socket */
struct ipc_listener {
	struct ipc_header header;
	uint32_t kind;   /* enum ipc_listener_kind */
	uint32_t worker; /* traffic, UDP: whose member of the SO_REUSEPORT group */
	char name[IPC_NAME_MAX];
	struct addr bind;
};

/* fd: where the lines of the access log go, opened for this configuration. Sent after CONFIG when the
 * text names one; and at other times when the file of the one in force was opened anew. */
struct ipc_access_log {
	struct ipc_header header;
};

struct ipc_config_end {
	struct ipc_header header;
	uint64_t generation;
};

/* fd: the end of a socket pair between yoke-proxy and yoke-vrrp; replaces an earlier one */
struct ipc_link {
	struct ipc_header header;
};

/* Finish what is in flight, at most so long, and exit 0. yoke-vrrp resigns first. */
struct ipc_shutdown {
	struct ipc_header header;
	uint64_t timeout_us;
};

/* The VIP is about to leave: no new connections (their SYNs are ignored, so that TCP sends them
 * again, to the peer), and QUIET as soon as no request is in flight, or after IPC_QUIESCE_MAX_US
 * all the same. */
#define IPC_QUIESCE_MAX_US 30000
struct ipc_quiesce {
	struct ipc_header header;
};

struct ipc_quiet {
	struct ipc_header header;
};

/* The answer to CONFIG_END / ROUTERS_END. error 0: in force. */
struct ipc_applied {
	struct ipc_header header;
	uint64_t generation;
	int32_t error; /* 0 or -errno */
	char text[IPC_REASON_MAX];
};

/* Sent every IPC_HEARTBEAT_US. From the proxy to yoked only while every worker's loop turns; to
 * yoke-vrrp always, because it must know at once. */
#define IPC_HEARTBEAT_US         100000
#define IPC_HEARTBEAT_TIMEOUT_US 1000000
struct ipc_heartbeat {
	struct ipc_header header;
	bool ready;   /* proxy: the configuration is in force and every worker accepts */
	bool waiting; /* proxy: what the Active peer knows is on its way: not to take over yet */
	bool warm;    /* proxy: in sync with the peer, so it may take the VIP back */
	char reason[IPC_REASON_MAX]; /* proxy: why it is not ready, if it knows; else empty */
};

/* Somebody asked by the admin API; the answer carries the same id. */
struct ipc_reload {
	struct ipc_header header;
	uint64_t id;
};

struct ipc_reload_result {
	struct ipc_header header;
	uint64_t id;
	int32_t error;
	char text[IPC_TEXT_MAX]; /* what was done, or every error on its own line */
};

struct ipc_vip {
	struct addr addr;
	uint8_t prefix;
};

/* What a virtual router watches besides its peer. The kind says who knows: yoke-vrrp itself asks
 * for interfaces and addresses, the proxy tells of pools (POOL), yoked of scripts (SCRIPT). */
enum ipc_tracked_kind {
	IPC_TRACKED_INTERFACE,
	IPC_TRACKED_POOL,
	IPC_TRACKED_ADDRESS,
	IPC_TRACKED_SCRIPT,
	IPC_TRACKED_KIND_COUNT
};

struct ipc_tracked {
	uint8_t kind;     /* enum ipc_tracked_kind */
	uint8_t weight;   /* what a failure takes from the priority; 0: it is a fault */
	uint8_t at_least; /* pool: per cent of its targets that must be up */
	uint16_t rise, fall;
	uint32_t interval_us, timeout_us;
	struct addr address;
	char name[IPC_NAME_MAX]; /* of the interface or the pool; the program of a script */
};

/* How far the sequences of authenticated adverts have come: vrrp/core/auth.h. */
struct ipc_auth_mark {
	uint64_t sent, heard;
	uint16_t key_id;
};

/* One virtual router of the new set; unchanged ones go on undisturbed, missing ones resign. */
struct ipc_router {
	struct ipc_header header;
	char name[IPC_NAME_MAX];
	char interface[16];
	uint8_t vrid;
	uint8_t priority;
	uint8_t failback; /* enum conf_failback */
	uint8_t mode;     /* enum conf_vrrp_mode */
	uint8_t checksum; /* enum conf_checksum */
	uint8_t version;  /* of VRRP: 2 or 3 */
	uint8_t min_ttl;  /* of what is accepted; 255 but for routed unicast */
	bool virtual_mac;
	uint8_t authenticate;                      /* enum conf_authenticate */
	struct keys auth_keys;                     /* derived: vrrp_auth_derive */
	struct ipc_auth_mark auth_marks[KEYS_MAX]; /* where an earlier process was, or zero */
	uint8_t n_addresses;
	uint8_t n_tracked;
	uint8_t peer_priority; /* as configured */
	uint32_t advertise_us;
	uint32_t startup_delay_us;
	uint32_t announce_interval_us; /* between two addresses */
	uint64_t announce_refresh_us;  /* 0: never */
	struct addr local, peer;       /* the nodes' addresses (unicast; source of adverts) */
	struct addr witness;           /* or none */
	char group[IPC_NAME_MAX];      /* or "" */
	struct ipc_vip addresses[IPC_ADDRESSES_MAX]; /* of one family */
	struct ipc_tracked tracked[IPC_TRACKED_MAX];
};

struct ipc_routers_end {
	struct ipc_header header;
	uint64_t generation;
	uint32_t log_level; /* enum log_level */
};

enum ipc_router_role { IPC_ROLE_INITIALIZE, IPC_ROLE_BACKUP, IPC_ROLE_ACTIVE, IPC_ROLE_FAULT };

/* A part of a priority: a tracked thing. */
struct ipc_part {
	bool failing;
	uint8_t weight;               /* 0: a fault */
	char name[IPC_NAME_MAX + 16]; /* "address 192.0.2.1"; another one for each */
	char why[64];                 /* "no answer in 200 ms" */
};

/* Sent at each change, also of a part, and for every router when a link is new. */
struct ipc_router_state {
	struct ipc_header header;
	char name[IPC_NAME_MAX];
	char interface[16];
	uint8_t vrid;
	uint8_t role, previous; /* enum ipc_router_role */
	uint8_t priority;       /* effective: */
	uint8_t configured;     /* less the weights of the parts that fail */
	uint8_t n_parts;
	bool replay;      /* no change now: for a link that is new, or that has missed one */
	bool removed;     /* the router left the configuration */
	bool handed_over; /* Active has let go of the addresses, and the peer may take them */
	uint8_t n_addresses;
	uint64_t since_us; /* CLOCK_MONOTONIC of the change */
	struct ipc_auth_mark auth_marks[KEYS_MAX];
	struct ipc_vip addresses[IPC_ADDRESSES_MAX];
	char reason[IPC_REASON_MAX];
	/* Adverts are missing, but the peer holds the VIP as it says by replication; else empty,
	 * and why it is over. */
	char alarm[IPC_REASON_MAX], alarm_over[IPC_REASON_MAX];
	char held[IPC_REASON_MAX]; /* why it stays Backup although its time has come; or "" */
	struct ipc_part parts[IPC_TRACKED_MAX];
};

/* Something worth an event that is no change of state. */
struct ipc_router_remark {
	struct ipc_header header;
	char name[IPC_NAME_MAX];
	char text[IPC_REASON_MAX];
};

/* What yoke-vrrp counts for a virtual router: name, help. */
#define IPC_ROUTER_COUNTERS(X)                                                             \
	X(adverts_sent, "Adverts that left")                                               \
	X(adverts_received, "Adverts that were accepted")                                  \
	X(send_errors, "Adverts that could not be sent")                                   \
	X(lease_refusals, "Adverts that the kernel did not let pass: no lease")            \
	X(claims_sent, "Claims sent before a promotion")                                   \
	X(claims_received, "Claims of the peer")                                           \
	X(claims_lost, "Claims given up, because somebody better was heard")               \
	X(stalls, "Times the process did not run for too long")                            \
	X(announcements_sent, "Addresses announced by ARP or neighbour advertisement")     \
	X(foreign_announcements, "Times another host said that it has a VIP that we hold") \
	X(addresses_put_back, "Addresses put back after somebody removed them")

enum ipc_promotion {
	IPC_PROMOTION_SILENCE,
	IPC_PROMOTION_RESIGNED,
	IPC_PROMOTION_PREEMPTION,
	IPC_PROMOTION_COUNT
};

/* Why an Active is it no more. */
enum ipc_departure {
	IPC_DEPARTURE_OPERATOR,
	IPC_DEPARTURE_FAULT,
	IPC_DEPARTURE_LEASE,
	IPC_DEPARTURE_ADVERT,
	IPC_DEPARTURE_CLAIM,
	IPC_DEPARTURE_SHUTDOWN,
	IPC_DEPARTURE_OTHER,
	IPC_DEPARTURE_COUNT
};

#define IPC_REFUSALS_MAX 32
#define IPC_LATENESS_MAX 16

enum ipc_lease { IPC_LEASE_MISSING, IPC_LEASE_OVER, IPC_LEASE_ALIVE };

/* Sent once a second. Sums since the virtual router was started. */
struct ipc_router_stats {
	struct ipc_header header;
	char name[IPC_NAME_MAX];
#define X(name, help) uint64_t name;
	IPC_ROUTER_COUNTERS(X)
#undef X
	uint64_t promotions[IPC_PROMOTION_COUNT];
	uint64_t departures[IPC_DEPARTURE_COUNT];
	uint64_t refused[IPC_REFUSALS_MAX]; /* by enum vrrp_refusal */

	uint64_t lateness[IPC_LATENESS_MAX]; /* by the bounds of vrrp/core/lateness.h */
	uint64_t lateness_sum_us;
	uint32_t lateness_max_us;    /* ever */
	uint32_t lateness_recent_us; /* the worst of the last minute or two */
	uint32_t tolerance_us;       /* later than so, and the lease is over */
	uint32_t silence_recent_us;  /* Backup: the longest time between two adverts, lately */
	uint32_t patience_us;        /* longer than so, and it takes over */

	uint64_t log_lost; /* lines of yoke-vrrp, of all virtual routers */

	uint8_t lease; /* enum ipc_lease */
	uint32_t lease_left_ms;
	char lease_problem[IPC_REASON_MAX]; /* why it is missing */

	uint64_t heard_us; /* the last advert of another; 0: none */
	struct addr heard_from;
	uint8_t heard_priority, heard_version;
	bool heard_plain; /* its checksum is without the pseudo-header */
	uint32_t heard_interval_us;
};

/* A tracked pool as this node's own checks see it. At each change, and now and then. */
struct ipc_pool {
	struct ipc_header header;
	char name[IPC_NAME_MAX];
	uint32_t up, total;
};

/* A tracked script has run. */
struct ipc_script {
	struct ipc_header header;
	char router[IPC_NAME_MAX];
	uint8_t vrid;
	uint8_t index; /* in the router's list of tracked things */
	bool good;
	char reason[IPC_REASON_MAX]; /* the first line that it wrote, or what became of it */
};

/* Give the VIP to the peer now. Empty name: every router. */
struct ipc_resign {
	struct ipc_header header;
	uint64_t id;
	char name[IPC_NAME_MAX];
	char reason[IPC_REASON_MAX];
};

struct ipc_resign_result {
	struct ipc_header header;
	uint64_t id;
	int32_t error;
	char text[IPC_REASON_MAX];
};

/* To yoke-vrrp, at each change and when a link is new: what the peer says of its virtual router of
 * that name. IPC_ROLE_INITIALIZE also when it says nothing any more. */
struct ipc_peer_router {
	struct ipc_header header;
	char name[IPC_NAME_MAX];
	uint8_t vrid;
	uint8_t role; /* enum ipc_router_role */
	bool handed_over;
};

/* What the yoke-vrrp of one node says to that of the other, by way of the proxies: does your kernel
 * hold the lease, and do you serve? Yes (there is no other answer). I claim the VIP, as on the wire:
 * who holds it answers with EVIDENCE. */
enum ipc_word_kind { IPC_WORD_QUESTION, IPC_WORD_EVIDENCE, IPC_WORD_CLAIM, IPC_WORD_COUNT };

struct ipc_word {
	struct ipc_header header;
	char name[IPC_NAME_MAX];
	uint8_t kind; /* enum ipc_word_kind */
	uint8_t vrid;
	uint8_t priority, flags; /* not of a question; flags of a claim: vrrp/core/packet.h */
	uint64_t stamp; /* CLOCK_MONOTONIC of the node that asks or claims; evidence: as asked */
	struct addr source; /* of the adverts of who says it; not of a question */
};

union ipc_message {
	struct ipc_header header;
#define X(type, name) struct ipc_##name name;
	IPC_TYPES(X)
#undef X
};

/* Fills the header of a message of `type`; the rest is the caller's. */
void ipc_init(union ipc_message *msg, enum ipc_type type);
const char *ipc_type_name(uint32_t type);

/* A connected pair of SOCK_SEQPACKET sockets, close-on-exec, non-blocking. 0 or -errno. */
int ipc_pair(int fds[2]);

/* Sends one message, with `fd` (or -1) beside it; the caller keeps its fd. 0; -EAGAIN when the peer
 * does not read (the caller decides whether that matters); -EPIPE/-ECONNRESET when it is gone; else
 * -errno. */
int ipc_send(int sock, const union ipc_message *msg, int fd);

/* Receives one message. *fd becomes the descriptor that came beside it (close-on-exec) or -1; a
 * descriptor that the type does not carry is closed. What is returned is safe to read whoever sent
 * it: every text ends, every count fits its array, every bool is 0 or 1; what numbers mean is the
 * caller's to check. Returns 1 for a message, 0 at EOF, -EAGAIN when there is none, -EBADMSG for a
 * malformed one (the next one can be read), else -errno. */
int ipc_recv(int sock, union ipc_message *msg, int *fd);
