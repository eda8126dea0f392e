/* soak_peers SEED SECONDS CLIENTS EXCHANGES ENDPOINT...: clients and targets of a proxy under load.
 * ENDPOINT: target=PORT,POOL,http|tcp or front=ADDRESS,PORT,POOL,http|tcp,clean|faulty|sticky, where
 * CLIENTS clients each go. With EXCHANGES each client makes so many GETs and ends; else all end after
 * SECONDS. Prints what was seen; exit status 1 if something was wrong. */
#include "tests/soak/peers.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENDPOINTS_MAX 32
#define CLIENTS_MAX   1024
#define WRONG_MAX     10

struct totals totals;
atomic_bool stopping;

void wrong(const struct endpoint *endpoint, const struct plan *plan, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr,
	    "WRONG: %s %u: %s (id %" PRIx64 ", up %" PRIu64 ", down %" PRIu64
	    ", framing %c, fault %c)\n",
	    endpoint->pool, ntohs(endpoint->addr.sin_port), text, plan->id, plan->up, plan->down,
	    plan->framing ? plan->framing : '-', plan->fault ? plan->fault : '-');
	if (atomic_fetch_add(&totals.wrong, 1) + 1 >= WRONG_MAX)
		atomic_store(&stopping, true);
}

/* True if it is a front. Ends the program if it is neither. */
static bool parse_endpoint(const char *text, struct endpoint *out)
{
	char address[32] = "127.0.0.1", mode[8], kind[8] = "";
	unsigned port;
	bool front = sscanf(text, "front=%31[^,],%u,%31[^,],%7[^,],%7s", address, &port, out->pool,
			 mode, kind) == 5;
	if (!front && sscanf(text, "target=%u,%31[^,],%7s", &port, out->pool, mode) != 3) {
		fprintf(stderr, "%s: not an endpoint\n", text);
		exit(2);
	}
	out->addr.sin_family = AF_INET;
	out->addr.sin_port = htons((uint16_t)port);
	inet_pton(AF_INET, address, &out->addr.sin_addr);
	out->tcp = strcmp(mode, "tcp") == 0;
	out->faulty = strcmp(kind, "faulty") == 0;
	out->sticky = strcmp(kind, "sticky") == 0;
	return front;
}

static pthread_t start(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, arg) != 0) {
		perror("thread");
		exit(2);
	}
	return thread;
}

int main(int argc, char **argv)
{
	static struct endpoint endpoints[ENDPOINTS_MAX];
	static struct client clients[CLIENTS_MAX];
	static pthread_t threads[CLIENTS_MAX];
	if (argc < 6 || argc - 5 > ENDPOINTS_MAX)
		return 2;
	uint64_t seed = strtoull(argv[1], NULL, 10), exchanges = strtoull(argv[4], NULL, 10);
	unsigned seconds = (unsigned)atoi(argv[2]), per_front = (unsigned)atoi(argv[3]), n = 0;
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < argc - 5; i++) {
		endpoints[i].narrow = i % 2;
		if (!parse_endpoint(argv[i + 5], &endpoints[i])) {
			start(target_run, &endpoints[i]);
			continue;
		}
		for (unsigned k = 0; k < per_front && n < CLIENTS_MAX; k++, n++)
			clients[n] =
			    (struct client){&endpoints[i], {seed << 16 | n}, exchanges, "", 0};
	}
	usleep(
	    200000); /* targets listen before clients come: a refusal would be a retry, no more */
	for (unsigned i = 0; i < n; i++)
		threads[i] = start(client_run, &clients[i]);
	for (unsigned i = 0; !exchanges && i < seconds * 10 && !atomic_load(&stopping); i++)
		usleep(100000);
	atomic_store(&stopping, !exchanges);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("done %" PRIu64 " refused %" PRIu64 " cut %" PRIu64 " faults %" PRIu64
	       " bytes %" PRIu64 " wrong %" PRIu64 "\n",
	    totals.done, totals.refused, totals.cut, totals.faults, totals.bytes, totals.wrong);
	return totals.wrong ? 1 : 0;
}
