#include "daemon/proxy/proxy_header.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/proxyproto/proxyproto.h"

static bool wanted(const struct conf_listener *conf, const struct arrival *arrival)
{
	if (!conf->proxy_protocol)
		return false;
	for (uint32_t i = 0; i < conf->n_proxy_protocol_from; i++) {
		const struct conf_vip *from = &conf->proxy_protocol_from[i];
		if (addr_is_within(&arrival->peer, &from->addr, from->prefix))
			return true;
	}
	return conf->n_proxy_protocol_from == 0;
}

/* The word for it. */
static const char *count_refusal(struct worker *worker, enum proxyproto_result result)
{
	if (result == PROXYPROTO_MISSING) {
		COUNT(worker, proxy_headers_missing);
		return "no_proxy_header";
	}
	if (result == PROXYPROTO_BAD_CHECKSUM) {
		COUNT(worker, proxy_headers_checksum);
		return "proxy_header_checksum";
	}
	COUNT(worker, proxy_headers_malformed);
	return "bad_proxy_header";
}

static struct origin *origin_new(const struct proxyproto_header *header)
{
	struct origin *origin = malloc(sizeof(*origin) + header->tlvs.len);
	if (!origin)
		return NULL;
	origin->destination = header->destination;
	origin->tlvs_len = (uint32_t)header->tlvs.len;
	if (header->tlvs.len > 0)
		memcpy(origin->tlvs, header->tlvs.p, header->tlvs.len);
	return origin;
}

static enum preface_verdict read_header(struct listener *listener, struct arrival *arrival,
    const char *data, size_t len, struct preface_found *found)
{
	struct worker *worker = listener->worker;
	struct proxyproto_header header;
	enum proxyproto_result result = proxyproto_parse(data, len, &header);
	if (result == PROXYPROTO_MORE)
		return PREFACE_MORE;
	if (result != PROXYPROTO_OK) {
		found->reason = count_refusal(worker, result);
		found->why = proxyproto_result_text(result);
		return PREFACE_REFUSED;
	}
	if (header.has_addresses) {
		arrival->peer = header.source;
		arrival->origin = origin_new(&header);
		if (!arrival->origin) {
			found->reason = "no_memory";
			found->why = "out of memory";
			return PREFACE_REFUSED;
		}
	}
	COUNT(worker, proxy_headers);
	found->taken = header.len;
	return PREFACE_DONE;
}

const struct preface_reader proxy_header_reader = {
    .what = "PROXY header", .max = PROXYPROTO_MAX, .wanted = wanted, .read = read_header};

/* All but what is of that header alone. */
static void pass_tlvs(struct proxyproto_writer *writer, const struct origin *origin)
{
	struct slice tlvs = {origin->tlvs, origin->tlvs_len};
	struct proxyproto_tlv tlv;
	while (proxyproto_tlv_next(&tlvs, &tlv))
		if (tlv.type != PROXYPROTO_CRC32C && tlv.type != PROXYPROTO_NOOP)
			proxyproto_add(writer, tlv.type, tlv.value);
}

/* Where the client is connected to. */
static bool local_address(const struct conn *conn, struct addr *out)
{
	socklen_t len = sizeof(*out);
	*out = (struct addr){0};
	return getsockname(conn->io.fd, &out->sa, &len) == 0;
}

bool proxy_header_put(struct buf *buf, const struct conf_pool *pool, const struct conn *conn,
    const struct addr *peer, const struct origin *origin)
{
	const struct conf_send_proxy *conf = &pool->send_proxy;
	struct proxyproto_writer writer;
	struct addr destination;
	if (origin)
		destination = origin->destination;
	else if (!local_address(conn, &destination))
		return false;
	if (conf->version == CONF_PROXY_V1) {
		writer.len = proxyproto_write_line(peer, &destination, writer.data);
	} else {
		proxyproto_begin(&writer, peer, &destination);
		if (origin && conf->pass_tlvs)
			pass_tlvs(&writer, origin);
		proxyproto_end(&writer, conf->crc32c);
	}
	return buf_append(buf, writer.data, writer.len);
}
