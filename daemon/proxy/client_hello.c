#include "daemon/proxy/client_hello.h"

#include "daemon/proxy/routing.h"
#include "daemon/sni/hello.h"

static bool wanted(const struct conf_listener *conf, const struct arrival *arrival)
{
	(void)arrival;
	return conf->mode == CONF_MODE_TCP && conf->n_routes > 0;
}

/* `hello` NULL: the client speaks something else. */
static enum preface_verdict choose(struct listener *listener, struct arrival *arrival,
    const struct hello *hello, struct preface_found *found)
{
	arrival->pool =
	    routing_pool(listener->worker, listener->conf, &arrival->peer, hello, &arrival->route);
	if (arrival->pool != CONF_NONE)
		return PREFACE_DONE;
	COUNT(listener->worker, refused_no_route);
	found->reason = "no_route";
	found->why = hello ? "no route takes it, and there is no pool by default"
			   : "no TLS, and there is no pool by default";
	return PREFACE_REFUSED;
}

static enum preface_verdict read_hello(struct listener *listener, struct arrival *arrival,
    const char *data, size_t len, struct preface_found *found)
{
	struct hello_scan scan = {0};
	struct hello hello;
	/* Wanted when the connection came; a reload may have taken the routes away since. */
	if (!wanted(listener->conf, arrival))
		return PREFACE_DONE;
	enum hello_result result = hello_read(&scan, data, len, &hello);
	switch (result) {
	case HELLO_MORE: return PREFACE_MORE;
	case HELLO_OK: return choose(listener, arrival, &hello, found);
	case HELLO_NOT_TLS: return choose(listener, arrival, NULL, found);
	default: break;
	}
	COUNT(listener->worker, hellos_refused);
	found->reason = "bad_client_hello";
	found->why = hello_result_name(result);
	return PREFACE_REFUSED;
}

const struct preface_reader client_hello_reader = {
    .what = "TLS ClientHello", .max = HELLO_MAX, .wanted = wanted, .read = read_hello};
