/* The UDP sessions of one listening socket, by the client's address and port and the address that it
 * sent to. Pure. Its hash is keyed: strangers choose the addresses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"

/* Embedded in a session. The caller fills in the addresses; `local` has no port. */
struct udp_entry {
	struct udp_entry *next;
	uint64_t hash;
	struct addr client, local;
};

struct udp_table {
	uint64_t key[2];
	struct udp_entry **buckets; /* 2^n of them */
	uint32_t n_buckets, n;
};

/* False when out of memory. */
bool udp_table_init(struct udp_table *table, const uint64_t key[2]);
/* Its entries are not looked at. */
void udp_table_fini(struct udp_table *table);
/* NULL if there is none. *hash is for udp_table_add. */
struct udp_entry *udp_table_find(const struct udp_table *table, const struct addr *client,
    const struct addr *local, uint64_t *hash);
/* With entry->hash as udp_table_find told. Cannot fail: without memory to grow, the chains do. */
void udp_table_add(struct udp_table *table, struct udp_entry *entry);
/* An entry that is in the table. */
void udp_table_remove(struct udp_table *table, struct udp_entry *entry);
bool udp_entry_is_of(
    const struct udp_entry *entry, const struct addr *client, const struct addr *local);
