/* The two ends of an HTTP check: the request's text, and the status line of the answer. Pure.
 * Internal to health. */
#pragma once

#include <stddef.h>

#include "conf/conf.h"

/* "HTTP/1.1 200": what is looked at, and the byte behind it. */
#define HTTP_PROBE_LINE_MIN 13

/* The malloc'ed request; NULL when out of memory. `target` is the Host where none is configured. */
char *http_probe_request(const struct conf_health *health, const char *target, size_t *len);

/* The status code of a response that begins with these bytes: 100..599. -EAGAIN: more bytes are
 * needed. -EPROTO: not HTTP/1. */
int http_probe_status(const char *text, size_t len);
