#include "daemon/proxyproto/internal.h"

#include <arpa/inet.h>
#include <string.h>

const char *proxyproto_result_text(enum proxyproto_result result)
{
	static const char *const texts[] = {
#define X(name, text) [PROXYPROTO_##name] = text,
	    PROXYPROTO_RESULTS(X)
#undef X
	};
	return texts[result];
}

/* ---- version 1: a line ---- */

/* A word up to the next blank. False: none, or no blank behind it. */
static bool take_word(struct slice *line, struct slice *word)
{
	const char *blank = memchr(line->p, ' ', line->len);
	if (!blank)
		return false;
	*word = (struct slice){line->p, (size_t)(blank - line->p)};
	line->p = blank + 1;
	line->len -= word->len + 1;
	return true;
}

/* inet_pton is as strict as the protocol: no leading zeros, no scope. Of IPv6 it takes the form with
 * an IPv4 address at the end, too, in which inet_ntop writes ::ffff:192.0.2.1. */
static bool read_ip(struct slice word, int family, struct addr *out)
{
	char text[INET6_ADDRSTRLEN];
	if (word.len >= sizeof(text) || memchr(word.p, '\0', word.len))
		return false;
	memcpy(text, word.p, word.len);
	text[word.len] = '\0';
	*out = (struct addr){.sa.sa_family = (sa_family_t)family};
	void *ip = family == AF_INET6 ? (void *)&out->in6.sin6_addr : (void *)&out->in.sin_addr;
	return inet_pton(family, text, ip) == 1;
}

static bool read_port(struct slice word, struct addr *addr)
{
	unsigned port = 0;
	if (word.len == 0 || word.len > 5 || (word.p[0] == '0' && word.len > 1))
		return false;
	for (size_t i = 0; i < word.len; i++) {
		if (word.p[i] < '0' || word.p[i] > '9')
			return false;
		port = port * 10 + (unsigned)(word.p[i] - '0');
	}
	if (port > UINT16_MAX)
		return false;
	addr_set_port(addr, (uint16_t)port);
	return true;
}

/* What follows "TCP4 " or "TCP6 ". */
static enum proxyproto_result read_addresses(
    struct slice line, int family, struct proxyproto_header *out)
{
	struct slice source, destination, port;
	if (!take_word(&line, &source) || !take_word(&line, &destination) ||
	    !take_word(&line, &port))
		return PROXYPROTO_BAD_LINE;
	if (!read_ip(source, family, &out->source) ||
	    !read_ip(destination, family, &out->destination) || !read_port(port, &out->source) ||
	    !read_port(line, &out->destination))
		return PROXYPROTO_BAD_ADDRESS;
	out->has_addresses = true;
	return PROXYPROTO_OK;
}

static bool begins(struct slice line, struct slice word)
{
	return line.len >= word.len && memcmp(line.p, word.p, word.len) == 0;
}

static struct slice behind(struct slice line, size_t n)
{
	return (struct slice){line.p + n, line.len - n};
}

static const struct slice tcp4 = {"PROXY TCP4 ", 11}, tcp6 = {"PROXY TCP6 ", 11},
			  unknown = {"PROXY UNKNOWN", 13};

/* `line` is without its CRLF. */
static enum proxyproto_result read_line(struct slice line, struct proxyproto_header *out)
{
	if (begins(line, tcp4))
		return read_addresses(behind(line, tcp4.len), AF_INET, out);
	if (begins(line, tcp6))
		return read_addresses(behind(line, tcp6.len), AF_INET6, out);
	/* Whatever else it says is ignored. */
	bool is_unknown =
	    begins(line, unknown) && (line.len == unknown.len || line.p[unknown.len] == ' ');
	return is_unknown ? PROXYPROTO_OK : PROXYPROTO_BAD_LINE;
}

/* As far as it goes, it is the beginning of this word. */
static bool may_become(struct slice data, struct slice word)
{
	size_t len = data.len < word.len ? data.len : word.len;
	return memcmp(data.p, word.p, len) == 0;
}

static enum proxyproto_result parse_line(struct slice data, struct proxyproto_header *out)
{
	struct slice line = {
	    data.p, data.len < PROXYPROTO_LINE_MAX ? data.len : PROXYPROTO_LINE_MAX};
	if (!may_become(line, tcp4) && !may_become(line, tcp6) && !may_become(line, unknown))
		return PROXYPROTO_BAD_LINE;
	/* CR and LF stand at the end only, and together. */
	size_t end = 0;
	while (end < line.len && line.p[end] != '\r' && line.p[end] != '\n')
		end++;
	if (end < line.len && line.p[end] == '\n')
		return PROXYPROTO_BAD_LINE;
	if (end + 1 < line.len && line.p[end + 1] != '\n')
		return PROXYPROTO_BAD_LINE;
	if (end + 1 >= line.len)
		return line.len < PROXYPROTO_LINE_MAX ? PROXYPROTO_MORE : PROXYPROTO_LONG_LINE;
	line.len = end;
	out->version = 1;
	out->len = end + 2;
	return read_line(line, out);
}

/* ---- version 2: binary ---- */

/* Bytes of both addresses and ports. */
static const size_t address_len[FAMILY_COUNT] = {
    [FAMILY_INET] = 2 * 4 + 4, [FAMILY_INET6] = 2 * 16 + 4, [FAMILY_UNIX] = 2 * 108};

static struct addr get_addr(const char *ip, const char *port, bool six)
{
	struct addr addr = {.sa.sa_family = six ? AF_INET6 : AF_INET};
	if (six)
		memcpy(&addr.in6.sin6_addr, ip, 16);
	else
		memcpy(&addr.in.sin_addr, ip, 4);
	addr_set_port(&addr, (uint16_t)get16(port));
	return addr;
}

static enum proxyproto_result read_block(
    struct slice header, unsigned family, struct proxyproto_header *out)
{
	const char *at = header.p + FIXED_LEN;
	bool six = family == FAMILY_INET6;
	size_t ip = six ? 16 : 4;
	struct slice tlvs = behind(header, FIXED_LEN + address_len[family]);
	enum proxyproto_result result = proxyproto_check_tlvs(header, tlvs);
	if (result != PROXYPROTO_OK)
		return result;
	out->source = get_addr(at, at + 2 * ip, six);
	out->destination = get_addr(at + ip, at + 2 * ip + 2, six);
	out->tlvs = tlvs;
	out->has_addresses = true;
	return PROXYPROTO_OK;
}

static enum proxyproto_result parse_binary(struct slice data, struct proxyproto_header *out)
{
	if (data.len <= SIGNATURE_LEN)
		return PROXYPROTO_MORE;
	unsigned version = (uint8_t)data.p[12] >> 4, command = (uint8_t)data.p[12] & 15;
	if (version != 2)
		return PROXYPROTO_BAD_VERSION;
	if (command > COMMAND_PROXY)
		return PROXYPROTO_BAD_COMMAND;
	if (data.len < FIXED_LEN - 2)
		return PROXYPROTO_MORE;
	unsigned family = (uint8_t)data.p[13] >> 4, transport = (uint8_t)data.p[13] & 15;
	bool local = command == COMMAND_LOCAL;
	if (!local && (family >= FAMILY_COUNT || transport >= TRANSPORT_COUNT))
		return PROXYPROTO_BAD_FAMILY;
	if (data.len < FIXED_LEN)
		return PROXYPROTO_MORE;
	size_t len = FIXED_LEN + get16(data.p + 14);
	if (len > PROXYPROTO_MAX)
		return PROXYPROTO_TOO_LONG;
	if (!local && len < FIXED_LEN + address_len[family])
		return PROXYPROTO_BAD_LENGTH;
	if (data.len < len)
		return PROXYPROTO_MORE;
	out->version = 2;
	out->len = len;
	bool is_tcp = !local && transport == TRANSPORT_STREAM &&
		      (family == FAMILY_INET || family == FAMILY_INET6);
	if (!is_tcp)
		return PROXYPROTO_OK;
	return read_block((struct slice){data.p, len}, family, out);
}

enum proxyproto_result proxyproto_parse(
    const char *bytes, size_t len, struct proxyproto_header *out)
{
	struct slice data = {bytes, len};
	struct proxyproto_header header = {0};
	enum proxyproto_result result;
	if (len == 0)
		return PROXYPROTO_MORE;
	if (may_become(data, (struct slice){SIGNATURE, SIGNATURE_LEN}))
		result = parse_binary(data, &header);
	else if (may_become(data, (struct slice){"PROXY ", 6}))
		result = parse_line(data, &header);
	else
		return PROXYPROTO_MISSING;
	if (result == PROXYPROTO_OK)
		*out = header;
	return result;
}
