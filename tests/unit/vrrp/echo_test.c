#include "vrrp/core/echo.h"

#include <string.h>

#include "tests/unit/unit.h"

#define NONCE 0x1122334455667788U

/* What a host makes of it: another type, the rest as it came (RFC 792, RFC 4443 section 4.2). */
static void answer_of(bool ipv6, uint8_t data[VRRP_ECHO_LEN])
{
	data[0] = ipv6 ? 129 : 0;
	if (ipv6)
		return;
	unsigned sum = (unsigned)(data[2] << 8 | data[3]) + 0x0800;
	sum = (sum & 0xffff) + (sum >> 16);
	data[2] = (uint8_t)(sum >> 8);
	data[3] = (uint8_t)sum;
}

/* RFC 792: type 8, code 0; the checksum over all of it is right. */
static void a_request_is_what_the_rfc_says(void)
{
	uint8_t data[VRRP_ECHO_LEN];
	vrrp_echo_request(false, 0xbeef, NONCE, data);
	CU_ASSERT_EQUAL(data[0], 8);
	CU_ASSERT_EQUAL(data[1], 0);
	CU_ASSERT_EQUAL(data[4], 0xbe);
	CU_ASSERT_EQUAL(data[5], 0xef);
	uint32_t sum = 0;
	for (size_t i = 0; i < sizeof(data); i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	CU_ASSERT_EQUAL(sum, 0xffff);
	vrrp_echo_request(true, 0xbeef, NONCE, data);
	CU_ASSERT_EQUAL(data[0], 128);
}

static void an_answer_brings_the_number_back(void)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		uint8_t data[VRRP_ECHO_LEN];
		uint64_t nonce = 0;
		vrrp_echo_request(ipv6, 7, NONCE, data);
		CU_ASSERT_FALSE(vrrp_echo_answer(ipv6, 7, data, sizeof(data), &nonce));
		answer_of(ipv6, data);
		CU_ASSERT_TRUE(vrrp_echo_answer(ipv6, 7, data, sizeof(data), &nonce));
		CU_ASSERT_EQUAL(nonce, NONCE);
		CU_ASSERT_FALSE(vrrp_echo_answer(ipv6, 8, data, sizeof(data), &nonce));
		CU_ASSERT_FALSE(vrrp_echo_answer(!ipv6, 7, data, sizeof(data), &nonce));
		for (size_t len = 0; len < sizeof(data); len++)
			CU_ASSERT_FALSE(vrrp_echo_answer(ipv6, 7, data, len, &nonce));
	}
}

/* Every bit counts: by the checksum, or by what it says. */
static void a_damaged_answer_is_none(void)
{
	uint8_t good[VRRP_ECHO_LEN];
	vrrp_echo_request(false, 7, NONCE, good);
	answer_of(false, good);
	for (unsigned bit = 0; bit < 8 * VRRP_ECHO_LEN; bit++) {
		uint8_t bad[VRRP_ECHO_LEN];
		uint64_t nonce = 0;
		memcpy(bad, good, sizeof(bad));
		bad[bit / 8] ^= (uint8_t)(1U << bit % 8);
		CU_ASSERT_FALSE(vrrp_echo_answer(false, 7, bad, sizeof(bad), &nonce));
	}
}

UNIT_MAIN("vrrp/echo", UNIT(a_request_is_what_the_rfc_says), UNIT(an_answer_brings_the_number_back),
    UNIT(a_damaged_answer_is_none))
