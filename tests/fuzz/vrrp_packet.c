/* Arbitrary bytes as a VRRP message. What is accepted is within its bounds, and survives being
 * written and read again. The first two bytes of the input choose TTL and policy. */
#include <stdlib.h>
#include <string.h>

#include "vrrp/core/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct vrrp_received packet = {.data = data + 2, .len = size - 2, .ttl = data[0]};
	struct vrrp_expect expect = {
	    .vrid = size > 3 ? data[3] : 1,
	    .version = VRRP_VERSION,
	    .ttl_min = 254,
	    .ttl_max = VRRP_TTL,
	    .checksum = (enum vrrp_accept)(data[1] % 3),
	    .only_peer = data[1] & 0x80,
	};
	addr_parse_ip("10.96.0.1", &packet.source);
	addr_parse_ip("224.0.0.18", &packet.destination);
	addr_parse_ip(data[1] & 0x40 ? "10.96.0.1" : "10.96.0.9", &expect.self);
	addr_parse_ip("10.96.0.1", &expect.peer);

	struct vrrp_advert first, second;
	enum vrrp_checksum form, form2;
	if (vrrp_parse(&packet, &expect, &first, &form) != VRRP_ACCEPTED)
		return 0;
	require(first.addresses >= packet.data &&
		first.addresses + 4 * first.n_addresses <= packet.data + packet.len);

	uint8_t buf[VRRP_ENCODED_MAX], again[VRRP_ENCODED_MAX];
	size_t len = vrrp_encode(&first,
	    &(struct vrrp_envelope){
		.source = &packet.source, .destination = &packet.destination, .form = form},
	    buf, sizeof(buf));
	require(len == VRRP_HEADER_LEN + 4U * first.n_addresses);
	packet.data = buf;
	packet.len = len;
	require(vrrp_parse(&packet, &expect, &second, &form2) == VRRP_ACCEPTED);
	require(second.type == first.type && second.flags == first.flags);
	require(first.type == VRRP_TYPE_CLAIM || first.flags == 0);
	require(form2 == form && second.vrid == first.vrid && second.priority == first.priority &&
		second.interval_cs == first.interval_cs &&
		second.n_addresses == first.n_addresses &&
		memcmp(second.addresses, first.addresses, 4U * first.n_addresses) == 0);
	require(vrrp_encode(&second,
		    &(struct vrrp_envelope){
			.source = &packet.source, .destination = &packet.destination, .form = form},
		    again, sizeof(again)) == len &&
		memcmp(again, buf, len) == 0);
	return 0;
}
