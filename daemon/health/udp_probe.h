/* The two ends of a UDP check: its payload, and whether an answer is the expected one. Texts are
 * those of the configuration, where \xHH is a byte and \\ a backslash. Pure. Internal to health. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The malloc'ed payload; NULL when out of memory. */
char *udp_probe_request(const char *text, size_t *len);
/* Does the answer begin with these bytes? `text` NULL: any does. */
bool udp_probe_matches(const char *text, const char *answer, size_t len);
