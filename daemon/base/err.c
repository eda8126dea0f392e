#include "daemon/base/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
	if (err) {
		struct err made; /* `err->text` may be among the arguments */
		va_list args;
		va_start(args, fmt);
		vsnprintf(made.text, sizeof(made.text), fmt, args);
		va_end(args);
		*err = made;
	}
	return code;
}
