#include <string.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"
#include "vrrp/core/announce.h"

/* Recorded from keepalived 2.2.7: request form, 10.96.0.50 is at 02:6f:5b:6f:de:22. */
static const uint8_t golden_request[ARP_FRAME_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
    0x6f, 0x5b, 0x6f, 0xde, 0x22, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02,
    0x6f, 0x5b, 0x6f, 0xde, 0x22, 0x0a, 0x60, 0x00, 0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a,
    0x60, 0x00, 0x32};

static void request_is_what_keepalived_sends(void)
{
	struct addr vip;
	uint8_t frame[ARP_FRAME_LEN];
	CU_ASSERT_FATAL(addr_parse_ip("10.96.0.50", &vip));
	vrrp_arp_frame(ARP_FORM_REQUEST, golden_request + 6, &vip, frame);
	CU_ASSERT_EQUAL(memcmp(frame, golden_request, sizeof(frame)), 0);
}

static void reply_differs_in_the_operation_only(void)
{
	struct addr vip;
	uint8_t frame[ARP_FRAME_LEN], expected[ARP_FRAME_LEN];
	CU_ASSERT_FATAL(addr_parse_ip("10.96.0.50", &vip));
	vrrp_arp_frame(ARP_FORM_REPLY, golden_request + 6, &vip, frame);
	memcpy(expected, golden_request, sizeof(expected));
	expected[21] = 2;
	CU_ASSERT_EQUAL(memcmp(frame, expected, sizeof(frame)), 0);
}

/* 48: RFC 9568 section 6.4.2, RFC 4861 section 7.2.6. Wireshark finds its checksum right. */
static const uint8_t golden_na[NA_FRAME_LEN] = {0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
    0x5e, 0x00, 0x02, 0x33, 0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01,
    0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0xff, 0x02,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x88, 0x00,
    0x1a, 0xda, 0xa0, 0x00, 0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x02, 0x01, 0x00, 0x00, 0x5e, 0x00, 0x02, 0x33};

static void t48_neighbour_advertisement_has_r_and_o(void)
{
	struct addr vip;
	uint8_t frame[NA_FRAME_LEN];
	CU_ASSERT_FATAL(addr_parse_ip("2001:db8::10", &vip));
	vrrp_na_frame(golden_na + 6, &vip, frame);
	CU_ASSERT_EQUAL(memcmp(frame, golden_na, sizeof(frame)), 0);
}

static const struct vrrp_announce one = {.n_addresses = 1};

static void burst_has_its_rounds(void)
{
	static const uint64_t at_ms[] = {0, 10, 50, 200, 1100, 5000};
	struct vrrp_burst burst = {0};
	uint64_t start = 7 * US_PER_SEC;
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), UINT64_MAX);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, start), -1);
	vrrp_burst_start(&burst, start);
	for (size_t i = 0; i < sizeof(at_ms) / sizeof(at_ms[0]); i++) {
		uint64_t due = start + at_ms[i] * US_PER_MS;
		CU_ASSERT_EQUAL(vrrp_burst_due(&burst), due);
		CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, due - 1), -1);
		CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, due), 0);
		CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, due), -1);
	}
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), UINT64_MAX);
}

static void late_rounds_are_one(void)
{
	struct vrrp_burst burst = {0};
	vrrp_burst_start(&burst, 1000);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 1000 + 60 * US_PER_MS), 0);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 1000 + 200 * US_PER_MS);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 1000 + 60 * US_PER_SEC), 0);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), UINT64_MAX);
}

static void refreshes_follow_the_burst(void)
{
	const struct vrrp_announce how = {.n_addresses = 1, .refresh_us = 60 * US_PER_SEC};
	struct vrrp_burst burst = {0};
	vrrp_burst_start(&burst, 0);
	while (vrrp_burst_due(&burst) < 5 * US_PER_SEC)
		vrrp_burst_take(&burst, &how, vrrp_burst_due(&burst));
	for (uint64_t due = 5 * US_PER_SEC; due < 300 * US_PER_SEC; due += 60 * US_PER_SEC) {
		CU_ASSERT_EQUAL(vrrp_burst_due(&burst), due);
		CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &how, due), 0);
	}
	vrrp_burst_start(&burst, 400 * US_PER_SEC);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 400 * US_PER_SEC);
}

static void addresses_have_their_distance(void)
{
	const struct vrrp_announce how = {.n_addresses = 3, .gap_us = 1000};
	struct vrrp_burst burst = {0};
	vrrp_burst_start(&burst, 0);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &how, 400), 0);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 1400);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &how, 1399), -1);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &how, 7000), 1);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &how, 7999), -1);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &how, 8000), 2);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 10 * US_PER_MS);
}

/* However long a round takes: the rate is what the gap says, until the burst is over. */
static void many_addresses_do_not_exceed_the_rate(void)
{
	const struct vrrp_announce how = {.n_addresses = 16, .gap_us = 10000};
	struct vrrp_burst burst = {0};
	unsigned sent = 0;
	uint64_t last = 0;
	vrrp_burst_start(&burst, 0);
	for (uint64_t now; (now = vrrp_burst_due(&burst)) != UINT64_MAX;) {
		CU_ASSERT_TRUE(vrrp_burst_take(&burst, &how, now) == (int)(sent % 16));
		CU_ASSERT_TRUE(sent == 0 || now >= last + 10000);
		last = now;
		sent++;
	}
	CU_ASSERT_TRUE(sent % 16 == 0 && sent >= 4 * 16 && sent <= 6 * 16);
}

static void no_distance_is_at_once(void)
{
	const struct vrrp_announce how = {.n_addresses = 3};
	struct vrrp_burst burst = {0};
	vrrp_burst_start(&burst, 0);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &how, 0), i);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &how, 0), -1);
}

static void addresses_may_become_fewer(void)
{
	const struct vrrp_announce how = {.n_addresses = 3, .gap_us = 1000};
	struct vrrp_burst burst = {0};
	vrrp_burst_start(&burst, 0);
	vrrp_burst_take(&burst, &how, 0);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 1000), -1);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 10 * US_PER_MS);
}

static void cancelled_burst_is_silent(void)
{
	struct vrrp_burst burst = {0};
	vrrp_burst_start(&burst, 1000);
	vrrp_burst_cancel(&burst);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 10 * US_PER_SEC), -1);
	vrrp_burst_start(&burst, 2000);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 2000), 0);
}

static void restart_within_a_second_goes_on(void)
{
	struct vrrp_burst burst = {0};
	vrrp_burst_start(&burst, 0);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 0), 0);
	vrrp_burst_start(&burst, 5 * US_PER_MS);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 10 * US_PER_MS);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 300 * US_PER_MS), 0);
	vrrp_burst_start(&burst, 1001 * US_PER_MS);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 1001 * US_PER_MS);
}

/* Two were Active for a moment, again and again: we speak after each time. */
static void a_word_after_each_claim(void)
{
	struct vrrp_burst burst = {0};
	vrrp_burst_start(&burst, 0);
	for (uint64_t due = 0; due <= 200 * US_PER_MS; due = vrrp_burst_due(&burst))
		CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, due), 0);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 1100 * US_PER_MS);
	vrrp_burst_start(&burst, 350 * US_PER_MS);
	vrrp_burst_start(&burst, 500 * US_PER_MS);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 550 * US_PER_MS);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 550 * US_PER_MS), 0);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 1100 * US_PER_MS);
	CU_ASSERT_EQUAL(vrrp_burst_take(&burst, &one, 1100 * US_PER_MS), 0);
	CU_ASSERT_EQUAL(vrrp_burst_due(&burst), 5 * US_PER_SEC);
}

UNIT_MAIN("vrrp/announce", UNIT(request_is_what_keepalived_sends),
    UNIT(reply_differs_in_the_operation_only), UNIT(t48_neighbour_advertisement_has_r_and_o),
    UNIT(burst_has_its_rounds), UNIT(late_rounds_are_one), UNIT(refreshes_follow_the_burst),
    UNIT(addresses_have_their_distance), UNIT(many_addresses_do_not_exceed_the_rate),
    UNIT(no_distance_is_at_once), UNIT(addresses_may_become_fewer), UNIT(cancelled_burst_is_silent),
    UNIT(restart_within_a_second_goes_on), UNIT(a_word_after_each_claim))
