#include "daemon/health/http_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

char *http_probe_request(const struct conf_health *health, const char *target, size_t *len)
{
	char *text = NULL;
	int n = asprintf(&text,
	    "%s %s HTTP/1.1\r\n"
	    "Host: %s\r\n"
	    "User-Agent: yoke-health/" YOKE_VERSION "\r\n"
	    "Accept: */*\r\n"
	    "Connection: close\r\n"
	    "\r\n",
	    health->method ? health->method : "GET", health->path ? health->path : "/",
	    health->host ? health->host : target);
	if (n < 0)
		return NULL;
	*len = (size_t)n;
	return text;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9112 section 4: HTTP-version SP status-code SP [ reason-phrase ]. Many servers leave out the
 * second space when there is no reason, so a line end is taken too. */
int http_probe_status(const char *text, size_t len)
{
	static const char start[] = "HTTP/1.";
	size_t start_len = sizeof(start) - 1;
	if (memcmp(text, start, len < start_len ? len : start_len) != 0)
		return -EPROTO;
	if (len < HTTP_PROBE_LINE_MIN)
		return -EAGAIN;
	bool shaped = is_digit(text[7]) && text[8] == ' ' && is_digit(text[9]) &&
		      is_digit(text[10]) && is_digit(text[11]) &&
		      (text[12] == ' ' || text[12] == '\r' || text[12] == '\n');
	if (!shaped)
		return -EPROTO;
	int status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
	return status >= 100 && status <= 599 ? status : -EPROTO;
}
