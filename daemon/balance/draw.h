/* Drawing members by weight, in the same time however many there are: the alias method (Walker 1977,
 * in the form of Vose 1991). Pure; one owner. Internal to balance. */
#pragma once

#include <stdint.h>

struct draw;

/* For at most `max_members`. NULL when out of memory. */
struct draw *draw_new(uint32_t max_members, uint64_t seed);
void draw_free(struct draw *draw);
/* The members 0..n-1 from now on; n >= 1, weights >= 1. */
void draw_build(struct draw *draw, const uint16_t *weights, uint32_t n);
uint32_t draw_next(struct draw *draw);
