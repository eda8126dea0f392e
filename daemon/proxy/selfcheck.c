/* The sockets of selfcheck.h. Everything is done at the control thread's tick: a request leaves at
 * one, its answer is read at the next. No watcher, no wake-up.
 *
 * A request goes from the listening address to itself, thus by lo. On a Backup the VIP is not
 * there, and nothing may leave for the peer that has it: the source cannot be bound then, and where
 * it can (net.ipv4.ip_nonlocal_bind) there is no route from it. From 127.0.0.1 the SYN would leave
 * if route_localnet is set, from ::1 it always would. */
#include "daemon/proxy/selfcheck.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/text.h"

#define PERIOD_US    (500 * US_PER_MS)
#define PATIENCE_US  (100 * US_PER_MS) /* before we look what is the matter */
#define LOG_EVERY_US (60 * US_PER_SEC)

/* A proxy answers this itself (RFC 9110 section 7.6.2). */
static const char question[] = "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nMax-Forwards: 0\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 ";

/* --- one address --- */

static struct addr self_of(const struct addr *bind)
{
	struct addr self = *bind;
	if (bind->sa.sa_family == AF_INET && bind->in.sin_addr.s_addr == htonl(INADDR_ANY))
		self.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&bind->in6.sin6_addr))
		self.in6.sin6_addr = in6addr_loopback;
	return self;
}

static struct selfcheck *find(struct list *checks, const struct listener *listener)
{
	list_for_each (it, checks) {
		struct selfcheck *check = list_entry(it, struct selfcheck, node);
		if (strcmp(check->name, listener->name) == 0 &&
		    addr_equal(&check->bind, &listener->bind))
			return check;
	}
	return NULL;
}

int selfcheck_join(struct list *checks, struct listener *listener)
{
	struct selfcheck *check = find(checks, listener);
	if (!check) {
		check = calloc(1, sizeof(*check));
		if (!check)
			return -ENOMEM;
		list_init(&check->sockets);
		text_copy(check->name, sizeof(check->name), listener->name);
		check->bind = listener->bind;
		check->self = self_of(&listener->bind);
		addr_format(&check->bind, check->text);
		check->fd = -1;
		check->due_us = clock_us() + hash_id(&check->bind, sizeof(check->bind)) % PERIOD_US;
		list_push_back(checks, &check->node);
	}
	listener->check = check;
	listener->own_addr = check->self;
	list_push_back(&check->sockets, &listener->of_check);
	return 0;
}

static void hang_up(struct selfcheck *check)
{
	if (check->fd >= 0)
		close(check->fd);
	check->fd = -1;
}

static void free_check(struct selfcheck *check)
{
	hang_up(check);
	list_del(&check->node);
	free(check);
}

void selfcheck_leave(struct listener *listener)
{
	list_del(&listener->of_check);
	if (list_empty(&listener->check->sockets))
		free_check(listener->check);
}

void selfcheck_free_all(struct list *checks)
{
	list_for_each_safe (it, checks)
		free_check(list_entry(it, struct selfcheck, node));
}

void selfcheck_set(struct selfcheck *check, const struct conf_listener *conf)
{
	check->in_force = true;
	check->http = conf->mode == CONF_MODE_HTTP;
}

void selfcheck_forget(struct list *checks)
{
	list_for_each (it, checks) {
		struct selfcheck *check = list_entry(it, struct selfcheck, node);
		hang_up(check);
		verdict_step(&check->verdict, SIGN_NONE, 0, 0, 0);
	}
}

/* --- its sockets --- */

/* The workers know our request by the port it comes from. */
static void publish(struct selfcheck *check, uint16_t port)
{
	list_for_each (it, &check->sockets)
		atomic_store_explicit(&list_entry(it, struct listener, of_check)->own_port, port,
		    memory_order_relaxed);
}

static uint64_t accepted(const struct listener *listener)
{
	return atomic_load_explicit(&listener->accepted, memory_order_relaxed);
}

static uint64_t least_accepted(const struct selfcheck *check)
{
	uint64_t least = UINT64_MAX;
	list_for_each (it, &check->sockets) {
		const struct listener *listener = list_entry(it, struct listener, of_check);
		uint64_t n = accepted(listener) - listener->accepted_before;
		if (n < least)
			least = n;
	}
	return least;
}

static void count_anew(struct selfcheck *check)
{
	list_for_each (it, &check->sockets) {
		struct listener *listener = list_entry(it, struct listener, of_check);
		listener->accepted_before = accepted(listener);
	}
}

/* The kernel drops the SYN for one whose accept queue is full. */
static bool queue_is_full(const struct selfcheck *check)
{
	list_for_each (it, &check->sockets) {
		uint32_t waiting, room;
		if (listener_queue(list_entry(it, struct listener, of_check), &waiting, &room) &&
		    waiting >= room)
			return true;
	}
	return false;
}

/* --- asking --- */

/* With net.ipv6.ip_nonlocal_bind a bound address says nothing, and packets would leave from it: a
 * socket that takes an address of the discard prefix (RFC 6666) takes any. */
static bool takes_any(int fd)
{
	static const struct sockaddr_in6 nobody = {
	    .sin6_family = AF_INET6, .sin6_addr = {{{0x01, [15] = 1}}}};
	return bind(fd, (const struct sockaddr *)&nobody, sizeof(nobody)) == 0;
}

/* A socket whose source is the address itself; *source has the port, too. -EADDRNOTAVAIL: it is not
 * an address of this host. */
static int open_source(const struct selfcheck *check, struct addr *source)
{
	/* Ends by a reset: no address lies in TIME_WAIT for a minute. */
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	socklen_t len = addr_len(&check->self);
	*source = check->self;
	addr_set_port(source, 0);
	int rc = 0;
	int fd = socket(source->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (source->sa.sa_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&source->in6.sin6_addr) &&
	    takes_any(fd))
		rc = -EOPNOTSUPP;
	else if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ||
		 bind(fd, &source->sa, len) < 0 || getsockname(fd, &source->sa, &len) < 0)
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static bool is_here(const struct selfcheck *check)
{
	struct addr source;
	int fd = open_source(check, &source);
	if (fd >= 0)
		close(fd);
	return fd != -EADDRNOTAVAIL;
}

/* Without a verdict; the next try in a while. */
static enum sign not_asked(struct selfcheck *check, int error, uint64_t now_us)
{
	uint64_t suppressed;
	hang_up(check);
	check->due_us = now_us + PERIOD_US;
	check->here = error != -EADDRNOTAVAIL && error != -ENETUNREACH;
	if (!check->here)
		return SIGN_NONE;
	check->failures++;
	if (error != check->told && log_allowed(&check->log, now_us, LOG_EVERY_US, &suppressed)) {
		check->told = error;
		log_warn("listener %s at %s: cannot be asked whether it serves: %s", check->name,
		    check->text,
		    error == -EOPNOTSUPP  ? "net.ipv6.ip_nonlocal_bind is set"
		    : error == -ETIMEDOUT ? "the kernel drops our SYN; is there a rule that does?"
		    : error == -EPROTO    ? "somebody else answers"
					  : strerror(-error));
	}
	return SIGN_NONE;
}

/* There was no answer, and the next tick tries again. */
static enum sign no_answer(struct selfcheck *check, const char *cause, uint64_t now_us)
{
	hang_up(check);
	check->due_us = now_us;
	check->cause = cause;
	return SIGN_SILENCE;
}

/* HTTP: sends the request as soon as the connection stands. 0 or -errno. */
static int speak(struct selfcheck *check)
{
	if (!check->http || check->sent)
		return 0;
	if (send(check->fd, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	check->sent = true;
	return 0;
}

static enum sign ask(struct selfcheck *check, uint64_t now_us)
{
	struct addr source;
	int fd = open_source(check, &source);
	if (fd == -EMFILE || fd == -ENFILE)
		return no_answer(check, worker_error_text(fd), now_us);
	if (fd < 0)
		return not_asked(check, fd, now_us);
	check->fd = fd;
	publish(check, addr_port(&source));
	if (connect(fd, &check->self.sa, addr_len(&check->self)) < 0 && errno != EINPROGRESS &&
	    errno != EINTR)
		return not_asked(check, -errno, now_us);
	check->here = true;
	check->sent = false;
	check->asked_us = now_us;
	if (!check->verdict.silent_us)
		check->cause = NULL;
	speak(check); /* an error shows again when the answer is read */
	return SIGN_SILENCE;
}

/* --- hearing --- */

static bool is_connected(const struct selfcheck *check)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	return getpeername(check->fd, (struct sockaddr *)&peer, &len) == 0;
}

/* Where `defer_accept` is set the kernel keeps a connection back until there is a byte. */
static void nudge(struct selfcheck *check)
{
	if (check->http || check->sent)
		return;
	check->sent = send(check->fd, "", 1, MSG_NOSIGNAL) == 1;
}

static enum sign wait_on(struct selfcheck *check, uint64_t now_us)
{
	if (now_us - check->asked_us < PATIENCE_US)
		return SIGN_SILENCE;
	/* It may have left meanwhile. */
	if (!is_here(check))
		return not_asked(check, -EADDRNOTAVAIL, now_us);
	if (is_connected(check)) {
		nudge(check);
		return SIGN_SILENCE;
	}
	if (queue_is_full(check))
		return no_answer(check, "its queue is full", now_us);
	return not_asked(check, -ETIMEDOUT, now_us);
}

/* The worker hangs up on a TCP connection of ours, once it has accepted it. */
static bool is_answer(const struct selfcheck *check, const char *text, ssize_t len)
{
	if (!check->http)
		return len == 0;
	return len >= (ssize_t)sizeof(answer) - 1 && memcmp(text, answer, sizeof(answer) - 1) == 0;
}

static enum sign hear(struct selfcheck *check, uint64_t now_us)
{
	char text[256];
	ssize_t n = speak(check);
	if (n == 0 && (n = recv(check->fd, text, sizeof(text), 0)) < 0)
		n = -errno;
	if (n == -EAGAIN || n == -EINTR)
		return wait_on(check, now_us);
	if (is_answer(check, text, n)) {
		hang_up(check);
		publish(check, 0);
		check->due_us = check->asked_us + PERIOD_US;
		check->answered_wall_us = clock_wall_us();
		check->told = 0;
		return SIGN_ANSWER;
	}
	if (n > 0)
		return not_asked(check, -EPROTO, now_us);
	if (n < 0 && n != -ECONNREFUSED && n != -ECONNRESET)
		return not_asked(check, (int)n, now_us);
	return no_answer(check, n < 0 ? worker_error_text((int)n) : "connection closed", now_us);
}

static void step(struct selfcheck *check, uint64_t window_us, uint64_t now_us)
{
	if (!check->in_force || (check->fd < 0 && now_us < check->due_us))
		return;
	enum sign sign = check->fd < 0 ? ask(check, now_us) : hear(check, now_us);
	bool was_stuck = check->verdict.stuck;
	if (verdict_step(&check->verdict, sign, least_accepted(check), window_us, now_us))
		count_anew(check);
	if (check->verdict.stuck && !was_stuck)
		check->failures++;
}

void selfcheck_step(struct list *checks, uint64_t window_us, uint64_t now_us)
{
	list_for_each (it, checks)
		step(list_entry(it, struct selfcheck, node), window_us, now_us);
}

bool selfcheck_stuck(const struct list *checks, uint64_t now_us, struct err *why)
{
	list_for_each (it, checks) {
		const struct selfcheck *check = list_entry(it, struct selfcheck, node);
		const struct verdict *verdict = &check->verdict;
		if (!verdict->stuck)
			continue;
		err_set(why, 0, "listener %s at %s: no answer to our own request for %llu ms%s%s",
		    check->name, check->text,
		    (unsigned long long)((now_us - verdict->silent_us) / US_PER_MS),
		    check->cause ? ": " : "", check->cause ? check->cause : "");
		return true;
	}
	return false;
}
