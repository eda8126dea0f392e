/* Fills the structs of conf.h from the tree of a text, row by row as the schema says. */
#pragma once

#include "conf/arena.h"
#include "conf/conf.h"
#include "conf/node.h"
#include "conf/report.h"

/* What is wrong in itself (kinds, ranges, unknown keys) is reported; what else is loaded all the
 * same, so that the checks can look at it. 0 or -ENOMEM. Sets conf->hash. */
int load_conf(
    struct arena *arena, struct report *report, const struct node *root, struct conf *conf);
