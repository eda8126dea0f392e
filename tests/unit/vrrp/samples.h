/* VRRP messages for tests, and how they travelled. Those with a program's name were recorded on the
 * wire: keepalived 2.2.7 and FRR vrrpd 8.4.4, VRID 50. Both put the pseudo-header into the checksum
 * of VRRPv3 over IPv4. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "vrrp/core/packet.h"

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define SAMPLE_MAX 64

struct sample {
	const char *source, *destination;
	uint8_t version, priority, n_addresses;
	uint16_t interval_cs;
	enum vrrp_checksum form;
	size_t len;
	uint8_t bytes[SAMPLE_MAX];
};

enum {
	KEEPALIVED,
	KEEPALIVED_VMAC,
	KEEPALIVED_50CS,
	FRR,
	PLAIN,
	KEEPALIVED_V2,
	FRR_V2,
	KEEPALIVED_IPV6,
	FRR_IPV6,
	SAMPLE_COUNT
};

static const struct sample samples[SAMPLE_COUNT] = {
    [KEEPALIVED] = {"10.96.0.1", "224.0.0.18", 3, 150, 1, 100, VRRP_CHECKSUM_PSEUDO, 12,
	{0x31, 0x32, 0x96, 0x01, 0x00, 0x64, 0x42, 0xe6, 0x0a, 0x60, 0x00, 0x32}},
    [KEEPALIVED_VMAC] = {"10.96.0.1", "224.0.0.18", 3, 200, 1, 100, VRRP_CHECKSUM_PSEUDO, 12,
	{0x31, 0x32, 0xc8, 0x01, 0x00, 0x64, 0x10, 0xe6, 0x0a, 0x60, 0x00, 0x32}},
    [KEEPALIVED_50CS] = {"10.96.0.1", "224.0.0.18", 3, 200, 1, 50, VRRP_CHECKSUM_PSEUDO, 12,
	{0x31, 0x32, 0xc8, 0x01, 0x00, 0x32, 0x11, 0x18, 0x0a, 0x60, 0x00, 0x32}},
    [FRR] = {"10.96.0.2", "224.0.0.18", 3, 120, 1, 100, VRRP_CHECKSUM_PSEUDO, 12,
	{0x31, 0x32, 0x78, 0x01, 0x00, 0x64, 0x60, 0xe5, 0x0a, 0x60, 0x00, 0x32}},
    /* Added up by hand: 3132 + 9601 + 0064 + 0a60 + 0032 = d229, complement 2dd6. */
    [PLAIN] = {"10.96.0.1", "224.0.0.18", 3, 150, 1, 100, VRRP_CHECKSUM_PLAIN, 12,
	{0x31, 0x32, 0x96, 0x01, 0x00, 0x64, 0x2d, 0xd6, 0x0a, 0x60, 0x00, 0x32}},
    [KEEPALIVED_V2] = {"10.96.0.1", "224.0.0.18", 2, 150, 1, 100, VRRP_CHECKSUM_PLAIN, 20,
	{0x21, 0x32, 0x96, 0x01, 0x00, 0x01, 0x3e, 0x39, 0x0a, 0x60, 0x00, 0x32}},
    [FRR_V2] = {"10.96.0.2", "224.0.0.18", 2, 120, 1, 100, VRRP_CHECKSUM_PLAIN, 20,
	{0x21, 0x32, 0x78, 0x01, 0x00, 0x01, 0x5c, 0x39, 0x0a, 0x60, 0x00, 0x32}},
    [KEEPALIVED_IPV6] = {"fe80::1", "ff02::12", 3, 150, 2, 100, VRRP_CHECKSUM_PSEUDO, 40,
	{0x31, 0x32, 0x96, 0x02, 0x00, 0x64, 0x0d, 0x5e, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0x50, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50}},
    [FRR_IPV6] = {"fe80::50", "ff02::12", 3, 120, 2, 100, VRRP_CHECKSUM_PSEUDO, 40,
	{0x31, 0x32, 0x78, 0x02, 0x00, 0x64, 0x2b, 0x0f, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0x50, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50}},
};

static inline struct addr ip(const char *text)
{
	struct addr addr;
	if (!addr_parse_ip(text, &addr))
		abort();
	return addr;
}

static inline bool sample_is_ipv6(const struct sample *sample)
{
	return strchr(sample->source, ':') != NULL;
}

static inline struct vrrp_received sample_received(
    const struct sample *sample, const uint8_t *data, size_t len)
{
	return (struct vrrp_received){
	    .data = data,
	    .len = len,
	    .ttl = VRRP_TTL,
	    .source = ip(sample->source),
	    .destination = ip(sample->destination),
	};
}

static inline struct vrrp_expect sample_expect(const struct sample *sample)
{
	return (struct vrrp_expect){
	    .version = sample->version,
	    .vrid = 50,
	    .ttl_min = VRRP_TTL,
	    .ttl_max = VRRP_TTL,
	    .interval_cs = sample->interval_cs,
	    .self = ip(sample_is_ipv6(sample) ? "fe80::9" : "10.96.0.9"),
	};
}

static inline enum vrrp_refusal sample_parse(
    const struct vrrp_received *packet, const struct vrrp_expect *expect)
{
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	return vrrp_parse(packet, expect, &advert, &form);
}

/* The sum of 16 bit words, added up in another way than the code under test does. */
static inline uint32_t sample_add_up(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

/* Makes the checksum right again after a change of the copy `p` of a sample. */
static inline void sample_mend(const struct sample *sample, uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	if (sample->form == VRRP_CHECKSUM_PSEUDO) {
		struct addr ends[2] = {ip(sample->source), ip(sample->destination)};
		for (int i = 0; i < 2; i++)
			sum += ends[i].sa.sa_family == AF_INET6
				   ? sample_add_up(ends[i].in6.sin6_addr.s6_addr, 16)
				   : sample_add_up((const uint8_t *)&ends[i].in.sin_addr, 4);
		sum += 112 + (uint32_t)len;
	}
	p[6] = p[7] = 0;
	sum += sample_add_up(p, len);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[6] = (uint8_t)(sum >> 8);
	p[7] = (uint8_t)sum;
}
