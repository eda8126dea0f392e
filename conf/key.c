#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/base/text.h"

#define FILE_MAX 4096
#define BLANK    " \t\r"

static int refuse(const char *path, int code, const char *why, struct err *err)
{
	return err_set(err, code,
	    "%s: %s. To make a key: head -c 32 /dev/urandom | base64 > %s; chmod 600 %s; "
	    "then copy it to the other node",
	    path, why, path, path);
}

static int check_owner(int fd, const char *path, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return refuse(path, -errno, strerror(errno), err);
	if (!S_ISREG(st.st_mode))
		return refuse(path, -EINVAL, "not a file", err);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, -EPERM, "%s: belongs neither to root nor to us", path);
	if (st.st_mode & 077)
		return err_set(err, -EPERM,
		    "%s: others may read or write it (mode %04o); chmod 600 %s", path,
		    (unsigned)(st.st_mode & 07777), path);
	return 0;
}

/* Nothing of the line is told: it may be a key with a typing error. */
static int take_line(const char *path, unsigned number, const char *line, size_t len,
    struct keys *keys, struct err *err)
{
	uint8_t key[KEY_LEN];
	int result = 0;
	if (keys->n == KEYS_MAX)
		return err_set(err, -EINVAL,
		    "%s:%u: a third key; two are accepted: remove the oldest", path, number);
	if (text_base64_decode(line, len, key, sizeof(key)) != KEY_LEN)
		result = err_set(err, -EINVAL,
		    "%s:%u: not 32 bytes in base64; a key is what this prints: "
		    "head -c 32 /dev/urandom | base64",
		    path, number);
	else if (keys->n > 0 && memcmp(keys->of[0], key, sizeof(key)) == 0)
		result = err_set(
		    err, -EINVAL, "%s:%u: the same key a second time; remove it", path, number);
	else
		memcpy(keys->of[keys->n++], key, sizeof(key));
	text_wipe(key, sizeof(key));
	return result;
}

static int take_lines(
    const char *path, const char *text, size_t len, struct keys *keys, struct err *err)
{
	const char *end = text + len;
	unsigned number = 1;
	for (const char *line = text; line < end; number++) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const char *next = stop ? stop + 1 : end;
		if (!stop)
			stop = end;
		while (line < stop && memchr(BLANK, *line, sizeof(BLANK) - 1))
			line++;
		while (stop > line && memchr(BLANK, stop[-1], sizeof(BLANK) - 1))
			stop--;
		if (line < stop && *line != '#') {
			int result =
			    take_line(path, number, line, (size_t)(stop - line), keys, err);
			if (result < 0)
				return result;
		}
		line = next;
	}
	return keys->n > 0 ? 0 : refuse(path, -EINVAL, "no key in it", err);
}

int conf_keys_load(const char *path, struct keys *out, struct err *err)
{
	char text[FILE_MAX];
	struct keys keys = {0};
	/* Not blocking: a FIFO has no business here. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return refuse(path, -errno, strerror(errno), err);
	int result = check_owner(fd, path, err);
	if (result == 0) {
		ssize_t n = read(fd, text, sizeof(text));
		if (n < 0)
			result = refuse(path, -errno, strerror(errno), err);
		else if (n == sizeof(text))
			result = refuse(path, -EINVAL, "too long for a file of keys", err);
		else
			result = take_lines(path, text, (size_t)n, &keys, err);
	}
	close(fd);
	if (result == 0)
		*out = keys;
	text_wipe(text, sizeof(text));
	text_wipe(&keys, sizeof(keys));
	return result;
}
