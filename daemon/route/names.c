#include "daemon/route/names.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"

/* "*.example.com" is kept as ".example.com": what stands at the end of the names it is for. */
struct entry {
	uint64_t hash;
	uint32_t wider;
	uint8_t len;
	char text[NAMES_TEXT_MAX];
};

struct names {
	struct entry *entries;
	uint32_t *slots; /* number of an entry + 1, or 0: open addressing, at most half full */
	uint32_t n, n_wild, mask;
};

struct slice names_fold(struct slice host, char buf[NAMES_TEXT_MAX])
{
	if (host.len == 0)
		return (struct slice){buf, 0};
	const char *end = host.p + host.len;
	const char *bracket = *host.p == '[' ? memchr(host.p, ']', host.len) : NULL;
	const char *from = bracket ? bracket : host.p;
	const char *colon = from < end ? memchr(from, ':', (size_t)(end - from)) : NULL;
	size_t len = (size_t)((colon ? colon : end) - host.p);
	if (len > 0 && host.p[len - 1] == '.')
		len--;
	if (len > NAMES_TEXT_MAX)
		len = 0;
	for (size_t i = 0; i < len; i++) {
		char c = host.p[i];
		buf[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	return (struct slice){buf, len};
}

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

bool names_valid(const char *text)
{
	size_t len = strlen(text);
	if (len == 0 || len > NAMES_TEXT_MAX)
		return false;
	if (text[0] == '[') /* IPv6 */
		return len > 3 && text[len - 1] == ']' &&
		       strspn(text + 1, "0123456789abcdefABCDEF:.") == len - 2;
	bool wild = strncmp(text, "*.", 2) == 0;
	if (wild)
		text += 2;
	for (unsigned labels = 1;; labels++) {
		if (!is_label_char(*text))
			return false;
		while (is_label_char(*text))
			text++;
		if (*text == '\0')
			return !wild || labels <= NAMES_WILD_LABELS_MAX;
		if (*text++ != '.')
			return false;
	}
}

/* From the end to the beginning, so that the hashes of all endings come by on the way. */
#define HASH_START      0xcbf29ce484222325ULL
#define HASH_STEP(h, c) (((h) ^ (uint8_t)(c)) * 0x100000001b3ULL)

static uint32_t probe(const struct names *names, uint64_t hash, const char *text, size_t len)
{
	for (uint64_t at = hash_mix(hash);; at++) {
		uint32_t slot = names->slots[at & names->mask];
		if (slot == 0)
			return NAMES_NONE;
		const struct entry *entry = &names->entries[slot - 1];
		if (entry->hash == hash && entry->len == len && memcmp(entry->text, text, len) == 0)
			return slot - 1;
	}
}

/* *wild: the longest wildcard of which `text` is below. Returns the hash of the whole. */
static uint64_t scan(const struct names *names, const char *text, size_t len, uint32_t *wild)
{
	uint64_t hash = HASH_START;
	*wild = NAMES_NONE;
	for (size_t i = len; i-- > 0;) {
		hash = HASH_STEP(hash, text[i]);
		if (text[i] != '.' || i == 0 || names->n_wild == 0)
			continue;
		uint32_t found = probe(names, hash, text + i, len - i);
		if (found != NAMES_NONE)
			*wild = found;
	}
	return hash;
}

uint32_t names_find(const struct names *names, struct slice folded)
{
	uint32_t wild;
	uint64_t hash = scan(names, folded.p, folded.len, &wild);
	/* ".example.com" is no name of a host, but the key of a wildcard. */
	if (folded.len == 0 || folded.p[0] == '.')
		return wild;
	uint32_t exact = probe(names, hash, folded.p, folded.len);
	return exact != NAMES_NONE ? exact : wild;
}

uint32_t names_wider(const struct names *names, uint32_t number)
{
	return names->entries[number].wider;
}

uint32_t names_count(const struct names *names)
{
	return names->n;
}

static struct slice key_of(const char *text, char buf[NAMES_TEXT_MAX])
{
	return names_fold((struct slice){text, strlen(text)}, buf);
}

/* The text in small letters; a wildcard without its star. */
static struct slice entry_text(const char *text, char buf[NAMES_TEXT_MAX])
{
	return key_of(text[0] == '*' ? text + 1 : text, buf);
}

uint32_t names_number(const struct names *names, const char *text)
{
	char buf[NAMES_TEXT_MAX];
	struct slice key = entry_text(text, buf);
	uint64_t hash = HASH_START;
	for (size_t i = key.len; i-- > 0;)
		hash = HASH_STEP(hash, key.p[i]);
	return probe(names, hash, key.p, key.len);
}

static void add(struct names *names, const char *text)
{
	struct entry *entry = &names->entries[names->n];
	if (names_number(names, text) != NAMES_NONE)
		return;
	entry->len = (uint8_t)entry_text(text, entry->text).len;
	entry->hash = HASH_START;
	for (size_t i = entry->len; i-- > 0;)
		entry->hash = HASH_STEP(entry->hash, entry->text[i]);
	uint64_t at = hash_mix(entry->hash);
	while (names->slots[at & names->mask])
		at++;
	names->slots[at & names->mask] = ++names->n;
	names->n_wild += entry->text[0] == '.';
}

struct names *names_new(const char *const *texts, uint32_t n)
{
	struct names *names = calloc(1, sizeof(*names));
	uint32_t size = 4;
	while (size < 2 * n)
		size *= 2;
	if (!names)
		return NULL;
	names->entries = calloc(n + 1, sizeof(*names->entries));
	names->slots = calloc(size, sizeof(*names->slots));
	names->mask = size - 1;
	if (!names->entries || !names->slots) {
		names_free(names);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		add(names, texts[i]);
	for (uint32_t i = 0; i < names->n; i++) {
		struct entry *entry = &names->entries[i];
		scan(names, entry->text, entry->len, &entry->wider);
	}
	return names;
}

void names_free(struct names *names)
{
	if (!names)
		return;
	free(names->entries);
	free(names->slots);
	free(names);
}
