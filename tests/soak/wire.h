/* Blocking connections whose bytes can be checked: each body is made from the number of its exchange,
 * so that a byte that is wrong, missing, doubled, or of another exchange is seen where it stands. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_BUFFER (64U * 1024)
#define WIRE_HEAD   8192U

enum wire_direction { WIRE_UP, WIRE_DOWN };
/* How a body is framed, a letter in the plan of an exchange. */
enum { WIRE_LENGTH = 'l', WIRE_CHUNKED = 'c', WIRE_UNTIL_CLOSE = 'u' };

struct wire {
	int fd;
	size_t start, end;
	char buf[WIRE_BUFFER];
};

/* Each says what happened: more, the peer's FIN, a reset or the like, too long a silence, bytes that
 * must not be there. */
enum wire_result { WIRE_OK, WIRE_END, WIRE_RESET, WIRE_STUCK, WIRE_WRONG };

struct rng {
	uint64_t state;
};
uint64_t rng_next(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t n); /* 0..n-1 */
bool rng_one_in(struct rng *rng, uint64_t n);
void wire_pause(struct rng *rng, unsigned max_ms); /* a part of a client's or target's fault */

void wire_init(struct wire *wire, int fd); /* takes the descriptor */
void wire_close(struct wire *wire, bool reset);
/* A descriptor or -errno. */
int wire_connect(const struct sockaddr_in *to, bool narrow);
/* Small segments and little room for what comes, so that the other end feels it when nobody reads.
 * Before connect or listen. */
void wire_narrow(int fd);

/* `step` > 0: in pieces of at most so many bytes, with pauses. */
enum wire_result wire_send(
    struct wire *wire, const char *data, size_t len, size_t step, struct rng *rng);
/* `behind`: at most 200 bytes that are not of the body and arrive with its last ones, or "". */
enum wire_result wire_send_body(struct wire *wire, uint64_t id, enum wire_direction direction,
    uint64_t len, char framing, size_t step, const char *behind, struct rng *rng);
/* A line that ends in LF, or a head that ends in an empty line, NUL-terminated, at most WIRE_HEAD
 * bytes. */
enum wire_result wire_read_until(struct wire *wire, const char *end, char text[WIRE_HEAD]);
/* Reads and compares `len` bytes of body; until the end of the connection when WIRE_UNTIL_CLOSE.
 * `step` as above. A body that differs is WIRE_WRONG. */
enum wire_result wire_check_body(struct wire *wire, uint64_t id, enum wire_direction direction,
    uint64_t len, char framing, size_t step, struct rng *rng);
enum wire_result wire_discard(struct wire *wire); /* to the end; WIRE_END or how it broke */

/* The value of a field of a head, up to its line's end; NULL if there is none. */
const char *wire_field(const char *head, const char *name);
