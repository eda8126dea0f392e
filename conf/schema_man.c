#include "conf/schema_man.h"

#include <string.h>

#include "conf/conf.h"
#include "conf/node.h"
#include "conf/schema.h"
#include "conf/value.h"

#define PATH_MAX_LEN 128

/* Text with what roff would take for its own made harmless. A line must not begin with . or ' . */
static void print_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void print_literal_line(FILE *out, const char *line)
{
	if (*line == '.' || *line == '\'')
		fputs("\\&", out);
	print_text(out, line);
}

void schema_man_print_head(FILE *out)
{
	fputs(
	    ".\\\" Made by yoke-schema from the rows in conf/schema*.c: change those, not this.\n"
	    ".TH YOKE.JSON 5 \"\" \"yoke\" \"File formats\"\n"
	    ".SH NAME\n"
	    "yoke.json \\- configuration of a yoke load balancer pair\n"
	    ".SH DESCRIPTION\n"
	    "One JSON file (RFC 8259, UTF\\-8, at most 4 MiB) describes the pair. It is the same "
	    "on\n"
	    "both nodes. Comments, // to the end of the line and /* ... */, are allowed. Without\n"
	    ".I nodes\nand\n.I virtual_routers\nyoke is a single balancer.\n"
	    ".PP\n"
	    "Unknown keys, duplicate keys and values out of range are errors.\n"
	    ".B yoked \\-\\-check\ntells all of them at once, each as\n"
	    ".IR FILE : LINE : COLUMN : \" PATH\" : \" message\" .\n"
	    "A file with errors changes nothing.\n"
	    ".PP\n"
	    "Durations are strings with a unit: us, ms, s, m, h, d, as in \"100ms\" or \"1.5h\". "
	    "So\n"
	    "are sizes: B, KiB, MiB, GiB. Addresses with port are \"192.0.2.10:80\" or\n"
	    "\"[2001:db8::10]:80\". Names consist of 1 to 63 letters, digits, '_', '.' and "
	    "'\\-'.\n",
	    out);
}

/* "Value: a list, each ..., 1 to 16." */
static void print_type(FILE *out, const struct conf_key *key)
{
	char wish[VALUE_WISH_MAX];
	unsigned long long min = key->min, max = key->max;
	fputs("Value: ", out);
	print_text(out, value_wish(key, wish));
	if (key->type == CONF_MAP || key->type == CONF_LIST) {
		if (min == max)
			fprintf(out, ", exactly %llu", max);
		else if (min > 0)
			fprintf(out, ", %llu to %llu", min, max);
		else
			fprintf(out, ", at most %llu", max);
	}
	if (key->unit)
		fprintf(out, " (%s)", key->unit);
	fputs(".\n", out);
}

static void print_key(FILE *out, const struct conf_key *key)
{
	fprintf(out, ".TP\n.B %s\n", key->name);
	print_literal_line(out, key->help);
	fputs(".\n", out);
	print_type(out, key);
	if (key->step > 1) {
		char step[32];
		fprintf(out, "A multiple of %s.\n",
		    value_format_number(key->type, key->step, step, sizeof(step)));
	}
	if (key->required)
		fputs("Required.\n", out);
	if (key->variant)
		fputs("Of the alternatives exactly one is given.\n", out);
	if (key->def || key->def_note) {
		fputs("Default: ", out);
		print_text(out, key->def ? key->def : key->def_note);
		fputs(".\n", out);
	}
	if (key->restart)
		fputs("A change needs a restart.\n", out);
}

/* The section of an object, then those of the objects in it. `path` is "pools.NAME". */
static void print_object(FILE *out, const struct conf_object *object, const char *path)
{
	fprintf(out, ".SS \"%s%s%s\"\n", object->title, *path ? ": " : "", path);
	if (object->n_keys == 0)
		fputs("An empty object: there is nothing to set.\n", out);
	for (uint32_t i = 0; i < object->n_keys; i++)
		print_key(out, &object->keys[i]);
	for (uint32_t i = 0; i < object->n_keys; i++) {
		const struct conf_key *key = &object->keys[i];
		char below[PATH_MAX_LEN];
		size_t used = text_append(
		    below, sizeof(below), 0, "%s%s%s", path, *path ? "." : "", key->name);
		if (key->type == CONF_MAP)
			text_append(below, sizeof(below), used, ".NAME");
		else if (key->type == CONF_LIST)
			text_append(below, sizeof(below), used, "[]");
		if (key->type == CONF_MAP && key->object->shorthand)
			continue; /* what is said of the map says it */
		if (key->object)
			print_object(out, key->object, below);
		else if (key->element && key->element->object)
			print_object(out, key->element->object, below);
	}
}

void schema_man_print_keys(FILE *out)
{
	fputs(".SH KEYS\n", out);
	print_object(out, &conf_schema_root, "");
	fputs(".SH EXAMPLES\n", out);
}

void schema_man_print_example(FILE *out, const char *title, FILE *example)
{
	char line[1024];
	fputs(".PP\n", out);
	print_literal_line(out, title);
	fputs("\n.PP\n.EX\n", out);
	while (fgets(line, sizeof(line), example))
		print_literal_line(out, line);
	fputs(".EE\n", out);
}

void schema_man_print_tail(FILE *out)
{
	fputs(
	    ".SH FILES\n"
	    ".TP\n.I /etc/yoke/yoke.json\nThe default configuration file.\n"
	    ".TP\n.I /etc/yoke/sync.key\n"
	    "By custom the secret of the pair. To make one, on one node:\n"
	    ".IP\n.EX\n"
	    "head \\-c 32 /dev/urandom | base64 > /etc/yoke/sync.key\n"
	    "chmod 600 /etc/yoke/sync.key\n"
	    ".EE\n.IP\nand copy it to the other.\n"
	    ".TP\n.I /var/log/yoke\nWhere yoke.service may write an access log.\n"
	    ".SH ACCESS LOG\n"
	    "With\n.I access_log\nthere is a line for each request, when it is over, for each "
	    "connection\n"
	    "of mode tcp, and for each session of mode udp. In format json it is an object with "
	    "these fields; one that "
	    "has\n"
	    "no value is left out.\n"
	    ".TP\n.B time\nWhen the request began: RFC 3339, UTC, in milliseconds.\n"
	    ".TP\n.BR listener \", \" route \", \" pool \", \" target\n"
	    "Names of the configuration, and the address of the target that was asked last.\n"
	    ".TP\n.B client\nAddress and port.\n"
	    ".TP\n.BR method \", \" host \", \" path \", \" query \", \" protocol\n"
	    "As received, and missing when the request was malformed; protocol is TCP or UDP\n"
	    "in these modes, and tunnel in the line for what followed a status of 101, when that "
	    "has ended.\n"
	    ".TP\n.B status\nWhat the client got; 0: nothing.\n"
	    ".TP\n.B why\n"
	    "A word, when the answer is one of yoke's own or the end was not the usual one. Of a\n"
	    "malformed request it names the fault, as does the answer: bad_host, obs_fold, "
	    "bad_chunk\n"
	    "and so on. Else: request_head, request_body (did not come in time), no_target,\n"
	    "queue_full, queue_timeout, circuit_open,\n"
	    "connect_failed, connect_timeout, response_timeout, target_closed, target_timeout,\n"
	    "target_reset, bad_response, client_closed, client_reset, client_timeout, "
	    "idle_timeout,\n"
	    "shutdown, trace, connect, no_memory, rate_limited, rate_limit_log_only (over a "
	    "limit,\n"
	    "and passed), body_too_slow, drained (the end of its target's drain has closed it),\n"
	    "vip_moved (the peer has the address that the client came to). In mode tcp it says\n"
	    "who ended the connection. In mode udp it says how the session ended:\n"
	    "answered (all responses have come), idle_timeout, evicted (it made room for a newer\n"
	    "one), response_timeout (not all responses came), no_target, no_room (at the "
	    "targets),\n"
	    "connect_failed (the port is closed), drained, vip_moved, listener_closed, shutdown.\n"
	    ".TP\n.B chosen\n"
	    "How the target was: sticky, balanced, or retry: after others had failed.\n"
	    ".TP\n.B tier\n"
	    "backup, when it was one of those, or fail_open, when it was down.\n"
	    ".TP\n.B failed\n"
	    "The first three attempts that failed: target and reason of each, as in\n"
	    "\"192.0.2.21:80 connect_failed, 192.0.2.22:80 target_closed\".\n"
	    ".TP\n.B sticky\nhit, new, or moved: the client's target was not usable.\n"
	    ".TP\n.B retries\nAttempts after the first one.\n"
	    ".TP\n.BR bytes_in \", \" bytes_out\n"
	    "From the client and to it, with heads.\n"
	    ".TP\n.BR datagrams_in \", \" datagrams_out\n"
	    "Mode udp: the same in datagrams, those that were dropped on the way included.\n"
	    ".TP\n.BR request_us \", \" queue_us \", \" connect_us \", \" response_us \", "
	    "\" total_us\n"
	    "Microseconds: from the first byte of the request to the end of its head; waiting for "
	    "a\n"
	    "target with a free place, if that was necessary; from the end of the head to\n"
	    "a connection with the target, and to the head of its response; from the first byte "
	    "to\n"
	    "the last one of the response.\n"
	    ".TP\n.BR reused \", \" pooled\n"
	    "Whether the connection of the client, and that to the target, had a request before.\n"
	    ".TP\n.BR user_agent \", \" referer\n"
	    "Of the request. Cookies and passwords are never written.\n"
	    ".TP\n.B cut\nA text was too long and is cut.\n"
	    ".TP\n.B sample\nOf requests that went well only one in so many has a line.\n"
	    ".PP\n"
	    "In format combined a status of 499 stands for none, and the number of bytes is that "
	    "of\n"
	    "the body.\n"
	    ".PP\n"
	    "To rotate: rename the file, then send SIGUSR1 to yoked, which opens it anew. A "
	    "reload\n"
	    "does so, too; when\n.B yokectl reload\ncomes back, the old file has its last line.\n"
	    "While the disk is slow or full, lines that the buffer has no room for are dropped, "
	    "and\n"
	    "counted in\n.IR yoke_access_dropped_total .\n"
	    ".SH EXPLANATIONS\n"
	    "With\n.I explain_header\n"
	    "responses of a listener, also those of yoke itself, have a field like\n"
	    ".PP\n.EX\n"
	    "X\\-Yoke\\-Decision: route=\"shop\", pool=\"web\", target=\"192.0.2.22:80\", "
	    "chosen=retry,\n"
	    "  failed=(\"192.0.2.21:80\";why=connect_failed), retries=1, connect_us=412, "
	    "response_us=2210\n"
	    ".EE\n.PP\n"
	    "in one line: a dictionary of RFC 9651, whose items mean what the fields of the "
	    "access\n"
	    "log mean, up to the moment when the response begins. When there is no target to go "
	    "to\n"
	    "(why=no_target),\n.B targets\n"
	    "names the first eight of the pool and the state of each, and\n.B more\n"
	    "the number of others. Who gets it sees addresses of targets:\n.I from\n"
	    "says who may.\n"
	    ".SH CHANGING THE KEY\n"
	    "The key file may hold two keys, one a line; lines that begin with # are comments.\n"
	    "The first key is spoken with, each is accepted.\n"
	    "In each of three steps edit the file on both nodes, then\n.B yokectl reload\non "
	    "both:\n"
	    ".IP 1. 4\nAdd a new key as the second line.\n"
	    ".IP 2. 4\nMake it the first line.\n"
	    "From now on clients whose cookie or session is of the old key get another one for\n"
	    "the same target. Wait as long as the ttl of the longest of them, or until\n"
	    ".I yoke_sticky_stale_total\nin the metrics stands still on both nodes.\n"
	    ".IP 3. 4\nRemove the old key.\n"
	    ".PP\n"
	    "Finish a step on both nodes before the next one:\n"
	    ".B yokectl status\nnames the keys of each. Nothing is interrupted but the\n"
	    "connection between the nodes, which is made anew in the last step.\n"
	    ".SH SEE ALSO\n"
	    ".BR yoked (8),\n.BR yokectl (1)\n",
	    out);
}
