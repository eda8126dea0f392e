#include "daemon/route/path.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Nothing to decode, merge or resolve. A name that begins with a dot is looked at more closely. */
static bool is_plain(struct slice raw)
{
	for (size_t i = 0; i < raw.len; i++) {
		char c = raw.p[i];
		if (c == '%' || c == '\\')
			return false;
		if (c == '/' && i + 1 < raw.len && (raw.p[i + 1] == '/' || raw.p[i + 1] == '.'))
			return false;
	}
	return true;
}

/* What lies between a byte that everybody, and one that somebody, takes for a separator. */
enum border { BORDER_SLASH, BORDER_MAYBE };

struct reader {
	char *out;
	size_t n;       /* bytes of out */
	size_t segment; /* where the present segment begins in it */
	size_t kept;    /* just behind the last doubtful one */
	enum border before;
};

/* How many dots the present segment consists of, 1 or 2; -1: dots and a parameter ("..;x"), which
 * some servers cut off before they resolve it; 0: a name. */
static int count_dots(const struct reader *reader)
{
	const char *p = reader->out + reader->segment, *end = reader->out + reader->n;
	int dots = 0;
	while (p < end && *p == '.' && dots < 3)
		p++, dots++;
	if (dots == 0 || dots > 2)
		return 0;
	return p == end ? dots : *p == ';' ? -1 : 0;
}

/* Takes "." or ".." away. False: above the root, or across a doubtful separator. */
static bool resolve(struct reader *reader, int dots)
{
	reader->n = reader->segment;
	if (dots == 1)
		return true;
	if (reader->n == 1)
		return false;
	do
		reader->n--;
	while (reader->out[reader->n - 1] != '/');
	return reader->n > reader->kept;
}

/* The present segment is over. */
static bool end_segment(struct reader *reader, enum border after)
{
	int dots = count_dots(reader);
	if (dots != 0) {
		if (dots < 0 || reader->before != BORDER_SLASH || after != BORDER_SLASH)
			return false;
		if (!resolve(reader, dots))
			return false;
	}
	reader->before = after;
	return true;
}

static bool on_slash(struct reader *reader)
{
	if (!end_segment(reader, BORDER_SLASH))
		return false;
	if (reader->out[reader->n - 1] != '/')
		reader->out[reader->n++] = '/';
	else if (reader->kept == reader->n)
		reader->kept--; /* the last one is an honest one, too */
	reader->segment = reader->n;
	return true;
}

/* An encoded slash, or a backslash. */
static bool on_doubtful(struct reader *reader, char c)
{
	if (!end_segment(reader, BORDER_MAYBE))
		return false;
	if (c != '/' || reader->out[reader->n - 1] != '/')
		reader->out[reader->n++] = c;
	reader->segment = reader->n;
	reader->kept = reader->n;
	return true;
}

int path_canonical(struct slice raw, char slash, char *buf, struct slice *out)
{
	if (is_plain(raw)) {
		*out = raw;
		return 0;
	}
	struct reader reader = {.out = buf, .n = 1, .segment = 1};
	buf[0] = '/';
	for (size_t i = 1; i < raw.len; i++) {
		char c = raw.p[i];
		bool ok = true;
		if (c == '/') {
			ok = on_slash(&reader);
		} else if (c == '%') {
			int high = i + 2 < raw.len ? text_hex_digit(raw.p[i + 1]) : -1;
			int low = i + 2 < raw.len ? text_hex_digit(raw.p[i + 2]) : -1;
			int value = high * 16 + low;
			if (high < 0 || low < 0 || value < 0x20 || value == 0x7f)
				return -EINVAL;
			i += 2;
			if (value == '/')
				ok = on_doubtful(&reader, slash);
			else if (value == '\\')
				ok = on_doubtful(&reader, '\\');
			else
				buf[reader.n++] = (char)value;
		} else if (c == '\\') {
			ok = on_doubtful(&reader, c);
		} else {
			buf[reader.n++] = c;
		}
		if (!ok)
			return -EINVAL;
	}
	if (!end_segment(&reader, BORDER_SLASH))
		return -EINVAL;
	*out = (struct slice){buf, reader.n};
	return 0;
}
