/* Any bytes as a request head: the verdict does not depend on how they arrive, slices lie in the
 * buffer, and what is accepted means the same when it is written down again. */
#include "tests/fuzz/h1_fuzz.h"

static enum h1_result parse(const char *buf, size_t len, struct h1_head *out)
{
	return h1_parse_request(buf, len, out);
}

static void require_inside(const struct h1_head *head, const char *buf)
{
	size_t len = head->len;
	h1_require_fields_inside(head, buf);
	require(h1_inside(head->method_text, buf, len) && head->method_text.len > 0);
	require(h1_inside(head->target, buf, len) && head->target.len > 0);
	require(head->host.len == 0 || h1_inside(head->host, buf, len));
	require(head->path.len > 0 || head->method == H1_CONNECT);
	require(head->minor == 0 || head->host.len > 0);
	require(head->framing != H1_BODY_UNTIL_CLOSE);
}

/* As a proxy would send it on: method, path, version, and all fields from their parts. */
static size_t write_again(const struct h1_head *head, char *out)
{
	size_t n = 0;
	n = h1_append(out, n, head->method_text);
	n = h1_append(out, n, SLICE(" "));
	n = h1_append(out, n, head->method == H1_CONNECT ? head->target : head->path);
	n = h1_append(out, n, head->minor ? SLICE(" HTTP/1.1\r\n") : SLICE(" HTTP/1.0\r\n"));
	return h1_append_fields(head, out, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_head head, again;
	const char *buf = (const char *)data;
	enum h1_result result = parse(buf, size, &head);
	h1_require_stable(buf, size, result, parse);
	if (result != H1_OK)
		return 0;
	require_inside(&head, buf);
	char *copy = malloc(head.len * 2 + 64);
	require(copy != NULL);
	size_t n = write_again(&head, copy);
	require(parse(copy, n, &again) == H1_OK && again.len == n);
	require_inside(&again, copy);
	h1_require_same(&head, &again);
	require(slice_equal(head.method_text, again.method_text));
	require(slice_equal(head.path, again.path));
	/* In HTTP/1.0 the target may have been all that named the host. */
	require(
	    slice_equal_nocase(head.host, again.host) || (again.minor == 0 && again.host.len == 0));
	require(head.method == again.method && head.expect_continue == again.expect_continue);
	free(copy);
	return 0;
}
