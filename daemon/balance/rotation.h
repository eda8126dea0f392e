/* Smooth weighted round robin over numbered members. Where it is small enough the whole turn is
 * computed once, so that a step is one array read; larger turns use a heap, O(log n) a step. Pure;
 * one owner. Internal to balance. */
#pragma once

#include <stdint.h>

struct rotation;

/* For at most `max_members` members, and turns of at most `turn` steps (the sum of their weights,
 * divided by the greatest common divisor) where precomputing is worth it. NULL when out of memory.
 */
struct rotation *rotation_new(uint32_t max_members, uint64_t turn, uint64_t seed);
void rotation_free(struct rotation *rotation);
/* The members 0..n-1 from now on; n >= 1, weights >= 1. Goes on where the last turn was, so that
 * frequent rebuilding favours nobody. */
void rotation_build(struct rotation *rotation, const uint16_t *weights, uint32_t n);
uint32_t rotation_next(struct rotation *rotation);

uint64_t rotation_turn(const uint16_t *weights, uint32_t n); /* the length of their turn */
