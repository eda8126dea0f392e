/* Any bytes as a request that is passed on, by any listener (the first two bytes): what the target
 * gets fits the room that was promised, is a good request by our own parser, and says the same. */
#include "daemon/proxy/heads.h"
#include "daemon/proxy/upgrade.h"
#include "tests/fuzz/h1_fuzz.h"

/* Lines that we add at most. */
#define ADDED 10

static const char *const protocols[] = {"websocket", "SPDY/3.1"};

static struct conf_listener listener_of(uint8_t a, uint8_t b)
{
	return (struct conf_listener){
	    .forwarded = {.for_ = a & 3,
		.proto = (a >> 2 & 3) % CONF_FORWARD_APPEND,
		.host = (a >> 4 & 3) % CONF_FORWARD_APPEND,
		.port = (a >> 6 & 3) % CONF_FORWARD_APPEND,
		.rfc7239 = b & 3},
	    .via = {.name = "edge-1.example", .requests = b & 4},
	};
}

static unsigned count(const struct h1_head *head, enum h1_field_id id)
{
	unsigned n = 0;
	for (unsigned i = 0; i < head->n_fields; i++)
		n += head->fields[i].id == id;
	return n;
}

/* `again` is what the target gets of `head`. */
static void require_passed_on(const struct h1_head *head, const struct h1_head *again,
    const struct conf_listener *conf, const char *upgrade)
{
	bool replaced = conf->forwarded.for_ == CONF_FORWARD_REPLACE ||
			conf->forwarded.for_ == CONF_FORWARD_APPEND;
	require(again->minor == 1 && again->keep_alive);
	require(
	    head->method == again->method && slice_equal(head->method_text, again->method_text));
	require(slice_equal(head->path, again->path));
	require(again->host.len > 0 &&
		(head->host.len == 0 || slice_equal_nocase(head->host, again->host)));
	require(head->framing == again->framing && head->content_length == again->content_length);
	require(head->expect_continue == again->expect_continue);
	require(count(again, H1_FIELD_CONNECTION) == (upgrade ? 1U : 0U));
	require(count(again, H1_FIELD_UPGRADE) == (upgrade ? 1U : 0U));
	require(again->upgrade == (upgrade != NULL));
	require(upgrade_choose(again, protocols, 2) == upgrade);
	for (unsigned i = 0; i < again->n_fields; i++)
		require(!again->fields[i].hop || upgrade);
	require(!replaced || count(again, H1_FIELD_X_FORWARDED_FOR) == 1);
	require(conf->forwarded.for_ != CONF_FORWARD_REMOVE ||
		count(again, H1_FIELD_X_FORWARDED_FOR) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_head head, again;
	if (size < 2)
		return 0;
	const char *buf = (const char *)data + 2;
	if (h1_parse_request(buf, size - 2, &head) != H1_OK || head.method == H1_CONNECT ||
	    head.max_forwards == 0 || head.n_fields > H1_FIELDS_MAX - ADDED)
		return 0;
	struct conf_listener conf = listener_of(data[0], data[1]);
	struct addr peer, bind;
	struct forward forward;
	require(addr_parse_ip(
	    data[1] & 8 ? "2001:db8:1111:2222:3333:4444:5555:6666" : "192.0.2.1", &peer));
	require(addr_parse_endpoint("192.0.2.10:65535", &bind));
	forward_init(&forward, &conf, &bind);
	struct heads_request options = {.forward = &forward,
	    .peer = &peer,
	    .default_host = SLICE("[2001:db8:1111:2222:3333:4444:5555:6666]:65535"),
	    .upgrade = upgrade_choose(&head, protocols, (data[1] >> 4 & 3) % 3)};
	size_t room = heads_request_room(&head);
	char *out = malloc(room);
	require(out != NULL);
	size_t n = heads_request(&head, &options, out);
	require(n <= room);
	require(h1_parse_request(out, n, &again) == H1_OK && again.len == n);
	require_passed_on(&head, &again, &conf, options.upgrade);
	free(out);
	return 0;
}
