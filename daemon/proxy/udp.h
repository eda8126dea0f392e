/* UDP: sessions between a client and a target, and the datagrams between them. README.md says why
 * each session has a socket of its own towards its target. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/proxy/worker.h"

struct udp_listener; /* the sessions of one listening socket */
struct udp_io;       /* what a worker needs for datagrams */

/* NULL: out of memory. */
struct udp_io *udp_io_new(uint32_t workers);
void udp_io_free(struct udp_io *io);
/* Sends the answers that were gathered in this turn of the loop. */
void udp_flush(struct worker *worker);

struct udp_listener *udp_listener_new(void);
void udp_listener_free(struct udp_listener *udp);
void udp_listener_init(struct listener *listener);
/* No more datagrams of clients. Sessions go on while they owe an answer, at most `at_most_us` long
 * if that is not 0: the socket, from which answers leave, keeps the address busy. */
void udp_wind_up(struct listener *listener, uint64_t at_most_us);
/* Ends all sessions. */
void udp_stop(struct listener *listener);
/* Its sessions belong to `gen` from now on, as pair_move_on. */
void udp_move_on(struct listener *listener, struct worker_gen *gen);
/* Ends its sessions with this target. */
void udp_cut(struct listener *listener, uint64_t target_id);
/* Ends its sessions with clients that sent to one of these addresses; how many. */
uint32_t udp_leave(struct listener *listener, const struct leave *leave);
/* Closes the socket, after the last session. */
void udp_close(struct listener *listener);
/* Datagrams that the kernel dropped because they were not read in time. Also for the control
 * thread. */
uint64_t udp_overflows(const struct listener *listener);
