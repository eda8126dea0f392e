#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/base/text.h"

#define FILE_MAX 4096
#define BLANK    " \t\r"

static int check_owner(int fd, const char *path, bool secret, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "not a file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, -EPERM, "belongs neither to root nor to us");
	if (st.st_mode & (secret ? 077 : 022))
		return err_set(err, -EPERM, "others may %s it (mode %04o); chmod %s %s",
		    secret ? "read or write" : "write", (unsigned)(st.st_mode & 07777),
		    secret ? "600" : "go-w", path);
	return 0;
}

static int read_all(int fd, char *buf, size_t size, size_t *len, struct err *err)
{
	size_t got = 0;
	for (ssize_t n = 1; n > 0 && got < size; got += (size_t)n) {
		n = read(fd, buf + got, size - got);
		if (n < 0)
			return err_set(err, -errno, "%s", strerror(errno));
	}
	if (got == size)
		return err_set(err, -EFBIG, "longer than %zu bytes", size - 1);
	*len = got;
	return 0;
}

int conf_guarded_read(
    const char *path, bool secret, char *buf, size_t size, size_t *len, struct err *err)
{
	/* Not blocking: a FIFO has no business here. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	int result = check_owner(fd, path, secret, err);
	if (result == 0)
		result = read_all(fd, buf, size, len, err);
	close(fd);
	return result;
}

static int refuse(const char *path, int code, const char *why, struct err *err)
{
	return err_set(err, code,
	    "%s: %s. To make a key: head -c 32 /dev/urandom | base64 > %s; chmod 600 %s; "
	    "then copy it to the other node",
	    path, why, path, path);
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
	struct err why;
	size_t len;
	int result = conf_guarded_read(path, true, text, sizeof(text), &len, &why);
	if (result == -EPERM)
		err_set(err, result, "%s: %s", path, why.text);
	else if (result < 0)
		refuse(path, result, why.text, err);
	else
		result = take_lines(path, text, len, &keys, err);
	if (result == 0)
		*out = keys;
	text_wipe(text, sizeof(text));
	text_wipe(&keys, sizeof(keys));
	return result;
}
