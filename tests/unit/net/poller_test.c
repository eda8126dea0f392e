#include "daemon/net/poller.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/net/net.h"
#include "tests/unit/unit.h"

/* A watched socket that reads up to `piece` bytes a call, as an owner does. */
struct reader {
	struct watch watch;
	size_t piece;
	int calls, writable;
	bool ended, broken, stop_other;
	size_t got;
	struct reader *other;
	struct reader *taker; /* of the other's descriptor */
};

static struct poller poller;

static void on_event(struct watch *watch, unsigned events)
{
	struct reader *reader = list_entry(watch, struct reader, watch);
	char data[64];
	reader->calls++;
	if (reader->stop_other && watch_is_open(&reader->other->watch)) {
		int fd = reader->other->watch.fd;
		watch_stop(&reader->other->watch);
		close(fd);
	}
	if (reader->taker && !watch_is_open(&reader->taker->watch)) {
		watch_take(&reader->taker->watch, &reader->other->watch, on_event);
		watch_want(&reader->taker->watch, POLLER_READ);
	}
	if (events & POLLER_WRITE) {
		reader->writable++;
		watch_want(watch, watch->want & ~POLLER_WRITE);
	}
	if (events & POLLER_BROKEN) {
		reader->broken = true;
		watch_want(watch, 0);
	}
	if (!(events & POLLER_READ))
		return;
	ssize_t n = recv(watch->fd, data, reader->piece, 0);
	if (n < 0) {
		CU_ASSERT_EQUAL(errno, EAGAIN);
		watch_blocked(watch, POLLER_READ);
		return;
	}
	reader->got += (size_t)n;
	if (n == 0) {
		reader->ended = true;
		watch_want(watch, 0);
	} else if ((size_t)n < reader->piece) {
		watch_read_short(watch);
	}
}

static void turns(int n)
{
	for (int i = 0; i < n; i++) {
		poller_wait(&poller, 0);
		poller_dispatch(&poller);
	}
}

static void start(struct reader *reader, int fd, size_t piece)
{
	memset(reader, 0, sizeof(*reader));
	reader->piece = piece;
	watch_init(&reader->watch, &poller, fd, on_event);
	watch_want(&reader->watch, POLLER_READ);
}

static void finish(struct reader *reader)
{
	int fd = reader->watch.fd;
	watch_stop(&reader->watch);
	close(fd);
}

/* A TCP connection over loopback: `ours` is non-blocking. The first one makes the poller. */
static void connect_pair(int *ours, int *theirs)
{
	if (poller.epoll_fd <= 0)
		CU_ASSERT_EQUAL_FATAL(poller_init(&poller), 0);
	struct addr addr, peer;
	CU_ASSERT_TRUE_FATAL(addr_parse_ip("127.0.0.1", &addr));
	struct net_listen_options options = {0};
	int listener = net_listen_tcp(&addr, &options);
	socklen_t len = sizeof(addr);
	CU_ASSERT_EQUAL_FATAL(getsockname(listener, &addr.sa, &len), 0);
	*theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(*theirs, &addr.sa, sizeof(addr.in)), 0);
	*ours = net_accept(listener, &peer);
	CU_ASSERT_TRUE_FATAL(*ours >= 0);
	close(listener);
}

static void said(int fd, const char *text)
{
	CU_ASSERT_EQUAL(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* A short read ends it; new bytes begin it again. */
static void short_read(void)
{
	struct reader reader;
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 64);
	turns(2);
	CU_ASSERT_EQUAL(reader.calls, 0);
	said(theirs, "hello");
	turns(3);
	CU_ASSERT_EQUAL(reader.calls, 1);
	CU_ASSERT_EQUAL(reader.got, 5);
	said(theirs, "again");
	turns(3);
	CU_ASSERT_EQUAL(reader.calls, 2);
	CU_ASSERT_EQUAL(reader.got, 10);
	finish(&reader);
	close(theirs);
}

/* Who did not take all comes again in the next turn, without new bytes, once a turn. */
static void full_read(void)
{
	struct reader reader;
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 4);
	said(theirs, "0123456789ab");
	turns(1);
	CU_ASSERT_EQUAL(reader.got, 4);
	turns(1);
	CU_ASSERT_EQUAL(reader.got, 8);
	turns(3);
	CU_ASSERT_EQUAL(reader.got, 12);
	CU_ASSERT_EQUAL(reader.calls, 4); /* the last one found nothing */
	finish(&reader);
	close(theirs);
}

/* Bytes that came while nobody wanted them are not forgotten, and nobody is called before. */
static void wanted_later(void)
{
	struct reader reader;
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 64);
	watch_want(&reader.watch, 0);
	said(theirs, "early");
	turns(3);
	CU_ASSERT_EQUAL(reader.calls, 0);
	watch_want(&reader.watch, POLLER_READ);
	turns(1);
	CU_ASSERT_EQUAL(reader.got, 5);
	/* Wanted and not wanted any more before the turn. */
	watch_want(&reader.watch, 0);
	said(theirs, "late");
	turns(1);
	watch_want(&reader.watch, POLLER_READ);
	watch_want(&reader.watch, 0);
	turns(1);
	CU_ASSERT_EQUAL(reader.calls, 1);
	finish(&reader);
	close(theirs);
}

/* The end comes with the last bytes, and no edge comes after it. */
static void end_behind_bytes(void)
{
	struct reader reader;
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 64);
	said(theirs, "bye");
	shutdown(theirs, SHUT_WR);
	turns(3);
	CU_ASSERT_EQUAL(reader.got, 3);
	CU_ASSERT_TRUE(reader.ended);
	CU_ASSERT_EQUAL(reader.calls, 2);
	turns(3);
	CU_ASSERT_EQUAL(reader.calls, 2); /* it does not want more */
	finish(&reader);
	close(theirs);
}

/* A read stops at urgent data although more is behind it. */
static void urgent_data(void)
{
	struct reader reader;
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 64);
	said(theirs, "before");
	CU_ASSERT_EQUAL(send(theirs, "!", 1, MSG_OOB), 1);
	said(theirs, "behind");
	turns(5);
	CU_ASSERT_EQUAL(reader.got, 12);
	said(theirs, "later");
	turns(5);
	CU_ASSERT_EQUAL(reader.got, 17);
	finish(&reader);
	close(theirs);
}

static void fill(int fd)
{
	static const char block[65536];
	while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	CU_ASSERT_EQUAL(errno, EAGAIN);
}

static void empty(int fd)
{
	static char block[65536];
	while (recv(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
}

/* Writing: told when there is room, at once or later, as often as it was blocked. */
static void room_to_write(void)
{
	struct reader reader;
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 64);
	watch_want(&reader.watch, POLLER_READ | POLLER_WRITE);
	turns(1);
	CU_ASSERT_EQUAL(reader.writable, 1);
	for (int i = 2; i < 5; i++) {
		fill(ours);
		watch_blocked(&reader.watch, POLLER_WRITE);
		watch_want(&reader.watch, POLLER_READ | POLLER_WRITE);
		turns(3);
		CU_ASSERT_EQUAL(reader.writable, i - 1);
		for (int wait = 0; wait < 1000 && reader.writable < i; wait++) {
			empty(theirs);
			poller_wait(&poller, 10);
			poller_dispatch(&poller);
		}
		CU_ASSERT_EQUAL(reader.writable, i);
	}
	CU_ASSERT_EQUAL(reader.got, 0);
	finish(&reader);
	close(theirs);
}

/* Both have an event in one turn, and the first one closes the other. */
static void closed_in_the_same_turn(void)
{
	struct reader a, b;
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&a, ours, 64);
	int ours2, theirs2;
	connect_pair(&ours2, &theirs2);
	start(&b, ours2, 64);
	a.stop_other = b.stop_other = true;
	a.other = &b;
	b.other = &a;
	said(theirs, "a");
	said(theirs2, "b");
	turns(2);
	CU_ASSERT_EQUAL(a.calls + b.calls, 1);
	finish(watch_is_open(&a.watch) ? &a : &b);
	close(theirs);
	close(theirs2);
}

/* Asked whether there is more: once more if there is, else not. */
static void ask(void)
{
	struct reader reader;
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 4);
	said(theirs, "01234567");
	turns(1);
	watch_ask(&reader.watch);
	turns(1);
	CU_ASSERT_EQUAL(reader.got, 8);
	watch_ask(&reader.watch);
	turns(2);
	CU_ASSERT_EQUAL(reader.calls, 2);
	finish(&reader);
	close(theirs);
}

/* What an owner of a level-triggered watch leaves is told again, and not while it is not wanted. */
static void level_triggered(void)
{
	struct reader reader = {.piece = 4};
	int ours, theirs;
	connect_pair(&ours, &theirs);
	watch_init(&reader.watch, &poller, ours, on_event);
	reader.watch.level = true;
	watch_want(&reader.watch, POLLER_READ);
	said(theirs, "0123456789");
	turns(1);
	watch_want(&reader.watch, 0);
	turns(2);
	CU_ASSERT_EQUAL(reader.got, 4);
	watch_want(&reader.watch, POLLER_READ);
	turns(5);
	CU_ASSERT_EQUAL(reader.got, 10);
	CU_ASSERT_EQUAL(reader.calls, 3);
	finish(&reader);
	close(theirs);
}

/* Also the edge that has come in the turn in which the descriptor changes hands is not lost, and what
 * was ready stays so. */
static void taken(void)
{
	struct reader first, before, after = {.piece = 4, .watch.fd = -1};
	int ours[2], theirs[2];
	connect_pair(&ours[0], &theirs[0]);
	connect_pair(&ours[1], &theirs[1]);
	start(&first, ours[0], 64);
	start(&before, ours[1], 4);
	turns(1);
	first.other = &before;
	first.taker = &after;
	said(theirs[0], "x");
	said(theirs[1], "01234567");
	turns(1);
	CU_ASSERT_FALSE(watch_is_open(&before.watch));
	turns(4);
	CU_ASSERT_EQUAL(before.calls, 0);
	CU_ASSERT_EQUAL(after.got, 8);
	said(theirs[1], "more");
	turns(3);
	CU_ASSERT_EQUAL(after.got, 12);
	/* Ready, but not wanted, when it is taken. */
	watch_want(&after.watch, 0);
	said(theirs[1], "last");
	turns(2);
	watch_take(&before.watch, &after.watch, on_event);
	turns(2);
	CU_ASSERT_EQUAL(before.got, 0);
	watch_want(&before.watch, POLLER_READ);
	turns(2);
	CU_ASSERT_EQUAL(before.got, 4);
	finish(&first);
	finish(&before);
	close(theirs[0]), close(theirs[1]);
}

/* The end of what the other says is no break, and neither are bytes; a reset shows to one who does not
 * read, also behind bytes. */
static void broken(void)
{
	struct reader reader;
	struct linger linger = {.l_onoff = 1};
	int ours, theirs;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 8);
	turns(1);
	watch_want(&reader.watch, POLLER_BROKEN);
	said(theirs, "x");
	shutdown(theirs, SHUT_WR);
	turns(2);
	CU_ASSERT_EQUAL(reader.calls, 0);
	setsockopt(theirs, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(theirs);
	turns(2);
	CU_ASSERT_TRUE(reader.broken);
	CU_ASSERT_EQUAL(reader.got, 0);
	finish(&reader);
}

static void a_descriptor_that_others_share(void)
{
	int ours, theirs;
	struct reader reader;
	connect_pair(&ours, &theirs);
	start(&reader, ours, 8);
	int shared = dup(ours);
	turns(1);
	watch_leave(&reader.watch);
	close(ours);
	CU_ASSERT_FALSE(watch_is_open(&reader.watch));
	said(theirs, "x");
	poller_wait(&poller, 0);
	CU_ASSERT_EQUAL(poller.n_events, 0); /* closing alone would leave it in the set */
	close(shared);
	close(theirs);
}

UNIT_MAIN("net/poller", UNIT(short_read), UNIT(full_read), UNIT(wanted_later),
    UNIT(end_behind_bytes), UNIT(urgent_data), UNIT(room_to_write), UNIT(closed_in_the_same_turn),
    UNIT(ask), UNIT(a_descriptor_that_others_share), UNIT(level_triggered), UNIT(taken),
    UNIT(broken))
