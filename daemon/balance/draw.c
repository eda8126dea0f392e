#include "daemon/balance/draw.h"

#include <stdlib.h>

#include "daemon/base/hash.h"

#define GOLDEN 0x9e3779b97f4a7c15ULL

/* Each place is drawn as often as the others. It is the member of its number's in so many of 2^32
 * cases, else another one's: who has less than the average shares its place with one who has more. */
struct place {
	uint32_t own;
	uint16_t other;
};

struct draw {
	uint64_t dice;
	uint32_t n;
	struct place *places;
	uint64_t *wealth; /* scratch of the build: weight * n, of which a place takes the sum */
	uint16_t *pile;   /* members: the poor ones from the front, the others from the back */
};

struct draw *draw_new(uint32_t max_members, uint64_t seed)
{
	struct draw *draw = calloc(1, sizeof(*draw));
	if (!draw)
		return NULL;
	draw->dice = hash_mix(seed);
	draw->places = calloc((size_t)max_members + 1, sizeof(*draw->places));
	draw->wealth = calloc((size_t)max_members + 1, sizeof(*draw->wealth));
	draw->pile = calloc((size_t)max_members + 1, sizeof(*draw->pile));
	if (!draw->places || !draw->wealth || !draw->pile) {
		draw_free(draw);
		return NULL;
	}
	return draw;
}

void draw_free(struct draw *draw)
{
	if (!draw)
		return;
	free(draw->places);
	free(draw->wealth);
	free(draw->pile);
	free(draw);
}

void draw_build(struct draw *draw, const uint16_t *weights, uint32_t n)
{
	uint64_t sum = 0;
	uint32_t poor = 0, rich = n; /* pile[0..poor) and pile[rich..n) */
	draw->n = n;
	for (uint32_t i = 0; i < n; i++)
		sum += weights[i];
	for (uint32_t i = 0; i < n; i++) {
		draw->wealth[i] = (uint64_t)weights[i] * n;
		draw->pile[draw->wealth[i] < sum ? poor++ : --rich] = (uint16_t)i;
		draw->places[i] = (struct place){UINT32_MAX, (uint16_t)i};
	}
	while (poor > 0 && rich < n) {
		uint16_t taker = draw->pile[--poor], giver = draw->pile[rich];
		draw->places[taker] =
		    (struct place){(uint32_t)((draw->wealth[taker] << 32) / sum), giver};
		draw->wealth[giver] -= sum - draw->wealth[taker];
		if (draw->wealth[giver] < sum) {
			rich++;
			draw->pile[poor++] = giver;
		}
	}
}

uint32_t draw_next(struct draw *draw)
{
	draw->dice += GOLDEN;
	uint64_t random = hash_mix(draw->dice);
	uint32_t i = (uint32_t)((random >> 32) * draw->n >> 32);
	return (uint32_t)random < draw->places[i].own ? i : draw->places[i].other;
}
