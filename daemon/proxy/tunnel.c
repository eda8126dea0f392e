/* After a 101 the connections of a transaction are a pair like any of TCP: all that follows is in
 * tcp.c. */
#include "daemon/proxy/http.h"
#include "daemon/proxy/tcp.h"

void tunnel_begin(struct txn *txn)
{
	struct worker *worker = txn->worker;
	struct client *client = txn->client;
	struct pair_parts parts = {
	    .listener = client->listener,
	    .conf = txn->listener,
	    .gen = txn->gen,
	    .pool = txn->pool,
	    .target = txn->target,
	    .tally = client->tally,
	    .conns = {&client->conn, &txn->upstream->conn},
	    .unsent = {&txn->out, &client->in},
	    .client = &client->peer,
	};
	if (!pair_adopt(worker, &parts)) {
		client_close(worker, client, true);
		return;
	}
	upstream_give_up(worker, txn->upstream);
	txn->upstream = NULL;
	txn->target = NULL;
	client_give_up(worker, client);
}
