#include "daemon/ctl/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX     (64U << 20)
#define TIME_LIMIT_SEC 35 /* a reload or failover may take that long */

static int connect_socket(const char *run_dir, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int len = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/admin.sock", run_dir);
	if (len < 0 || (size_t)len >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s: the run dir's name is too long", run_dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	struct timeval limit = {.tv_sec = TIME_LIMIT_SEC};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	int error = errno;
	close(fd);
	if (error == EACCES)
		return err_set(
		    err, -error, "%s: permission denied: run yokectl as root", addr.sun_path);
	return err_set(err, -error, "%s: %s: is yoked running? (--run-dir names its run dir)",
	    addr.sun_path, strerror(error));
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
		if (sent <= 0)
			return -errno;
		data += sent;
		len -= (size_t)sent;
	}
	return 0;
}

static int send_request(int fd, const char *method, const char *path, const char *body)
{
	char *request = NULL;
	int len = asprintf(&request,
	    "%s %s HTTP/1.1\r\nHost: yoke\r\nContent-Type: application/json\r\nContent-Length: "
	    "%zu\r\n\r\n%s",
	    method, path, body ? strlen(body) : 0, body ? body : "");
	if (len < 0)
		return -ENOMEM;
	int error = send_all(fd, request, (size_t)len);
	free(request);
	return error;
}

/* Reads to EOF (the server closes after its answer). */
static int read_answer(int fd, char **out, size_t *out_len)
{
	size_t len = 0, size = 65536;
	char *buf = malloc(size + 1);
	while (buf) {
		if (len == size) {
			size *= 2;
			char *larger = size <= ANSWER_MAX ? realloc(buf, size + 1) : NULL;
			if (!larger)
				break;
			buf = larger;
		}
		ssize_t got = recv(fd, buf + len, size - len, 0);
		if (got < 0) {
			int error = -errno;
			free(buf);
			return error;
		}
		if (got == 0) {
			buf[len] = '\0';
			*out = buf;
			*out_len = len;
			return 0;
		}
		len += (size_t)got;
	}
	free(buf);
	return -ENOMEM;
}

static int parse_answer(const char *answer, struct json_object **out, struct err *err)
{
	int status = 0;
	const char *body = strstr(answer, "\r\n\r\n");
	if (sscanf(answer, "HTTP/1.%*d %d", &status) != 1 || !body)
		return err_set(
		    err, -EBADMSG, "yoked gave no answer: it may be restarting, try again");
	*out = json_tokener_parse(body + 4);
	return status;
}

int client_request(const char *run_dir, const char *method, const char *path, const char *body,
    struct json_object **out, struct err *err)
{
	char *answer = NULL;
	size_t len = 0;
	int fd = connect_socket(run_dir, err);
	if (fd < 0)
		return fd;
	int result = send_request(fd, method, path, body);
	if (result == 0)
		result = read_answer(fd, &answer, &len);
	if (result < 0)
		err_set(err, result, "no answer on %s/admin.sock: %s", run_dir, strerror(-result));
	else
		result = parse_answer(answer, out, err);
	free(answer);
	close(fd);
	return result;
}
