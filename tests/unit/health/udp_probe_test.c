#include "daemon/health/udp_probe.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static void payloads(void)
{
	static const struct {
		const char *text, *bytes;
		size_t len;
	} cases[] = {
	    {"", "", 0},
	    {"PING", "PING", 4},
	    {"\\x00\\xfF\\x7aq",
		"\0\xff"
		"zq",
		4},
	    {"a\\\\x41", "a\\x41", 5},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = 99;
		char *bytes = udp_probe_request(cases[i].text, &len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
		CU_ASSERT_EQUAL_FATAL(len, cases[i].len);
		CU_ASSERT_EQUAL(memcmp(bytes, cases[i].bytes, len), 0);
		CU_ASSERT_TRUE(udp_probe_matches(cases[i].text, bytes, len));
		free(bytes);
	}
}

static void answers(void)
{
	CU_ASSERT_TRUE(udp_probe_matches(NULL, "", 0));
	CU_ASSERT_TRUE(udp_probe_matches("", "x", 1));
	CU_ASSERT_TRUE(udp_probe_matches("PO", "PONG", 4));
	CU_ASSERT_FALSE(udp_probe_matches("PONG", "PON", 3));
	CU_ASSERT_FALSE(udp_probe_matches("PONG", "PANG", 4));
	CU_ASSERT_TRUE(udp_probe_matches("\\x00\\xff", "\0\xff", 2));
	CU_ASSERT_FALSE(udp_probe_matches("\\x00", "", 0));
}

UNIT_MAIN("health/udp_probe", UNIT(payloads), UNIT(answers))
