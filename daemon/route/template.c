#include "daemon/route/template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[TEMPLATE_COUNT] = {
#define X(id, name) [TEMPLATE_##id] = name,
    TEMPLATE_CLIENT_VARIABLES(X) TEMPLATE_REQUEST_VARIABLES(X)
#undef X
};

#define FIRST_OF_REQUEST TEMPLATE_SCHEME

static bool is_known(struct slice name, enum template_scope scope, struct template_part *part)
{
	if (name.len == 1 && name.p[0] >= '0' && name.p[0] <= '9') {
		*part = (struct template_part){
		    .variable = TEMPLATE_GROUP, .group = (uint8_t)(name.p[0] - '0')};
		return scope == TEMPLATE_OF_MATCH;
	}
	for (enum template_variable v = TEMPLATE_TEXT + 1; v < TEMPLATE_COUNT; v++) {
		if (strlen(names[v]) != name.len || memcmp(names[v], name.p, name.len) != 0)
			continue;
		*part = (struct template_part){.variable = v};
		return scope != TEMPLATE_OF_RESPONSE || v < FIRST_OF_REQUEST;
	}
	return false;
}

static int refuse(struct slice name, enum template_scope scope, struct err *err)
{
	char known[160];
	int n = 0;
	for (enum template_variable v = TEMPLATE_TEXT + 1;
	     v < (scope == TEMPLATE_OF_RESPONSE ? FIRST_OF_REQUEST : TEMPLATE_COUNT); v++)
		n += snprintf(known + n, sizeof(known) - (size_t)n, " {%s}", names[v]);
	return err_set(err, -EINVAL, "{%.*s} is not a variable here; there are%s%s",
	    (int)(name.len < 40 ? name.len : 40), name.p, known,
	    scope == TEMPLATE_OF_MATCH ? " {0} to {9}" : "");
}

/* The name in the braces that begin at `p`, empty if they have none. */
static struct slice name_at(const char *p)
{
	size_t len = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return (struct slice){p + 1, p[1 + len] == '}' ? len : 0};
}

int template_init(
    struct template *template, const char *text, enum template_scope scope, struct err *err)
{
	uint32_t max = 1;
	*template = (struct template){0};
	for (const char *p = text ? text : ""; *p; p++)
		max += *p == '{' ? 2 : 0;
	template->parts = calloc(max, sizeof(*template->parts));
	if (!template->parts)
		return err_set(err, -ENOMEM, "out of memory");
	for (const char *p = text ? text : ""; *p;) {
		struct slice name = {0};
		const char *brace = p;
		while ((brace = strchr(brace, '{')) && (name = name_at(brace)).len == 0)
			brace++;
		size_t len = brace ? (size_t)(brace - p) : strlen(p);
		if (len > 0)
			template->parts[template->n_parts++] =
			    (struct template_part){.text = {p, len}};
		p += len;
		if (!brace)
			break;
		if (!is_known(name, scope, &template->parts[template->n_parts++])) {
			template_fini(template);
			return refuse(name, scope, err);
		}
		p += name.len + 2;
	}
	return 0;
}

void template_fini(struct template *template)
{
	free(template->parts);
	*template = (struct template){0};
}

void template_request_values(struct template_values *values, const struct h1_head *head)
{
	struct slice host = head->host.len > 0 ? head->host : SLICE(""), path = head->path;
	const char *end = host.p + host.len;
	const char *from =
	    host.len > 0 && host.p[0] == '[' ? memchr(host.p, ']', host.len) : host.p;
	const char *colon = host.len > 0 ? memchr(from, ':', (size_t)(end - from)) : NULL;
	const char *query = memchr(path.p, '?', path.len);
	struct slice *text = values->text;
	text[TEMPLATE_SCHEME] = SLICE("http");
	text[TEMPLATE_METHOD] = head->method_text;
	text[TEMPLATE_HOST] = (struct slice){host.p, colon ? (size_t)(colon - host.p) : host.len};
	text[TEMPLATE_PORT] =
	    colon ? (struct slice){colon + 1, (size_t)(end - colon - 1)} : SLICE("80");
	text[TEMPLATE_PATH] = (struct slice){path.p, query ? (size_t)(query - path.p) : path.len};
	text[TEMPLATE_QUERY] =
	    query ? (struct slice){query + 1, (size_t)(path.p + path.len - query - 1)} : SLICE("");
}

void template_put(struct template_out *out, struct slice text)
{
	if ((size_t)(out->end - out->at) < text.len) {
		out->full = true;
		out->end = out->at;
		return;
	}
	if (text.len > 0)
		memcpy(out->at, text.p, text.len);
	out->at += text.len;
}

static void put_part(const struct template_part *part, const struct template_values *values,
    struct template_out *out)
{
	char text[ADDR_TEXT_MAX];
	switch ((int)part->variable) {
	case TEMPLATE_TEXT: template_put(out, part->text); break;
	case TEMPLATE_GROUP: template_put(out, values->groups[part->group]); break;
	case TEMPLATE_CLIENT_IP:
		addr_format_ip(values->peer, text);
		template_put(out, (struct slice){text, strlen(text)});
		break;
	case TEMPLATE_CLIENT_PORT:
		snprintf(text, sizeof(text), "%u", addr_port(values->peer));
		template_put(out, (struct slice){text, strlen(text)});
		break;
	default: template_put(out, values->text[part->variable]);
	}
}

void template_expand(
    const struct template *template, const struct template_values *values, struct template_out *out)
{
	for (uint32_t i = 0; i < template->n_parts; i++)
		put_part(&template->parts[i], values, out);
}
