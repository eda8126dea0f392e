#include "daemon/proxy/buf.h"

#include <string.h>

#include "tests/unit/unit.h"

static void grows_and_keeps_what_was_taken(void)
{
	struct buf buf = {0};
	char chunk[1000];
	memset(chunk, 'a', sizeof(chunk));
	for (int i = 0; i < 10; i++)
		CU_ASSERT(buf_append(&buf, chunk, sizeof(chunk)));
	CU_ASSERT(buf_append(&buf, "tail", 4));
	CU_ASSERT_EQUAL(buf_len(&buf), 10004);
	buf.start += 10000;
	CU_ASSERT_EQUAL(buf_len(&buf), 4);
	CU_ASSERT(memcmp(buf_head(&buf), "tail", 4) == 0);
	buf.start = 0; /* to send it again */
	CU_ASSERT_EQUAL(buf_len(&buf), 10004);
	CU_ASSERT_EQUAL(buf.data[9999], 'a');
	buf_free(&buf);
	CU_ASSERT_PTR_NULL(buf.data);
}

static void compacts(void)
{
	struct buf buf = {0};
	CU_ASSERT(buf_append(&buf, "headtail", 8));
	buf.start = 4;
	buf_compact(&buf);
	CU_ASSERT_EQUAL(buf.start, 0);
	CU_ASSERT_EQUAL(buf.end, 4);
	CU_ASSERT(memcmp(buf.data, "tail", 4) == 0);
	buf_free(&buf);
}

static void refuses_what_is_absurd(void)
{
	struct buf buf = {0};
	CU_ASSERT(buf_append(&buf, "x", 1));
	CU_ASSERT_FALSE(buf_reserve(&buf, SIZE_MAX));
	CU_ASSERT_FALSE(buf_reserve(&buf, (size_t)1 << 30));
	CU_ASSERT_EQUAL(buf_len(&buf), 1);
	CU_ASSERT(buf_append(&buf, NULL, 0));
	buf_free(&buf);
}

UNIT_MAIN(
    "proxy/buf", UNIT(grows_and_keeps_what_was_taken), UNIT(compacts), UNIT(refuses_what_is_absurd))
