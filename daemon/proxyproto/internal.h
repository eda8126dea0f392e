/* What the files of this directory share. */
#pragma once

#include "daemon/proxyproto/proxyproto.h"

/* Of version 2. */
#define SIGNATURE     "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_LEN 12
#define FIXED_LEN     16 /* signature, version and command, family and transport, length */
#define TLV_HEAD      3
#define CRC_LEN       4

enum { COMMAND_LOCAL, COMMAND_PROXY };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX, FAMILY_COUNT };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DGRAM, TRANSPORT_COUNT };

static inline size_t get16(const char *at)
{
	return (size_t)(uint8_t)at[0] << 8 | (uint8_t)at[1];
}

static inline void put16(char *at, size_t value)
{
	at[0] = (char)(value >> 8);
	at[1] = (char)value;
}

/* OK, BAD_TLV or BAD_CHECKSUM. `header` is the whole of it, `tlvs` its end. */
enum proxyproto_result proxyproto_check_tlvs(struct slice header, struct slice tlvs);
/* CRC32C (RFC 9260 appendix A) of `header`, with zeros in the place of the four bytes at `sum`. */
uint32_t proxyproto_checksum(struct slice header, const char *sum);
