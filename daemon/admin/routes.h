/* From a parsed request to an answer: which path and verb calls which callback. No sockets. */
#pragma once

#include "daemon/admin/admin.h"
#include "daemon/http/h1.h"

struct admin_request {
	enum h1_method method;
	struct slice path;  /* without the query */
	struct slice query; /* after '?', or empty */
	struct slice body;
	bool may_read; /* on this socket, with this token */
	bool may_change;
	admin_ticket ticket; /* for an answer that comes later */
};

struct admin_answer {
	int status;               /* 0: later */
	struct json_object *body; /* or */
	char *text;               /* malloc'ed plain text (metrics) */
};

void admin_route(const struct admin_callbacks *callbacks, const struct admin_request *request,
    struct admin_answer *answer);
