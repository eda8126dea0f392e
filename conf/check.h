/* What a configuration must be as a whole, beyond its single values. */
#pragma once

#include "conf/arena.h"
#include "conf/conf.h"
#include "conf/node.h"
#include "conf/report.h"

/* Fills in what follows from something else: defaults that depend on other keys, canonical texts
 * of targets, indexes of pools (CONF_NONE and a report where there is none). 0 or -ENOMEM. */
int check_finish(
    struct arena *arena, struct report *report, const struct node *root, struct conf *conf);
/* Reports what does not fit together. Fields that were refused before are empty (0, NULL,
 * AF_UNSPEC) and passed over. 0 or -ENOMEM. */
int check_conf(struct report *report, const struct node *root, const struct conf *conf);
