/* Text for people that travels with an error code: filled by the deepest function that knows what
 * went wrong, printed or sent by the one that handles it. */
#pragma once

struct err {
	char text[512];
};

/* Stores the formatted text and returns `code` (0 or -errno), so that a failing function can write
 * `return err_set(err, -EINVAL, "...")`. `err` may be NULL, and its own
 * text may be an argument: err_set(err, rc, "sync: %s", err->text). */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
