/* Chunked bodies (RFC 9112 section 7.1): a state machine over framing bytes, data in bulk. The
 * framing is forwarded as it came, so everything in it is checked, extensions and trailers too. */
#include "daemon/http/h1.h"
#include "daemon/http/h1_internal.h"

#define SIZE_DIGITS_MAX 15
#define SIZE_LINE_MAX   256
#define TRAILERS_MAX    8192

/*   size [ext]* CRLF data CRLF ... 0 [ext]* CRLF [trailer CRLF]* CRLF
 *   ext = ";" token [ "=" ( token | quoted-string ) ]                      */
enum state {
	SIZE_FIRST, /* zero-initialised: here it begins */
	SIZE,
	EXT_NAME_FIRST,
	EXT_NAME,
	EXT_VALUE_FIRST,
	EXT_VALUE,
	EXT_QUOTED,
	EXT_ESCAPED,
	EXT_QUOTED_END,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	DONE,
	REFUSED
};

#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME  0x100000001b3ULL

/* RFC 9110 section 6.5.1: fields that mean framing, routing, identity or content format do not
 * belong into trailers, and a target that merges them would believe them. By FNV-1a of the
 * lower-case name, since a name may come byte by byte; names made to collide are merely refused. */
static bool trailer_refused(uint64_t name)
{
	switch (name) {
	case 0xff974ce1fd18159eULL: /* authorization */
	case 0xc7f597ea639b1b59ULL: /* connection */
	case 0x8baea7ccb2afa2c8ULL: /* content-encoding */
	case 0x2d69a1e6ee916e7dULL: /* content-length */
	case 0x0f4dd5cf6a7a0235ULL: /* content-type */
	case 0x46726d6ad9e9607fULL: /* cookie */
	case 0x208ad7977190aad8ULL: /* expect */
	case 0xdfe932c2a3fa588bULL: /* forwarded */
	case 0x4077f8cc7eaf4d6fULL: /* host */
	case 0x9743b29f3fb37e38ULL: /* set-cookie */
	case 0x08c83307b56ab672ULL: /* te */
	case 0xdac5827ce61e8e00ULL: /* trailer */
	case 0x8640bd735e9d802cULL: /* transfer-encoding */
	case 0x7f7d77d7c2a03db7ULL: /* upgrade */
	case 0x9093163624640828ULL: /* x-forwarded-for */
	case 0xb05c1bcfbb65b387ULL: /* x-forwarded-host */
	case 0x64a03d8e917ba96eULL: /* x-forwarded-port */
	case 0xf86faea5da3d2459ULL: /* x-forwarded-proto */ return true;
	default: return false;
	}
}

/* Behind a part of the size line that may be its last. */
static enum state ext_or_end(char c)
{
	return c == ';' ? EXT_NAME_FIRST : c == '\r' ? SIZE_LF : REFUSED;
}

static enum state expect(char c, char wanted, enum state next)
{
	return c == wanted ? next : REFUSED;
}

static enum state step_size(struct h1_chunks *chunks, char c)
{
	int digit = text_hex_digit(c);
	if (digit < 0) {
		chunks->line_len++;
		return chunks->state == SIZE ? ext_or_end(c) : REFUSED;
	}
	if (chunks->state == SIZE_FIRST) {
		chunks->left = 0;
		chunks->line_len = 0;
	}
	chunks->left = chunks->left << 4 | (unsigned)digit;
	return ++chunks->line_len > SIZE_DIGITS_MAX ? REFUSED : SIZE;
}

static enum state step_ext(struct h1_chunks *chunks, char c)
{
	bool token = h1_is(c, H1_C_TOKEN);
	if (++chunks->line_len > SIZE_LINE_MAX)
		return REFUSED;
	switch (chunks->state) {
	case EXT_NAME_FIRST: return token ? EXT_NAME : REFUSED;
	case EXT_NAME: return token ? EXT_NAME : c == '=' ? EXT_VALUE_FIRST : ext_or_end(c);
	case EXT_VALUE_FIRST: return token ? EXT_VALUE : expect(c, '"', EXT_QUOTED);
	case EXT_VALUE: return token ? EXT_VALUE : ext_or_end(c);
	case EXT_QUOTED:
		if (c == '"')
			return EXT_QUOTED_END;
		return c == '\\' ? EXT_ESCAPED : h1_is(c, H1_C_VALUE) ? EXT_QUOTED : REFUSED;
	case EXT_ESCAPED: return h1_is(c, H1_C_VALUE) ? EXT_QUOTED : REFUSED;
	default: return ext_or_end(c); /* EXT_QUOTED_END */
	}
}

static enum state step_trailer(struct h1_chunks *chunks, char c)
{
	bool token = h1_is(c, H1_C_TOKEN);
	if (++chunks->line_len > TRAILERS_MAX)
		return REFUSED;
	switch (chunks->state) {
	case TRAILER_FIRST:
		if (!token)
			return expect(c, '\r', END_LF);
		chunks->name = FNV_OFFSET;
		break;
	case TRAILER_NAME:
		if (c == ':')
			return trailer_refused(chunks->name) ? REFUSED : TRAILER_VALUE;
		if (!token)
			return REFUSED;
		break;
	case TRAILER_VALUE:
		return h1_is(c, H1_C_VALUE) ? TRAILER_VALUE : expect(c, '\r', TRAILER_LF);
	default: return expect(c, '\n', TRAILER_FIRST); /* TRAILER_LF */
	}
	/* Case and punctuation do not count: Content_Length is no better. */
	chunks->name = (chunks->name ^ (uint8_t)(h1_is_alnum(c) ? c | 0x20 : '-')) * FNV_PRIME;
	return TRAILER_NAME;
}

static enum state step(struct h1_chunks *chunks, char c)
{
	switch ((enum state)chunks->state) {
	case SIZE_FIRST:
	case SIZE: return step_size(chunks, c);
	case SIZE_LF:
		if (chunks->left == 0)
			chunks->line_len = 0; /* from here on: trailers */
		chunks->size += chunks->left;
		return expect(c, '\n', chunks->left > 0 ? DATA : TRAILER_FIRST);
	case DATA_CR: return expect(c, '\r', DATA_LF);
	case DATA_LF: return expect(c, '\n', SIZE_FIRST);
	case TRAILER_FIRST:
	case TRAILER_NAME:
	case TRAILER_VALUE:
	case TRAILER_LF: return step_trailer(chunks, c);
	case END_LF: return expect(c, '\n', DONE);
	case DATA:
	case DONE:
	case REFUSED: return REFUSED;
	default: return step_ext(chunks, c);
	}
}

enum h1_result h1_chunks_feed(
    struct h1_chunks *chunks, const char *buf, size_t len, size_t *used, struct slice *data)
{
	size_t at = 0;
	struct slice run = {buf, 0};
	while (at < len && !chunks->done) {
		if (chunks->state != DATA) {
			chunks->state = (uint8_t)step(chunks, buf[at++]);
			chunks->done = chunks->state == DONE;
			if (chunks->state == REFUSED)
				return H1_BAD_CHUNK;
			continue;
		}
		size_t n = len - at < chunks->left ? len - at : (size_t)chunks->left;
		run = (struct slice){buf + at, n};
		at += n;
		chunks->left -= n;
		if (chunks->left == 0)
			chunks->state = DATA_CR;
		if (data)
			break;
	}
	if (chunks->state == REFUSED)
		return H1_BAD_CHUNK;
	*used = at;
	if (data)
		*data = run;
	return H1_OK;
}
