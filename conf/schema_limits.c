/* The rows of rate limits: of listeners and routes alike. */
#include "conf/format.h"
#include "conf/schema_rows.h"
#include "daemon/limit/spec.h"

static const char *const by_words[] = {[LIMIT_BY_SOURCE] = "source",
    [LIMIT_BY_HOST] = "host",
    [LIMIT_BY_PATH] = "path",
    [LIMIT_BY_NONE] = "none",
    NULL};

static const struct conf_key limit_key_keys[] = {
    {"by", CONF_ENUM, FIELD(struct limit_key, by), .words = by_words, .def = "source",
	.help = "source: the client's address; host, path: those of the request, the path in the "
		"form that conditions of routes see, without query; none: all count together"},
    {"header", CONF_STRING, FIELD(struct limit_key, header), .format = &conf_format_field_name,
	.def_note = "none",
	.help = "The value of the first field of this name; a request without it counts by its "
		"source"},
    {"cookie", CONF_STRING, FIELD(struct limit_key, cookie), .format = &conf_format_cookie,
	.def_note = "none", .help = "The same for a cookie"},
};
static const struct conf_object limit_key_object = {"Keys of rate limits", KEYS(limit_key_keys),
    .size = sizeof(struct limit_key), .shorthand = "by"};

static const struct conf_key rate_limit_keys[] = {
    {"rate", CONF_RATE, FIELD(struct limit_spec, rate), .required = true, .min = 1,
	.max = LIMIT_RATE_MAX,
	.help = "Requests a second (/s), minute (/m), hour (/h) or day (/d), of each key"},
    {"burst", CONF_INT, FIELD(struct limit_spec, burst), .min = 1, .max = LIMIT_BURST_MAX,
	.def_note = "the number of rate",
	.help = "How many may come at once, after a quiet time; from there on they come at the "
		"rate, evenly: the next one of \"60/m\" after a second"},
    {"key", CONF_OBJECT, FIELD(struct limit_spec, key), .object = &limit_key_object,
	.def_note = "source",
	.help = "What is limited, each for itself; as an object, a header or cookie"},
    {"prefix4", CONF_INT, FIELD(struct limit_spec, prefix4), .min = 1, .max = 32, .def = "32",
	.unit = "bits", .help = "How much of an IPv4 address is a source"},
    {"prefix6", CONF_INT, FIELD(struct limit_spec, prefix6), .min = 1, .max = 128, .def = "64",
	.unit = "bits", .help = "How much of an IPv6 address is a source"},
    {"status", CONF_INT, FIELD(struct limit_spec, status), .min = 400, .max = 599, .def = "429",
	.help = "Of the answer to those that are too many, which says by Retry-After when the "
		"next one may come"},
    {"log_only", CONF_BOOL, FIELD(struct limit_spec, log_only), .def = "false",
	.help = "They are counted, and marked in the access log, but pass: to try a limit"},
};
static const struct conf_object rate_limit_object = {
    "Rate limits", KEYS(rate_limit_keys), .size = sizeof(struct limit_spec), .shorthand = "rate"};
const struct conf_key conf_schema_rate_limit = {"", CONF_OBJECT, 0, sizeof(struct limit_spec),
    .object = &rate_limit_object, .help = "A rate, or an object with more"};
