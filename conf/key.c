#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/base/text.h"

#define KEY_TEXT_MAX 256

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

static int decode_key(
    const char *path, const char *text, size_t len, uint8_t key[CONF_KEY_LEN], struct err *err)
{
	uint8_t bytes[CONF_KEY_LEN];
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1])
		len--;
	long n = text_base64_decode(text, len, bytes, sizeof(bytes));
	int result = 0;
	if (n != CONF_KEY_LEN)
		result = refuse(path, -EINVAL, "not 32 bytes in base64", err);
	else
		memcpy(key, bytes, sizeof(bytes));
	text_wipe(bytes, sizeof(bytes));
	return result;
}

int conf_key_load(const char *path, uint8_t key[CONF_KEY_LEN], struct err *err)
{
	char text[KEY_TEXT_MAX];
	/* Not blocking: a FIFO has no business here. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return refuse(path, -errno, strerror(errno), err);
	int result = check_owner(fd, path, err);
	if (result == 0) {
		ssize_t n = read(fd, text, sizeof(text));
		if (n < 0)
			result = refuse(path, -errno, strerror(errno), err);
		else
			result = decode_key(path, text, (size_t)n, key, err);
	}
	close(fd);
	text_wipe(text, sizeof(text));
	return result;
}
