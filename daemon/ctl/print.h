/* The Admin API's answers for people. */
#pragma once

#include <json-c/json.h>

void print_status(struct json_object *status);
void print_targets(struct json_object *pools);
/* What became of a target. */
void print_target_change(struct json_object *target);
void print_sessions(struct json_object *sessions);
void print_events(struct json_object *events);
