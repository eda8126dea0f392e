#include "conf/check_parts.h"

void check_finish_balance(struct conf_pool *pool)
{
	if (pool->hash_on.header)
		pool->hash_on.key = CONF_HASH_HEADER;
	else if (pool->hash_on.cookie)
		pool->hash_on.key = CONF_HASH_COOKIE;
}

void check_balance(struct report *report, const struct node *entry, const struct conf_pool *pool)
{
	const struct node *hash_on = node_child(entry, "hash_on");
	if (hash_on && pool->balance != CONF_BALANCE_MAGLEV)
		report_value(report, hash_on, "needs \"balance\": \"maglev\" beside it");
	const struct node *factor = node_child(entry, "hash_balance_factor");
	if (factor && pool->balance != CONF_BALANCE_MAGLEV &&
	    pool->balance != CONF_BALANCE_SOURCE_HASH)
		report_value(
		    report, factor, "needs \"balance\": \"maglev\" or \"source_hash\" beside it");
	if (pool->hash_balance_factor > 0 && pool->hash_balance_factor <= 100)
		report_value(report, factor,
		    "targets need room for more than their share: 0%%, or more than 100%%");
	if (hash_on && hash_on->n_children > 1)
		report_value(report, hash_on, "only one of key, header and cookie can be given");
}

void check_balance_mode(struct report *report, const struct node *node, const struct conf *conf,
    uint32_t pool, enum conf_listener_mode mode)
{
	if (pool == CONF_NONE || mode == CONF_MODE_HTTP)
		return;
	const struct conf_pool *named = &conf->pools[pool];
	if (named->hash_on.key != CONF_HASH_SOURCE)
		report_value(report, node,
		    "pool %s has a hash_on that mode \"%s\" cannot see; there it is by source only",
		    named->name, mode == CONF_MODE_TCP ? "tcp" : "udp");
	if (named->balance == CONF_BALANCE_LEAST_TIME && mode == CONF_MODE_UDP)
		report_value(report, node,
		    "pool %s is balanced by least_time, but in mode \"udp\" nobody has to answer",
		    named->name);
}
