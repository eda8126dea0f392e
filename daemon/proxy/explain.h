/* The field of a response that tells who may know why the request went where it went
 * (explain_header). */
#pragma once

#include <stddef.h>

struct txn;

#define EXPLAIN_LINE_MAX 2048

/* Writes the line, with CRLF, of at most EXPLAIN_LINE_MAX bytes; 0: this client is told nothing.
 * `why`: the word of an answer of our own, or NULL. */
size_t explain_line(const struct txn *txn, const char *why, char *out);
/* Puts the line into the head of an answer of our own, of `len` bytes, behind which there is room
 * for it. Returns the new length. */
size_t explain_answer(const struct txn *txn, const char *why, char *text, size_t len);
