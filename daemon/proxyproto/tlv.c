#include <string.h>

#include "daemon/proxyproto/internal.h"

#define UNIQUE_ID_MAX 128
#define SSL_FIXED     5 /* client, verify */

bool proxyproto_tlv_next(struct slice *tlvs, struct proxyproto_tlv *out)
{
	if (tlvs->len < TLV_HEAD)
		return false;
	size_t len = get16(tlvs->p + 1);
	if (len > tlvs->len - TLV_HEAD)
		return false;
	out->type = (uint8_t)tlvs->p[0];
	out->value = (struct slice){tlvs->p + TLV_HEAD, len};
	tlvs->p += TLV_HEAD + len;
	tlvs->len -= TLV_HEAD + len;
	return true;
}

static bool fills(struct slice tlvs)
{
	struct proxyproto_tlv tlv;
	while (proxyproto_tlv_next(&tlvs, &tlv))
		continue;
	return tlvs.len == 0;
}

static bool is_sound(const struct proxyproto_tlv *tlv)
{
	struct slice value = tlv->value;
	switch (tlv->type) {
	case PROXYPROTO_CRC32C: return value.len == CRC_LEN;
	case PROXYPROTO_UNIQUE_ID: return value.len <= UNIQUE_ID_MAX;
	case PROXYPROTO_SSL:
		return value.len >= SSL_FIXED &&
		       fills((struct slice){value.p + SSL_FIXED, value.len - SSL_FIXED});
	default: return true;
	}
}

/* Four bits at a time: a header has about a hundred bytes, and comes once a connection. */
static uint32_t crc_step(uint32_t crc, uint8_t byte)
{
	static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
	    0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6,
	    0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
	crc ^= byte;
	crc = crc >> 4 ^ table[crc & 15];
	return crc >> 4 ^ table[crc & 15];
}

uint32_t proxyproto_checksum(struct slice header, const char *sum)
{
	uint32_t crc = UINT32_MAX;
	for (const char *at = header.p; at < header.p + header.len; at++) {
		bool is_sum = at >= sum && at < sum + CRC_LEN;
		crc = crc_step(crc, is_sum ? 0 : (uint8_t)*at);
	}
	return ~crc;
}

static uint32_t get32(const char *at)
{
	return (uint32_t)get16(at) << 16 | (uint32_t)get16(at + 2);
}

enum proxyproto_result proxyproto_check_tlvs(struct slice header, struct slice tlvs)
{
	const char *sum = NULL;
	struct proxyproto_tlv tlv;
	while (proxyproto_tlv_next(&tlvs, &tlv)) {
		/* Of two checksums each would be computed with the other in it. */
		bool again = tlv.type == PROXYPROTO_CRC32C && sum;
		if (!is_sound(&tlv) || again)
			return PROXYPROTO_BAD_TLV;
		if (tlv.type == PROXYPROTO_CRC32C)
			sum = tlv.value.p;
	}
	if (tlvs.len > 0)
		return PROXYPROTO_BAD_TLV;
	if (sum && proxyproto_checksum(header, sum) != get32(sum))
		return PROXYPROTO_BAD_CHECKSUM;
	return PROXYPROTO_OK;
}
