/* One request to the Admin API over the unix socket in the run dir; blocking, with a time limit. */
#pragma once

#include <json-c/json.h>

#include "daemon/base/err.h"

/* `body` may be NULL. Returns the HTTP status and the parsed answer in *out (the caller's; may be
 * NULL), or -errno with a text that says what to do. */
int client_request(const char *run_dir, const char *method, const char *path, const char *body,
    struct json_object **out, struct err *err);
