#include "vrrp/core/echo.h"

#include <string.h>

/* type, code, checksum, ident, sequence (each 16 bits but the first two), nonce */
#define AT_CHECKSUM 2
#define AT_IDENT    4
#define AT_SEQUENCE 6
#define AT_NONCE    8

enum { ECHO_REPLY = 0, ECHO_REQUEST = 8, ECHO_REQUEST6 = 128, ECHO_REPLY6 = 129 };

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* 0 over a message whose checksum is right. */
static uint16_t checksum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(data + i);
	if (len % 2)
		sum += (uint32_t)data[len - 1] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

void vrrp_echo_request(bool ipv6, uint16_t ident, uint64_t nonce, uint8_t out[VRRP_ECHO_LEN])
{
	memset(out, 0, VRRP_ECHO_LEN);
	out[0] = ipv6 ? ECHO_REQUEST6 : ECHO_REQUEST;
	put16(out + AT_IDENT, ident);
	put16(out + AT_SEQUENCE, (uint16_t)nonce);
	memcpy(out + AT_NONCE, &nonce, sizeof(nonce));
	if (!ipv6)
		put16(out + AT_CHECKSUM, checksum(out, VRRP_ECHO_LEN));
}

bool vrrp_echo_answer(bool ipv6, uint16_t ident, const uint8_t *data, size_t len, uint64_t *nonce)
{
	if (len != VRRP_ECHO_LEN || data[0] != (ipv6 ? ECHO_REPLY6 : ECHO_REPLY) || data[1] != 0 ||
	    get16(data + AT_IDENT) != ident || (!ipv6 && checksum(data, len) != 0))
		return false;
	memcpy(nonce, data + AT_NONCE, sizeof(*nonce));
	return get16(data + AT_SEQUENCE) == (uint16_t)*nonce;
}
