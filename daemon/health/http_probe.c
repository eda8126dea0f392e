#include "daemon/health/http_probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_given(const struct conf_health *health, const char *name)
{
	for (uint32_t i = 0; i < health->n_headers; i++) {
		if (strcasecmp(health->headers[i].name, name) == 0)
			return true;
	}
	return false;
}

char *http_probe_request(const struct conf_health *health, const char *target, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	if (!out)
		return NULL;
	fprintf(out,
	    "%s %s HTTP/1.1\r\n"
	    "Host: %s\r\n"
	    "Connection: close\r\n",
	    health->method ? health->method : "GET", health->path ? health->path : "/",
	    health->host ? health->host : target);
	if (!is_given(health, "User-Agent"))
		fputs("User-Agent: yoke-health/" YOKE_VERSION "\r\n", out);
	if (!is_given(health, "Accept"))
		fputs("Accept: */*\r\n", out);
	for (uint32_t i = 0; i < health->n_headers; i++)
		fprintf(out, "%s: %s\r\n", health->headers[i].name, health->headers[i].value);
	fputs("\r\n", out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
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
