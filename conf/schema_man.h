/* The schema table as the manual page yoke.json(5). */
#pragma once

#include <stdio.h>

/* What stands before the keys, the section of each object, and what comes after them. */
void schema_man_print_head(FILE *out);
void schema_man_print_keys(FILE *out);
/* One example: `title` and the text of the file. */
void schema_man_print_example(FILE *out, const char *title, FILE *example);
void schema_man_print_tail(FILE *out);
