#include <stdio.h>
#include <string.h>

#include "daemon/proxyproto/internal.h"

static bool are_one_family(const struct addr *a, const struct addr *b)
{
	return a->sa.sa_family == b->sa.sa_family &&
	       (a->sa.sa_family == AF_INET || a->sa.sa_family == AF_INET6);
}

size_t proxyproto_write_line(
    const struct addr *source, const struct addr *destination, char out[PROXYPROTO_LINE_MAX])
{
	static const char nothing[] = "PROXY UNKNOWN\r\n";
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX], line[PROXYPROTO_LINE_MAX + 1];
	if (!source || !destination || !are_one_family(source, destination)) {
		memcpy(out, nothing, sizeof(nothing) - 1);
		return sizeof(nothing) - 1;
	}
	int len = snprintf(line, sizeof(line), "PROXY TCP%c %s %s %u %u\r\n",
	    source->sa.sa_family == AF_INET6 ? '6' : '4', addr_format_ip(source, from),
	    addr_format_ip(destination, to), addr_port(source), addr_port(destination));
	memcpy(out, line, (size_t)len);
	return (size_t)len;
}

static void put(struct proxyproto_writer *writer, const void *data, size_t len)
{
	memcpy(writer->data + writer->len, data, len);
	writer->len += len;
}

static void put_byte(struct proxyproto_writer *writer, unsigned value)
{
	writer->data[writer->len++] = (char)value;
}

static void put_port(struct proxyproto_writer *writer, const struct addr *addr)
{
	put16(writer->data + writer->len, addr_port(addr));
	writer->len += 2;
}

void proxyproto_begin(
    struct proxyproto_writer *writer, const struct addr *source, const struct addr *destination)
{
	bool local = !source || !destination;
	bool has_addresses = !local && are_one_family(source, destination);
	unsigned family = FAMILY_UNSPEC, transport = TRANSPORT_UNSPEC;
	if (has_addresses) {
		family = source->sa.sa_family == AF_INET6 ? FAMILY_INET6 : FAMILY_INET;
		transport = TRANSPORT_STREAM;
	}
	writer->len = 0;
	put(writer, SIGNATURE, SIGNATURE_LEN);
	put_byte(writer, 2U << 4 | (local ? COMMAND_LOCAL : COMMAND_PROXY));
	put_byte(writer, family << 4 | transport);
	put(writer, "\0\0", 2); /* the length, known at the end */
	if (!has_addresses)
		return;
	size_t len;
	const uint8_t *ip = addr_bytes(source, &len);
	put(writer, ip, len);
	ip = addr_bytes(destination, &len);
	put(writer, ip, len);
	put_port(writer, source);
	put_port(writer, destination);
}

bool proxyproto_add(struct proxyproto_writer *writer, uint8_t type, struct slice value)
{
	size_t room = sizeof(writer->data) - writer->len;
	if (room < TLV_HEAD || value.len > room - TLV_HEAD)
		return false;
	put_byte(writer, type);
	put16(writer->data + writer->len, value.len);
	writer->len += 2;
	put(writer, value.p, value.len);
	return true;
}

void proxyproto_end(struct proxyproto_writer *writer, bool checksum)
{
	static const char zeros[CRC_LEN];
	bool added =
	    checksum && proxyproto_add(writer, PROXYPROTO_CRC32C, (struct slice){zeros, CRC_LEN});
	put16(writer->data + FIXED_LEN - 2, writer->len - FIXED_LEN);
	if (!added)
		return;
	char *sum = writer->data + writer->len - CRC_LEN;
	uint32_t crc = proxyproto_checksum((struct slice){writer->data, writer->len}, sum);
	put16(sum, crc >> 16);
	put16(sum + 2, crc & 0xffff);
}
