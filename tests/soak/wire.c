#include "tests/soak/wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PRIME     65521U
#define SILENCE_S 60

uint64_t rng_next(struct rng *rng) /* splitmix64 */
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ULL;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return rng_next(rng) % n;
}

bool rng_one_in(struct rng *rng, uint64_t n)
{
	return rng_below(rng, n) == 0;
}

void wire_pause(struct rng *rng, unsigned max_ms)
{
	uint64_t us = rng_below(rng, max_ms * 1000ULL);
	nanosleep(&(struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000}, NULL);
}

/* Any 64 KiB of it can be sent as they lie: the pattern repeats after a prime number of bytes, so
 * that a lost or doubled block of any usual size shows. */
static const char *content(uint64_t id, enum wire_direction direction, uint64_t at)
{
	static char block[2 * PRIME + WIRE_BUFFER];
	static bool ready;
	if (!ready) {
		struct rng rng = {1};
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = i < PRIME ? (char)rng_next(&rng) : block[i - PRIME];
		ready = true;
	}
	struct rng rng = {id * 2 + direction};
	return block + (rng_next(&rng) % PRIME + at % PRIME) % PRIME;
}

__attribute__((constructor)) static void make_content(void)
{
	content(0, WIRE_UP, 0); /* before there are threads */
}

void wire_init(struct wire *wire, int fd)
{
	struct timeval silence = {.tv_sec = SILENCE_S};
	int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	wire->fd = fd;
	wire->start = wire->end = 0;
}

void wire_close(struct wire *wire, bool reset)
{
	if (reset)
		setsockopt(
		    wire->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(wire->fd);
	wire->fd = -1;
}

void wire_narrow(int fd)
{
	int room = 32 * 1024,
	    segment = 1400; /* with those of loopback, of 64 KiB, it would crawl */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
}

int wire_connect(const struct sockaddr_in *to, bool narrow)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (narrow)
		wire_narrow(fd);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static enum wire_result broken(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK ? WIRE_STUCK : WIRE_RESET;
}

enum wire_result wire_send(
    struct wire *wire, const char *data, size_t len, size_t step, struct rng *rng)
{
	while (len > 0) {
		ssize_t n = send(wire->fd, data, step && step < len ? step : len, MSG_NOSIGNAL);
		if (n < 0)
			return broken();
		data += n;
		len -= (size_t)n;
		if (step && len > 0)
			wire_pause(rng, 3);
	}
	return WIRE_OK;
}

/* The last bytes of a body and what is behind it leave together. */
static enum wire_result send_end(
    struct wire *wire, const char *last, size_t len, const char *behind)
{
	char text[256];
	size_t behind_len = strlen(behind);
	memcpy(text, last, len);
	memcpy(text + len, behind, behind_len);
	return wire_send(wire, text, len + behind_len, 0, NULL);
}

enum wire_result wire_send_body(struct wire *wire, uint64_t id, enum wire_direction direction,
    uint64_t len, char framing, size_t step, const char *behind, struct rng *rng)
{
	char line[32];
	uint64_t at = 0, held = behind[0] && framing != WIRE_CHUNKED && len > 0;
	enum wire_result result = WIRE_OK;
	while (at < len - held && result == WIRE_OK) {
		uint64_t left = len - held - at;
		size_t n = left < WIRE_BUFFER ? (size_t)left : WIRE_BUFFER;
		if (framing == WIRE_CHUNKED) {
			n = 1 + (size_t)rng_below(rng, n);
			int line_len =
			    snprintf(line, sizeof(line), "%s%zx\r\n", at ? "\r\n" : "", n);
			result = wire_send(wire, line, (size_t)line_len, 0, rng);
		}
		if (result == WIRE_OK)
			result = wire_send(wire, content(id, direction, at), n, step, rng);
		at += n;
	}
	if (result != WIRE_OK)
		return result;
	if (framing == WIRE_CHUNKED)
		return send_end(wire, len ? "\r\n0\r\n\r\n" : "0\r\n\r\n", len ? 7 : 5, behind);
	return held || behind[0] ? send_end(wire, content(id, direction, at), held, behind)
				 : WIRE_OK;
}

static enum wire_result more(struct wire *wire)
{
	if (wire->start == wire->end)
		wire->start = wire->end = 0;
	if (wire->end == sizeof(wire->buf)) {
		memmove(wire->buf, wire->buf + wire->start, wire->end - wire->start);
		wire->end -= wire->start;
		wire->start = 0;
	}
	ssize_t n = recv(wire->fd, wire->buf + wire->end, sizeof(wire->buf) - wire->end, 0);
	if (n <= 0)
		return n == 0 ? WIRE_END : broken();
	wire->end += (size_t)n;
	return WIRE_OK;
}

enum wire_result wire_read_until(struct wire *wire, const char *end, char text[WIRE_HEAD])
{
	for (;;) {
		size_t have = wire->end - wire->start;
		const char *from = wire->buf + wire->start,
			   *hit = memmem(from, have, end, strlen(end));
		if (hit) {
			size_t len = (size_t)(hit - from) + strlen(end);
			if (len >= WIRE_HEAD)
				return WIRE_WRONG;
			memcpy(text, from, len);
			text[len] = '\0';
			wire->start += len;
			return WIRE_OK;
		}
		if (have >= WIRE_HEAD)
			return WIRE_WRONG;
		enum wire_result result = more(wire);
		if (result != WIRE_OK)
			return result;
	}
}

static void show_difference(const char *got, const char *want, size_t len, uint64_t at)
{
	char text[4 * 48 + 1], *out = text;
	size_t i = 0;
	while (got[i] == want[i])
		i++;
	for (size_t k = i; k < len && k < i + 48; k++)
		out +=
		    sprintf(out, got[k] > ' ' && got[k] <= '~' ? "%c" : "\\x%02x", (uint8_t)got[k]);
	fprintf(stderr, "at byte %llu, %zu of what was read: %s\n", (unsigned long long)(at + i), i,
	    text);
}

/* *len bytes at most; *len becomes what was compared. */
static enum wire_result check_piece(
    struct wire *wire, uint64_t id, enum wire_direction direction, uint64_t at, uint64_t *len)
{
	if (wire->start == wire->end) {
		enum wire_result result = more(wire);
		if (result != WIRE_OK)
			return result;
	}
	size_t n = wire->end - wire->start;
	if (n > *len)
		n = (size_t)*len;
	*len = n;
	const char *got = wire->buf + wire->start, *want = content(id, direction, at);
	if (memcmp(got, want, n) != 0) {
		show_difference(got, want, n, at);
		return WIRE_WRONG;
	}
	wire->start += n;
	return WIRE_OK;
}

static enum wire_result check_run(struct wire *wire, uint64_t id, enum wire_direction direction,
    uint64_t at, uint64_t len, size_t step, struct rng *rng)
{
	while (len > 0) {
		uint64_t n = step && step < len ? step : len;
		enum wire_result result = check_piece(wire, id, direction, at, &n);
		if (result != WIRE_OK)
			return result;
		at += n;
		len -= n;
		if (step)
			wire_pause(rng, 3);
	}
	return WIRE_OK;
}

static enum wire_result check_chunks(struct wire *wire, uint64_t id, enum wire_direction direction,
    uint64_t len, size_t step, struct rng *rng)
{
	char line[WIRE_HEAD];
	uint64_t at = 0;
	for (;;) {
		enum wire_result result = wire_read_until(wire, "\r\n", line);
		if (result != WIRE_OK)
			return result;
		uint64_t n = strtoull(line, NULL, 16);
		if (n == 0)
			break;
		if (n > len - at)
			return WIRE_WRONG;
		result = check_run(wire, id, direction, at, n, step, rng);
		at += n;
		if (result == WIRE_OK)
			result = wire_read_until(wire, "\r\n", line);
		if (result != WIRE_OK)
			return result;
	}
	if (at != len)
		return WIRE_WRONG;
	return wire_read_until(wire, "\r\n", line);
}

enum wire_result wire_check_body(struct wire *wire, uint64_t id, enum wire_direction direction,
    uint64_t len, char framing, size_t step, struct rng *rng)
{
	if (framing == WIRE_CHUNKED)
		return check_chunks(wire, id, direction, len, step, rng);
	enum wire_result result = check_run(wire, id, direction, 0, len, step, rng);
	if (framing != WIRE_UNTIL_CLOSE || result != WIRE_OK)
		return result;
	result = wire->start < wire->end ? WIRE_OK : more(wire);
	return result == WIRE_OK ? WIRE_WRONG : result == WIRE_END ? WIRE_OK : result;
}

enum wire_result wire_discard(struct wire *wire)
{
	enum wire_result result;
	do {
		wire->start = wire->end;
		result = more(wire);
	} while (result == WIRE_OK);
	return result;
}

const char *wire_field(const char *head, const char *name)
{
	size_t len = strlen(name);
	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return NULL;
}
