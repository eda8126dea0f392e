#include "daemon/proxy/udp_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"

#define BUCKETS_MIN 64U
#define BUCKETS_MAX (1U << 24)

bool udp_table_init(struct udp_table *table, const uint64_t key[2])
{
	*table = (struct udp_table){.key = {key[0], key[1]}, .n_buckets = BUCKETS_MIN};
	table->buckets = calloc(BUCKETS_MIN, sizeof(struct udp_entry *));
	return table->buckets != NULL;
}

void udp_table_fini(struct udp_table *table)
{
	free(table->buckets);
	table->buckets = NULL;
}

static uint64_t hash_of(
    const struct udp_table *table, const struct addr *client, const struct addr *local)
{
	uint8_t bytes[2 + 4 + 16 + 16];
	size_t len = 0, n;
	uint16_t port = addr_port(client);
	memcpy(bytes, &port, sizeof(port));
	len += sizeof(port);
	if (client->sa.sa_family == AF_INET6) {
		memcpy(bytes + len, &client->in6.sin6_scope_id, 4);
		len += 4;
	}
	const uint8_t *ip = addr_bytes(client, &n);
	memcpy(bytes + len, ip, n);
	len += n;
	ip = addr_bytes(local, &n);
	memcpy(bytes + len, ip, n);
	return hash_keyed(table->key, bytes, len + n);
}

static struct udp_entry **bucket(const struct udp_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->n_buckets - 1)];
}

bool udp_entry_is_of(
    const struct udp_entry *entry, const struct addr *client, const struct addr *local)
{
	if (!addr_equal(&entry->client, client) || !addr_equal_ip(&entry->local, local))
		return false;
	return client->sa.sa_family != AF_INET6 ||
	       entry->client.in6.sin6_scope_id == client->in6.sin6_scope_id;
}

struct udp_entry *udp_table_find(const struct udp_table *table, const struct addr *client,
    const struct addr *local, uint64_t *hash)
{
	*hash = hash_of(table, client, local);
	struct udp_entry *entry = *bucket(table, *hash);
	while (entry && (entry->hash != *hash || !udp_entry_is_of(entry, client, local)))
		entry = entry->next;
	return entry;
}

static void put(const struct udp_table *table, struct udp_entry *entry)
{
	struct udp_entry **at = bucket(table, entry->hash);
	entry->next = *at;
	*at = entry;
}

static void grow(struct udp_table *table)
{
	uint32_t n = table->n_buckets * 2;
	struct udp_entry **buckets = calloc(n, sizeof(struct udp_entry *));
	if (!buckets)
		return;
	struct udp_table before = *table;
	table->buckets = buckets;
	table->n_buckets = n;
	for (uint32_t i = 0; i < before.n_buckets; i++) {
		struct udp_entry *next;
		for (struct udp_entry *entry = before.buckets[i]; entry; entry = next) {
			next = entry->next;
			put(table, entry);
		}
	}
	free(before.buckets);
}

void udp_table_add(struct udp_table *table, struct udp_entry *entry)
{
	if (table->n >= table->n_buckets && table->n_buckets < BUCKETS_MAX)
		grow(table);
	put(table, entry);
	table->n++;
}

void udp_table_remove(struct udp_table *table, struct udp_entry *entry)
{
	struct udp_entry **at = bucket(table, entry->hash);
	while (*at != entry) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = entry->next;
	table->n--;
}
