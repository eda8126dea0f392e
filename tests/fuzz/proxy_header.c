/* Any bytes as the beginning of a connection: whatever is cut off, the verdict does not change; what
 * is accepted lies within the bytes; written anew it is read as the same. */
#include <stdlib.h>
#include <string.h>

#include "daemon/proxyproto/proxyproto.h"
#include "tests/fuzz/fuzz.h"

/* From a copy without a byte behind it. */
static enum proxyproto_result parse_cut(const char *text, size_t len)
{
	struct proxyproto_header header;
	char *copy = malloc(len ? len : 1);
	require(copy != NULL);
	memcpy(copy, text, len);
	enum proxyproto_result result = proxyproto_parse(copy, len, &header);
	require(result != PROXYPROTO_OK || header.len == len);
	free(copy);
	return result;
}

static void check_cuts(const char *text, size_t len, enum proxyproto_result whole)
{
	/* Each cut near both ends, some in between. */
	for (size_t cut = 0; cut < len; cut += cut < 256 || len - cut < 64 ? 1 : 61) {
		enum proxyproto_result result = parse_cut(text, cut);
		require(result == PROXYPROTO_MORE || (result == whole && result != PROXYPROTO_OK));
	}
}

static void check_line(const struct proxyproto_header *header)
{
	char line[PROXYPROTO_LINE_MAX];
	struct proxyproto_header again;
	size_t len = proxyproto_write_line(&header->source, &header->destination, line);
	require(len <= sizeof(line) && proxyproto_parse(line, len, &again) == PROXYPROTO_OK);
	require(again.len == len && again.has_addresses);
	require(addr_equal(&again.source, &header->source) &&
		addr_equal(&again.destination, &header->destination));
}

/* With all TLVs but an old checksum, and a new one. */
static void check_binary(const struct proxyproto_header *header)
{
	static struct proxyproto_writer writer;
	struct slice tlvs = header->tlvs, kept = {0};
	struct proxyproto_header again;
	struct proxyproto_tlv tlv, tlv_again;
	proxyproto_begin(&writer, &header->source, &header->destination);
	while (proxyproto_tlv_next(&tlvs, &tlv))
		if (tlv.type != PROXYPROTO_CRC32C)
			require(proxyproto_add(&writer, tlv.type, tlv.value));
	require(tlvs.len == 0);
	proxyproto_end(&writer, true);
	require(proxyproto_parse(writer.data, writer.len, &again) == PROXYPROTO_OK);
	require(again.len == writer.len && again.has_addresses);
	require(addr_equal(&again.source, &header->source) &&
		addr_equal(&again.destination, &header->destination));
	tlvs = header->tlvs;
	kept = again.tlvs;
	while (proxyproto_tlv_next(&tlvs, &tlv)) {
		if (tlv.type == PROXYPROTO_CRC32C)
			continue;
		require(proxyproto_tlv_next(&kept, &tlv_again) && tlv.type == tlv_again.type);
		require(slice_equal(tlv.value, tlv_again.value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct proxyproto_header header;
	enum proxyproto_result result = proxyproto_parse(text, size, &header);
	require(proxyproto_result_text(result) != NULL);
	require(result != PROXYPROTO_MORE || size < PROXYPROTO_MAX);
	check_cuts(text, result == PROXYPROTO_OK ? header.len : size, result);
	if (result != PROXYPROTO_OK)
		return 0;
	require(header.len <= size && header.len <= PROXYPROTO_MAX);
	require(header.has_addresses || header.tlvs.len == 0);
	if (header.tlvs.len > 0)
		require(
		    header.tlvs.p >= text && header.tlvs.p + header.tlvs.len == text + header.len);
	if (header.has_addresses) {
		check_line(&header);
		check_binary(&header);
	}
	return 0;
}
