#include "daemon/proxy/upgrade.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes the first element off a comma-separated list. */
static struct slice take_element(struct slice *list)
{
	const char *comma = memchr(list->p, ',', list->len);
	struct slice element = {list->p, comma ? (size_t)(comma - list->p) : list->len};
	size_t taken = element.len + (comma ? 1 : 0);
	list->p += taken;
	list->len -= taken;
	while (element.len > 0 && is_blank(element.p[0]))
		element.p++, element.len--;
	while (element.len > 0 && is_blank(element.p[element.len - 1]))
		element.len--;
	return element;
}

static bool is_protocol(struct slice element, const char *protocol)
{
	return slice_equal_nocase(element, (struct slice){protocol, strlen(protocol)});
}

const char *upgrade_choose(
    const struct h1_head *request, const char *const *allowed, uint32_t n_allowed)
{
	if (!request->upgrade || request->minor == 0 || request->framing != H1_BODY_NONE)
		return NULL;
	for (uint32_t i = 0; i < request->n_fields; i++) {
		struct slice list = request->fields[i].value;
		while (request->fields[i].id == H1_FIELD_UPGRADE && list.len > 0) {
			struct slice element = take_element(&list);
			for (uint32_t j = 0; j < n_allowed; j++) {
				if (is_protocol(element, allowed[j]))
					return allowed[j];
			}
		}
	}
	return NULL;
}

bool upgrade_accepted(const struct h1_head *response, const char *protocol)
{
	uint32_t n = 0;
	if (response->status != 101 || !response->upgrade || response->minor == 0)
		return false;
	for (uint32_t i = 0; i < response->n_fields; i++) {
		if (response->fields[i].id != H1_FIELD_UPGRADE)
			continue;
		if (++n > 1 || !is_protocol(response->fields[i].value, protocol))
			return false;
	}
	return n == 1;
}
