#include "vrrp/core/fence.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "vrrp/core/packet.h"

#define JIFFY_MS 4     /* at 250 Hz, as Debian has it */
#define SHORT_US 40000 /* intervals below have no jiffy to spare */

static const uint8_t token_magic[4] = {'y', 'o', 'k', 'e'};

static uint8_t token_family(const struct vrrp_fence_id *id)
{
	return id->family == AF_INET6 ? 6 : 4;
}

uint32_t vrrp_claim_beat_us(uint32_t interval_us)
{
	return interval_us / 20 < 2000 ? interval_us / 20 : 2000;
}

uint32_t vrrp_claim_us(uint32_t interval_us)
{
	return 5 * vrrp_claim_beat_us(interval_us);
}

uint32_t vrrp_answer_us(void)
{
	return 200 * US_PER_MS;
}

static uint32_t to_ms_up(uint64_t us)
{
	return (uint32_t)((us + US_PER_MS - 1) / US_PER_MS);
}

static uint32_t lease_ms(uint32_t interval_us)
{
	if (interval_us < SHORT_US)
		return (uint32_t)(2 * (uint64_t)interval_us / US_PER_MS);
	return (uint32_t)(2 * (uint64_t)interval_us / US_PER_MS) -
	       to_ms_up(vrrp_claim_beat_us(interval_us)) - JIFFY_MS;
}

struct vrrp_fence_times vrrp_fence_times(uint32_t interval_us, uint32_t active_interval_us)
{
	uint32_t claim_us = vrrp_claim_us(interval_us), beat_us = vrrp_claim_beat_us(interval_us);
	struct vrrp_fence_times times = {
	    .lease_ms = lease_ms(interval_us),
	    .permit_ms = to_ms_up(claim_us) + 2 * JIFFY_MS,
	    .peer_ms =
		(uint32_t)((3 * (uint64_t)active_interval_us - vrrp_claim_us(active_interval_us)) /
			   US_PER_MS),
	};
	times.claim_ms = times.permit_ms + to_ms_up(beat_us) + 2 * JIFFY_MS;
	return times;
}

uint32_t vrrp_claim_outbid_us(uint32_t interval_us)
{
	struct vrrp_fence_times times = vrrp_fence_times(interval_us, interval_us);
	return (uint32_t)((times.claim_ms + JIFFY_MS) * US_PER_MS);
}

/* The language knows more characters, but not everywhere; '*' would be a pattern. */
static bool writable(const char *interface)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	return interface[0] && interface[strspn(interface, letters)] == '\0';
}

/* No name of an IPv4 fence looks like one of IPv6: there a digit follows the prefix. */
int vrrp_fence_name(const struct vrrp_fence_id *id, char name[VRRP_FENCE_NAME_MAX], struct err *err)
{
	if (!writable(id->interface) || strlen(id->interface) > 15)
		return err_set(
		    err, -EINVAL, "nftables cannot name the interface \"%s\"", id->interface);
	snprintf(name, VRRP_FENCE_NAME_MAX, VRRP_FENCE_PREFIX "%s%u_%s",
	    id->family == AF_INET6 ? "v6_" : "", id->vrid, id->interface);
	return 0;
}

bool vrrp_fence_parse_name(const char *name, struct vrrp_fence_id *id)
{
	static const char prefix[] = VRRP_FENCE_PREFIX, v6[] = "v6_";
	char again[VRRP_FENCE_NAME_MAX], *end;
	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return false;
	const char *number = name + sizeof(prefix) - 1;
	bool is_v6 = strncmp(number, v6, sizeof(v6) - 1) == 0;
	unsigned long vrid = strtoul(is_v6 ? number + sizeof(v6) - 1 : number, &end, 10);
	if (vrid < 1 || vrid > UINT8_MAX || *end != '_')
		return false;
	struct vrrp_fence_id found = {is_v6 ? AF_INET6 : AF_INET, (uint8_t)vrid, end + 1};
	if (vrrp_fence_name(&found, again, NULL) || strcmp(again, name) != 0)
		return false;
	*id = found;
	return true;
}

/* ---- writing ---- */

struct writer {
	char *text;
	size_t len;
};

static void put(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What does not fit is counted, so that the caller sees it in the end. */
static void put(struct writer *w, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	size_t room = w->len < VRRP_FENCE_TEXT_MAX ? VRRP_FENCE_TEXT_MAX - w->len : 0;
	int n = vsnprintf(room ? w->text + w->len : NULL, room, fmt, args);
	va_end(args);
	w->len += n > 0 ? (size_t)n : 0;
}

static bool is_ipv6(const struct vrrp_fence *fence)
{
	return fence->id.family == AF_INET6;
}

static const char *ip_of(const struct vrrp_fence *fence)
{
	return is_ipv6(fence) ? "ip6" : "ip";
}

static void put_addresses(struct writer *w, const struct vrrp_fence *fence)
{
	char text[ADDR_TEXT_MAX];
	put(w, "{ ");
	for (unsigned i = 0; i < fence->n_addresses; i++)
		put(w, "%s%s", i ? ", " : "", addr_format_ip(&fence->addresses[i], text));
	put(w, " }");
}

/* The target of a neighbour solicitation or advertisement: bytes 8 to 23 of the message. The
 * language of Debian 12 has no word for it. */
static void put_targets(struct writer *w, const struct vrrp_fence *fence)
{
	put(w, "@th,64,128 { ");
	for (unsigned i = 0; i < fence->n_addresses; i++) {
		put(w, "%s0x", i ? ", " : "");
		for (unsigned j = 0; j < 16; j++)
			put(w, "%02x", fence->addresses[i].in6.sin6_addr.s6_addr[j]);
	}
	put(w, " }");
}

/* The key of an element must be something that every packet has, and the same in both directions
 * and for ARP as for IP: the type of the interface. */
#define IN  "meta iiftype"
#define OUT "meta oiftype"

static void put_sets(struct writer *w)
{
	static const char *const names[] = {"lease", "permit", "peer", "claim"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(w, "\tset %s { type iface_type; size 256; flags dynamic,timeout; }\n",
		    names[i]);
}

/* Chains that what we send goes through. @th: the VRRP message. An expression that changes a set
 * ends its rule when it finds nothing to change. */
static void put_speaking(
    struct writer *w, const struct vrrp_fence *fence, const struct vrrp_fence_times *times)
{
	unsigned advert = VRRP_FIRST_BYTE(fence->version, VRRP_TYPE_ADVERT);
	put(w,
	    "\tchain advert {\n"
	    "\t\t" OUT " @lease update @lease { " OUT " timeout %ums } accept\n"
	    "\t\t" OUT " @permit " OUT " != @peer " OUT " != @claim"
	    " update @lease { " OUT " timeout %ums } accept\n"
	    "\t\tdrop\n"
	    "\t}\n",
	    times->lease_ms, times->lease_ms);
	put(w, "\tchain release {\n"
	       "\t\tdelete @permit { " OUT " }\n"
	       "\t\tdelete @lease { " OUT " }\n"
	       "\t}\n");
	put(w, "\tchain permit {\n\t\tupdate @permit { " OUT " timeout %ums }\n\t}\n",
	    times->permit_ms);
	put(w, "\tchain override {\n"
	       "\t\tdelete @peer { " OUT " }\n"
	       "\t\tgoto permit\n"
	       "\t}\n");
	put(w,
	    "\tchain vrrp_out {\n"
	    "\t\t@th,0,8 0x%02x @th,16,8 0 goto release\n"
	    "\t\t@th,0,8 0x%02x goto advert\n",
	    advert, advert);
	if (fence->version == VRRP_VERSION)
		put(w,
		    "\t\t@th,0,8 0x%02x @th,32,8 & 0x%02x == 0x%02x goto override\n"
		    "\t\t@th,0,8 0x%02x goto permit\n",
		    VRRP_FIRST_BYTE_CLAIM, VRRP_CLAIM_OVERRIDES << 4, VRRP_CLAIM_OVERRIDES << 4,
		    VRRP_FIRST_BYTE_CLAIM);
	put(w,
	    "\t}\n"
	    "\tchain token {\n"
	    "\t\t@nh,48,8 vmap { %u : goto advert, %u : goto release, %u : goto permit,"
	    " %u : goto override }\n"
	    "\t}\n",
	    VRRP_TOKEN_RENEW, VRRP_TOKEN_RELEASE, VRRP_TOKEN_PERMIT, VRRP_TOKEN_OVERRIDE);
}

static void put_hearing(
    struct writer *w, const struct vrrp_fence *fence, const struct vrrp_fence_times *times)
{
	unsigned advert = VRRP_FIRST_BYTE(fence->version, VRRP_TYPE_ADVERT);
	put(w,
	    "\tchain vrrp_in {\n"
	    "\t\t@th,0,8 0x%02x @th,16,8 0 delete @peer { " IN " }\n"
	    "\t\t@th,0,8 0x%02x @th,16,8 != 0 update @peer { " IN " timeout %ums }\n",
	    advert, advert, times->peer_ms);
	if (fence->version == VRRP_VERSION)
		put(w, "\t\t@th,0,8 0x%02x update @claim { " IN " timeout %ums }\n",
		    VRRP_FIRST_BYTE_CLAIM, times->claim_ms);
	put(w, "\t}\n");
}

static void put_hook(struct writer *w, const struct vrrp_fence *fence, const char *hook)
{
	put(w, "\tchain %s {\n\t\ttype filter hook %s devices = { \"%s\"", hook, hook,
	    fence->id.interface);
	if (fence->advert_path)
		put(w, ", \"%s\"", fence->advert_path);
	put(w, " } priority -300; policy accept;\n");
}

/* Who asks for the addresses gets no answer. The peer's announcements pass: ARP whose sender is the
 * address. */
static void put_questions(struct writer *w, const struct vrrp_fence *fence)
{
	if (is_ipv6(fence)) {
		put(w, "\t\ticmpv6 type nd-neighbor-solicit ");
		put_targets(w, fence);
	} else {
		put(w, "\t\tarp operation request arp daddr ip ");
		put_addresses(w, fence);
		put(w, " arp saddr ip != ");
		put_addresses(w, fence);
	}
	put(w, " " IN " != @lease drop\n");
}

/* Nobody is told that the addresses are here: neither by an answer nor by a question of ours. Of IPv6
 * nothing leaves from them: unlike IPv4, it goes on where the address is gone. */
static void put_claims_of_address(struct writer *w, const struct vrrp_fence *fence)
{
	if (is_ipv6(fence)) {
		put(w, "\t\ticmpv6 type nd-neighbor-advert ");
		put_targets(w, fence);
		put(w, " " OUT " != @lease drop\n\t\tip6 saddr ");
	} else {
		put(w, "\t\tarp saddr ip ");
	}
	put_addresses(w, fence);
	put(w, " " OUT " != @lease drop\n");
}

/* Nothing to the virtual MAC, nothing from it, whatever it is; `at`: destination or source. Not
 * "ether daddr": on the way out that would look for the interface of the way in. */
static void put_virtual_mac(
    struct writer *w, const struct vrrp_fence *fence, unsigned at, const char *key)
{
	const uint8_t *mac = fence->virtual_mac;
	if (mac)
		put(w, "\t\t@ll,%u,48 0x%02x%02x%02x%02x%02x%02x %s != @lease drop\n", at, mac[0],
		    mac[1], mac[2], mac[3], mac[4], mac[5], key);
}

/* "ip protocol 112 @th,8,8 51 " */
static void put_vrrp(struct writer *w, const struct vrrp_fence *fence)
{
	put(w, "\t\t%s %d @th,8,8 %u ", is_ipv6(fence) ? "ip6 nexthdr" : "ip protocol",
	    VRRP_PROTOCOL, fence->id.vrid);
}

static void put_ingress(struct writer *w, const struct vrrp_fence *fence)
{
	char source[ADDR_TEXT_MAX];
	put_hook(w, fence, "ingress");
	put(w, "\t\t%s daddr ", ip_of(fence));
	put_addresses(w, fence);
	put(w, " " IN " != @lease drop\n");
	put_questions(w, fence);
	put_virtual_mac(w, fence, 0, IN);
	put_vrrp(w, fence);
	put(w, "%s >= %u %s saddr != %s goto vrrp_in\n\t}\n",
	    is_ipv6(fence) ? "ip6 hoplimit" : "ip ttl", fence->ttl_min, ip_of(fence),
	    addr_format_ip(fence->source, source));
}

static void put_egress(struct writer *w, const struct vrrp_fence *fence)
{
	put_hook(w, fence, "egress");
	put_vrrp(w, fence);
	put(w, "goto vrrp_out\n");
	put_claims_of_address(w, fence);
	put_virtual_mac(w, fence, 48, OUT);
	put(w,
	    "\t\tether type 0x%04x @nh,0,32 0x%02x%02x%02x%02x @nh,32,16 0x%02x%02x goto token\n"
	    "\t}\n",
	    VRRP_TOKEN_ETHERTYPE, token_magic[0], token_magic[1], token_magic[2], token_magic[3],
	    token_family(&fence->id), fence->id.vrid);
}

/* By default Linux answers ARP for any of its addresses on any of its interfaces: another one on
 * this segment would answer beside the fence. A virtual MAC has an interface of its own. */
static void put_other_interfaces(struct writer *w, const struct vrrp_fence *fence, const char *name)
{
	put(w, "add table arp %s\ndelete table arp %s\ntable arp %s {\n", name, name, name);
	put(w,
	    "\tchain input {\n\t\ttype filter hook input priority -300; policy accept;\n"
	    "\t\tiifname != \"%s\" ",
	    fence->id.interface);
	if (fence->virtual_mac)
		put(w, "iifname != \"yv4-%u-*\" ", fence->id.vrid);
	put(w, "arp operation request arp daddr ip ");
	put_addresses(w, fence);
	put(w, " drop\n\t}\n}\n");
}

/* A chain with a hook cannot get other interfaces: it is made anew. */
static void put_clearing(struct writer *w, const char *name, enum vrrp_fence_mode mode)
{
	if (mode == VRRP_FENCE_FRESH)
		put(w, "delete table netdev %s\n", name);
	else
		put(w,
		    "flush table netdev %s\ndelete chain netdev %s ingress\n"
		    "delete chain netdev %s egress\n",
		    name, name, name);
}

int vrrp_fence_text(const struct vrrp_fence *fence, enum vrrp_fence_mode mode,
    char text[VRRP_FENCE_TEXT_MAX], struct err *err)
{
	char name[VRRP_FENCE_NAME_MAX];
	struct writer w = {.text = text};
	int rc = vrrp_fence_name(&fence->id, name, err);
	if (rc)
		return rc;
	if (fence->advert_path && !writable(fence->advert_path))
		return err_set(
		    err, -EINVAL, "nftables cannot name the interface \"%s\"", fence->advert_path);
	struct vrrp_fence_times times =
	    vrrp_fence_times(fence->interval_us, fence->active_interval_us);
	put(&w, "add table netdev %s\n", name);
	put_clearing(&w, name, mode);
	put(&w, "table netdev %s {\n", name);
	put_sets(&w);
	put_speaking(&w, fence, &times);
	put_hearing(&w, fence, &times);
	put_ingress(&w, fence);
	put_egress(&w, fence);
	put(&w, "}\n");
	if (!is_ipv6(fence))
		put_other_interfaces(&w, fence, name);
	if (w.len >= VRRP_FENCE_TEXT_MAX)
		return err_set(err, -E2BIG, "too many addresses for the fence");
	return (int)w.len;
}

void vrrp_fence_token(enum vrrp_token kind, const struct vrrp_fence_id *id, const uint8_t mac[6],
    uint8_t frame[VRRP_TOKEN_LEN])
{
	memset(frame, 0, VRRP_TOKEN_LEN);
	memcpy(frame, mac, 6);
	memcpy(frame + 6, mac, 6);
	frame[12] = VRRP_TOKEN_ETHERTYPE >> 8;
	frame[13] = VRRP_TOKEN_ETHERTYPE & 0xff;
	memcpy(frame + 14, token_magic, sizeof(token_magic));
	frame[18] = token_family(id);
	frame[19] = id->vrid;
	frame[20] = (uint8_t)kind;
}
