#include "daemon/health/udp_probe.h"

#include <stdlib.h>
#include <string.h>

static unsigned digit(char c)
{
	if (c <= '9')
		return (unsigned)(c - '0');
	return (unsigned)((c | 0x20) - 'a') + 10;
}

/* The next byte; the configuration was checked. */
static char next(const char **text)
{
	const char *at = *text;
	if (at[0] != '\\') {
		*text = at + 1;
		return at[0];
	}
	if (at[1] == '\\') {
		*text = at + 2;
		return '\\';
	}
	*text = at + 4;
	return (char)(digit(at[2]) << 4 | digit(at[3]));
}

char *udp_probe_request(const char *text, size_t *len)
{
	char *bytes = malloc(strlen(text) + 1);
	size_t n = 0;
	while (bytes && *text)
		bytes[n++] = next(&text);
	*len = n;
	return bytes;
}

bool udp_probe_matches(const char *text, const char *answer, size_t len)
{
	for (size_t i = 0; text && *text; i++) {
		if (i == len || next(&text) != answer[i])
			return false;
	}
	return true;
}
