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

struct conf_object;

/* One object that stands alone, by its rows, into `base`: not for such with lists or strings, which
 * would belong to the arena. As load_conf, without a hash. */
int load_part(struct arena *arena, struct report *report, const struct conf_object *object,
    const struct node *root, void *base);

typedef int load_fn(void *into, struct report *report, const struct node *root);
/* Parses a text and hands its tree to `load`, which returns 0 or -ENOMEM and reports what is wrong.
 * Then everything is told: -EINVAL if there was something. */
int load_text(const char *file, const char *text, size_t len, load_fn *load, void *into,
    conf_report_fn *report_fn, void *arg);
