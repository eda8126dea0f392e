/* The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt of 2020-03-05): what a
 * proxy says about a client before the first byte of the stream. Pure: memory in, facts out; any
 * thread may call it. Slices point into the caller's buffer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/text.h"

/* The longest header that is read or written. Version 1 may have 107 bytes, version 2 16 + 65535;
 * without TLVs it has at most 232. */
#define PROXYPROTO_MAX 4096

/* Results; those behind MORE are refusals. */
#define PROXYPROTO_RESULTS(X)                                                  \
	X(OK, "complete")                                                      \
	X(MORE, "not complete")                                                \
	X(MISSING, "missing")                                                  \
	X(BAD_LINE, "version 1: not as in the grammar")                        \
	X(BAD_ADDRESS, "version 1: not an address or port")                    \
	X(LONG_LINE, "version 1: no end of line in 107 bytes")                 \
	X(BAD_VERSION, "neither version 1 nor 2")                              \
	X(BAD_COMMAND, "version 2: neither LOCAL nor PROXY")                   \
	X(BAD_FAMILY, "version 2: unknown address family or transport")        \
	X(BAD_LENGTH, "version 2: too short for its addresses")                \
	X(TOO_LONG, "version 2: longer than 4096 bytes")                       \
	X(BAD_TLV, "version 2: a TLV does not fit, or is not as it should be") \
	X(BAD_CHECKSUM, "version 2: wrong CRC32C")

enum proxyproto_result {
#define X(name, text) PROXYPROTO_##name,
	PROXYPROTO_RESULTS(X)
#undef X
	    PROXYPROTO_RESULT_COUNT
};

/* For logs. */
const char *proxyproto_result_text(enum proxyproto_result result);

struct proxyproto_header {
	size_t len; /* the stream begins behind them */
	uint8_t version;
	/* Who spoke to whom. False: nothing is said about it (LOCAL, UNKNOWN, UNSPEC, and also what
	 * is no stream over IP), and the connection's own addresses count. Ports may be 0. */
	bool has_addresses;
	struct addr source, destination;
	struct slice tlvs; /* raw, for proxyproto_tlv_next; none without addresses */
};

/* Reads a header at the beginning of `len` bytes. MORE: so far it may be one. A refusal comes with the
 * first byte that tells (in version 1 at the latest with the end of the line) and more bytes do not
 * change it. *out is set with OK only. What is behind LOCAL, and behind a family that is no IP, is
 * skipped unread, as the protocol demands; TLVs are checked otherwise, a CRC32C among them, too. */
enum proxyproto_result proxyproto_parse(
    const char *data, size_t len, struct proxyproto_header *out);

/* TLVs that are known here; others are passed on as they are. */
enum proxyproto_tlv_type {
	PROXYPROTO_ALPN = 0x01,
	PROXYPROTO_AUTHORITY = 0x02,
	PROXYPROTO_CRC32C = 0x03,
	PROXYPROTO_NOOP = 0x04,
	PROXYPROTO_UNIQUE_ID = 0x05,
	PROXYPROTO_SSL = 0x20,
	PROXYPROTO_NETNS = 0x30
};

struct proxyproto_tlv {
	uint8_t type;
	struct slice value;
};

/* Takes the first one off *tlvs. False: there is none, or it does not fit (then *tlvs is not empty).
 * The value of PROXYPROTO_SSL is 5 bytes (what the client presented, the result of the verification)
 * and TLVs again. */
bool proxyproto_tlv_next(struct slice *tlvs, struct proxyproto_tlv *out);

/* Writes a header of version 1 and returns its length. Without addresses (NULL), or with those of two
 * families, it is UNKNOWN. */
#define PROXYPROTO_LINE_MAX 107
size_t proxyproto_write_line(
    const struct addr *source, const struct addr *destination, char out[PROXYPROTO_LINE_MAX]);

/* Writes one of version 2: begin, add TLVs, end. Without addresses it is LOCAL and has no TLVs; with
 * those of two families it is PROXY of family UNSPEC. */
struct proxyproto_writer {
	char data[PROXYPROTO_MAX];
	size_t len;
};

void proxyproto_begin(
    struct proxyproto_writer *writer, const struct addr *source, const struct addr *destination);
/* False, and nothing is written, if it does not fit any more. */
bool proxyproto_add(struct proxyproto_writer *writer, uint8_t type, struct slice value);
/* Adds the checksum, if it is wanted, and fits; then the header is complete. */
void proxyproto_end(struct proxyproto_writer *writer, bool checksum);
