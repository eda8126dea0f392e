#include "daemon/proxy/upgrade.h"

#include <string.h>

#include "tests/unit/unit.h"

static const char *const allowed[] = {"websocket", "SPDY/3.1"};

static const char *choose(const char *line, const char *fields, uint32_t n_allowed)
{
	char text[512];
	struct h1_head head;
	snprintf(text, sizeof(text), "%s\r\nHost: h\r\n%s\r\n", line, fields);
	CU_ASSERT_EQUAL_FATAL(h1_parse_request(text, strlen(text), &head), H1_OK);
	return upgrade_choose(&head, allowed, n_allowed);
}

#define GET       "GET / HTTP/1.1"
#define ASK(list) "Connection: Upgrade\r\nUpgrade: " list "\r\n"

static void requests(void)
{
	static const struct {
		const char *line, *fields;
		int chosen; /* of allowed; -1: none */
	} cases[] = {
	    {GET, ASK("websocket"), 0},
	    {GET, ASK("WebSocket"), 0},
	    {GET, "Connection: keep-alive, uPGRADE\r\nUpgrade: websocket\r\n", 0},
	    {GET, "Upgrade: websocket\r\nConnection: close\r\nConnection: upgrade\r\n", 0},
	    {GET, ASK("websocket") "Content-Length: 0\r\n", 0},
	    {"POST / HTTP/1.1", ASK("spdy/3.1"), 1},
	    /* the client's order */
	    {GET, ASK("h2c, SPDY/3.1 ,websocket"), 1},
	    {GET, ASK(",,\t websocket\t,SPDY/3.1"), 0},
	    {GET, ASK("h2c\r\nUpgrade: x\r\nUpgrade: websocket"), 0},
	    {GET, ASK(" \"a,b\" ;,websocket"), 0},
	    /* another version is another protocol */
	    {GET, ASK("SPDY"), -1},
	    {GET, ASK("SPDY/3"), -1},
	    {GET, ASK("websocket/13"), -1},
	    {GET, ASK("websockets"), -1},
	    {GET, ASK("web socket"), -1},
	    {GET, ASK("h2c"), -1},
	    {GET, ASK(""), -1},
	    {GET, ASK(","), -1},
	    /* not asked for on this connection */
	    {GET, "Upgrade: websocket\r\n", -1},
	    {GET, "Connection: Upgrade\r\n", -1},
	    {GET, "Connection: Upgrade\r\nX-Upgrade: websocket\r\n", -1},
	    {"GET / HTTP/1.0", ASK("websocket"), -1},
	    /* whoever sees the end of the body elsewhere would take the rest for the protocol */
	    {GET, ASK("websocket") "Content-Length: 1\r\n", -1},
	    {GET, ASK("websocket") "Transfer-Encoding: chunked\r\n", -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = choose(cases[i].line, cases[i].fields, 2);
		if (got != (cases[i].chosen < 0 ? NULL : allowed[cases[i].chosen]))
			CU_FAIL(cases[i].fields);
		CU_ASSERT_PTR_NULL(choose(cases[i].line, cases[i].fields, 0));
	}
}

static void responses(void)
{
	static const struct {
		const char *text;
		bool accepted;
	} cases[] = {
	    {"HTTP/1.1 101 S\r\n" ASK("websocket"), true},
	    {"HTTP/1.1 101 S\r\n" ASK("WebSocket") "Content-Length: 0\r\n", true},
	    {"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: x, upgrade\r\n", true},
	    {"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n", false},
	    {"HTTP/1.1 101 S\r\nConnection: Upgrade\r\n", false},
	    {"HTTP/1.1 101 S\r\n" ASK("h2c"), false},
	    {"HTTP/1.1 101 S\r\n" ASK("websocket, h2c"), false},
	    {"HTTP/1.1 101 S\r\n" ASK("websocket/13"), false},
	    {"HTTP/1.1 101 S\r\n" ASK(""), false},
	    {"HTTP/1.1 101 S\r\n" ASK("websocket") "Upgrade: websocket\r\n", false},
	    {"HTTP/1.0 101 S\r\n" ASK("websocket"), false},
	    {"HTTP/1.1 100 C\r\n" ASK("websocket"), false},
	    {"HTTP/1.1 426 U\r\n" ASK("websocket"), false},
	    {"HTTP/1.1 200 O\r\n" ASK("websocket"), false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		struct h1_head head;
		snprintf(text, sizeof(text), "%s\r\n", cases[i].text);
		CU_ASSERT_EQUAL_FATAL(h1_parse_response(text, strlen(text), H1_GET, &head), H1_OK);
		if (upgrade_accepted(&head, "websocket") != cases[i].accepted)
			CU_FAIL(cases[i].text);
	}
}

UNIT_MAIN("proxy/upgrade", UNIT(requests), UNIT(responses))
