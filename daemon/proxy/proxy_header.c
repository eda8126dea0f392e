#include "daemon/proxy/proxy_header.h"

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

static void count_refusal(struct worker *worker, enum proxyproto_result result)
{
	if (result == PROXYPROTO_MISSING)
		COUNT(worker, proxy_headers_missing);
	else if (result == PROXYPROTO_BAD_CHECKSUM)
		COUNT(worker, proxy_headers_checksum);
	else
		COUNT(worker, proxy_headers_malformed);
}

static enum preface_verdict read_header(struct worker *worker, struct arrival *arrival,
    const char *data, size_t len, struct preface_found *found)
{
	struct proxyproto_header header;
	enum proxyproto_result result = proxyproto_parse(data, len, &header);
	if (result == PROXYPROTO_MORE)
		return PREFACE_MORE;
	if (result != PROXYPROTO_OK) {
		count_refusal(worker, result);
		found->why = proxyproto_result_text(result);
		return PREFACE_REFUSED;
	}
	COUNT(worker, proxy_headers);
	if (header.has_addresses)
		arrival->peer = header.source;
	found->taken = header.len;
	return PREFACE_DONE;
}

const struct preface_reader proxy_header_reader = {
    .what = "PROXY header", .max = PROXYPROTO_MAX, .wanted = wanted, .read = read_header};
