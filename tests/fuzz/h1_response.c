/* Any bytes as a response head; the first byte chooses the request it answers. */
#include "tests/fuzz/h1_fuzz.h"

static enum h1_method to_method;

static enum h1_result parse(const char *buf, size_t len, struct h1_head *out)
{
	return h1_parse_response(buf, len, to_method, out);
}

static void require_framing(const struct h1_head *head)
{
	bool bodiless = head->status < 200 || head->status == 204 || head->status == 304 ||
			to_method == H1_HEAD;
	require(head->status >= 100 && head->status <= 599);
	require(!bodiless || head->framing == H1_BODY_NONE);
	require(head->framing != H1_BODY_UNTIL_CLOSE || !head->keep_alive);
	require(head->framing != H1_BODY_LENGTH || head->content_length > 0);
	require(head->framing != H1_BODY_CHUNKED || head->minor == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_head head, again;
	if (size == 0)
		return 0;
	to_method = (enum h1_method)(data[0] % (H1_OTHER + 1));
	const char *buf = (const char *)data + 1;
	enum h1_result result = parse(buf, --size, &head);
	h1_require_stable(buf, size, result, parse);
	if (result != H1_OK)
		return 0;
	h1_require_fields_inside(&head, buf);
	require(head.reason.len == 0 || h1_inside(head.reason, buf, head.len));
	require_framing(&head);

	char *copy = malloc(head.len * 2 + 64);
	require(copy != NULL);
	size_t n = (size_t)sprintf(copy, "HTTP/1.%u %03u ", head.minor, head.status);
	n = h1_append(copy, n, head.reason.p ? head.reason : SLICE(""));
	n = h1_append(copy, n, SLICE("\r\n"));
	n = h1_append_fields(&head, copy, n);
	require(parse(copy, n, &again) == H1_OK && again.len == n);
	h1_require_same(&head, &again);
	require(head.status == again.status && slice_equal(head.reason, again.reason));
	free(copy);
	return 0;
}
