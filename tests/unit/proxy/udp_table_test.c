#include "daemon/proxy/udp_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static const uint64_t key[2] = {1, 2};

static struct addr endpoint(const char *text)
{
	struct addr addr;
	CU_ASSERT_TRUE_FATAL(addr_parse_endpoint(text, &addr));
	return addr;
}

static struct addr ip(const char *text)
{
	struct addr addr;
	CU_ASSERT_TRUE_FATAL(addr_parse_ip(text, &addr));
	return addr;
}

static void every_part_of_the_address_counts(void)
{
	static const struct {
		const char *client, *local;
		uint32_t scope;
	} cases[] = {
	    {"192.0.2.1:1000", "198.51.100.1", 0},
	    {"192.0.2.1:1001", "198.51.100.1", 0},
	    {"192.0.2.2:1000", "198.51.100.1", 0},
	    {"192.0.2.1:1000", "198.51.100.2", 0},
	    {"[fe80::1]:1000", "fe80::2", 1},
	    {"[fe80::1]:1000", "fe80::2", 2}, /* another link */
	    {"[fe80::1]:1001", "fe80::2", 1},
	    {"[fe80::1]:1000", "fe80::3", 1},
	    {"[fe80::3]:1000", "fe80::2", 1},
	};
	enum { N = sizeof(cases) / sizeof(cases[0]) };
	struct udp_table table;
	struct udp_entry entries[N];
	memset(entries, 0, sizeof(entries));
	CU_ASSERT_TRUE_FATAL(udp_table_init(&table, key));
	for (size_t i = 0; i < N; i++) {
		struct udp_entry *entry = &entries[i];
		entry->client = endpoint(cases[i].client);
		entry->local = ip(cases[i].local);
		if (cases[i].scope)
			entry->client.in6.sin6_scope_id = cases[i].scope;
		CU_ASSERT_PTR_NULL(
		    udp_table_find(&table, &entry->client, &entry->local, &entry->hash));
		udp_table_add(&table, entry);
	}
	for (size_t i = 0; i < N; i++) {
		uint64_t hash;
		struct addr client = entries[i].client, local = entries[i].local;
		CU_ASSERT_PTR_EQUAL(udp_table_find(&table, &client, &local, &hash), &entries[i]);
		CU_ASSERT_EQUAL(hash, entries[i].hash);
		udp_table_remove(&table, &entries[i]);
		CU_ASSERT_PTR_NULL(udp_table_find(&table, &client, &local, &hash));
	}
	CU_ASSERT_EQUAL(table.n, 0);
	udp_table_fini(&table);
}

static void grows_and_keeps_all(void)
{
	enum { N = 60000 };
	struct udp_table table;
	struct udp_entry *entries = calloc(N, sizeof(*entries));
	CU_ASSERT_PTR_NOT_NULL_FATAL(entries);
	CU_ASSERT_TRUE_FATAL(udp_table_init(&table, key));
	for (uint32_t i = 0; i < N; i++) {
		entries[i].client = endpoint("192.0.2.1:1");
		addr_set_port(&entries[i].client, (uint16_t)(i + 1));
		entries[i].local = ip("198.51.100.1");
		udp_table_find(&table, &entries[i].client, &entries[i].local, &entries[i].hash);
		udp_table_add(&table, &entries[i]);
	}
	CU_ASSERT_TRUE(table.n_buckets >= N);
	for (uint32_t i = 0; i < N; i++) {
		uint64_t hash;
		CU_ASSERT_PTR_EQUAL(
		    udp_table_find(&table, &entries[i].client, &entries[i].local, &hash),
		    &entries[i]);
	}
	/* Chains of random length: the longest is short. */
	uint32_t longest = 0;
	for (uint32_t b = 0; b < table.n_buckets; b++) {
		uint32_t n = 0;
		for (struct udp_entry *entry = table.buckets[b]; entry; entry = entry->next)
			n++;
		longest = n > longest ? n : longest;
	}
	CU_ASSERT_TRUE(longest < 16);
	for (uint32_t i = 0; i < N; i++)
		udp_table_remove(&table, &entries[i]);
	CU_ASSERT_EQUAL(table.n, 0);
	udp_table_fini(&table);
	free(entries);
}

/* Strangers who know the hash but not the key cannot make chains. */
static void another_key_another_hash(void)
{
	const uint64_t other[2] = {1, 3};
	struct udp_table a, b;
	struct addr client = endpoint("192.0.2.1:1"), local = ip("198.51.100.1");
	uint64_t hash_a, hash_b;
	CU_ASSERT_TRUE_FATAL(udp_table_init(&a, key) && udp_table_init(&b, other));
	udp_table_find(&a, &client, &local, &hash_a);
	udp_table_find(&b, &client, &local, &hash_b);
	CU_ASSERT_NOT_EQUAL(hash_a, hash_b);
	udp_table_fini(&a);
	udp_table_fini(&b);
}

UNIT_MAIN("proxy/udp_table", UNIT(every_part_of_the_address_counts), UNIT(grows_and_keeps_all),
    UNIT(another_key_another_hash))
